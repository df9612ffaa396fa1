// SPDX-License-Identifier: MIT
//
// Asking one child; see followed_child.hpp.
#include <nmi/follow/followed_child.hpp>

#include <algorithm>

namespace nmircu::command {
namespace {

// While one child is asked, the others wait, and none of them for ever.
constexpr milliseconds answer_deadline{500};
constexpr milliseconds load_deadline{2000};

}  // namespace

followed_child::followed_child(unique_fd socket, int pid)
    : agent_(std::move(socket)), pid_(pid), seen_(pid) {}

bool followed_child::ask_status() {
    const reply answer = agent_.request({"status"}, answer_deadline);
    if (!answer.ok || answer.fields.empty()) return false;
    status_ = read_status(answer.fields);
    if (status_.source.kind != "none") source_ = status_.source;
    return true;
}

bool followed_child::enter(const std::vector<message>& loads) {
    const reply hello = agent_.request({"hello"}, answer_deadline);
    if (!hello.ok || hello.fields.empty() || hello.fields[0] != agent::version_text) return false;
    if (!agent_.request({"rings"}, answer_deadline).ok) return false;
    std::string why;
    rings_ = ring::reader::open(agent_.take_descriptor().get(), why);
    if (!rings_ || !ask_status()) return false;
    const bool inherited = std::any_of(status_.handlers.begin(), status_.handlers.end(),
                                       [](const handler_status& one) { return !one.retired; });
    for (const message& load : loads) {
        if (!inherited && !agent_.request(load, load_deadline).ok) return false;
    }
    seen_.refresh();
    return agent_.send({"start"});
}

void followed_child::read_rings() {
    seen_.begin_round();
    rings_->poll([this](const ring::record& found) { seen_.take(found); });
}

void followed_child::say_goodbye() {
    seen_.refresh();
    read_rings();
    ask_status();
    agent_.send({"finish"});
    said_goodbye_ = true;
}

bool followed_child::attend() {
    agent_.receive(milliseconds(0));
    while (agent_.next()) {  // the answers to `start` and `finish`
    }
    if (agent_.exiting() && !said_goodbye_) say_goodbye();
    if (agent_.closed()) {
        close_books(true);
        return false;
    }
    read_rings();
    return true;
}

void followed_child::leave() {
    ask_status();
    agent_.request({"detach"}, load_deadline);
    close_books(false);
}

void followed_child::close_books(bool dead) {
    if (dead) {
        rings_->drain_after_death([this](const ring::record& found) { seen_.take(found); });
    } else {
        read_rings();
    }
    seen_.finish();
    agent_.close();
}

profile followed_child::make_profile(const std::string& time) {
    losses lost;
    for (unsigned i = 0; i < rings_->rings(); ++i)
        lost.lost_records += rings_->lost(i);
    lost.overruns = source_.overruns;
    lost.unreachable_threads = source_.unreachable;
    lost.truncated = seen_.counts().truncated;
    lost.unwound_badly = seen_.counts().unwound_badly;
    lost.malformed = seen_.counts().malformed + rings_->unfinished();
    lost.orphaned = seen_.orphaned();
    lost.corrupt_rings = rings_->corrupt_rings();
    symbolizer names(seen_.map());
    return command::make_profile(seen_, names, {"", time, source_.rate_hz, 0, 0, lost});
}

}  // namespace nmircu::command
