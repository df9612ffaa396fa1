// SPDX-License-Identifier: MIT
//
// Asking and waiting; see collector.hpp.
#include <nmi/backtrace/collector.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include <nmircu/module.h>
#include <nmi/backtrace/answers.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/library_directory.hpp>
#include <nmi/module_spec.hpp>
#include <nmi/profile/memory_map.hpp>
#include <nmi/target/connect.hpp>
#include <nmi/unwind/slice_unwinder.hpp>

namespace nmircu::command {
namespace {

using clock = std::chrono::steady_clock;

constexpr milliseconds look_interval{1};
// A thread with an interrupt of a source on its way gets that one only.
constexpr milliseconds ask_again_interval{25};
// Threads block signals for moments; who does so at looks this far apart does it for long.
constexpr milliseconds reason_interval{50};
constexpr std::size_t most_asked_at_once = 4000;  // so that they fit a message
// Somebody else may be looking at the same program; or was killed while he did.
constexpr milliseconds other_patience{5000};

// Of each thread's stack, for unwinding by the program's tables.
constexpr unsigned slice_bytes = 32768;

constexpr const char* module_name = "backtrace";

class collection {
  public:
    collection(client& agent, int pid, const std::string& attempt)
        : agent_(agent), attempt_(attempt) {
        dump_.pid = pid;
        dump_.name = one_line(text_of_file(fmt::format("/proc/{}/comm", pid)));
        while (dump_.name.ends_with(' '))
            dump_.name.pop_back();
        for (thread_state& one : states_of(pid)) {
            by_thread_[static_cast<std::uint32_t>(one.thread_id)] = dump_.threads.size();
            dump_.threads.push_back({std::move(one), false, {}, 0, {}});
        }
        answers_.resize(dump_.threads.size());
    }

    void load();
    void unload();
    void gather(milliseconds timeout);
    process_dump finish();

  private:
    [[nodiscard]] reply ask_to_load(const std::string& path);
    void open_memory();
    void ask();
    void take();
    bool explain();
    std::vector<dumped_frame> frames_of(const thread_answer& answer, const memory_map& map,
                                        symbolizer& names, slice_unwinder& unwinder) const;

    client& agent_;
    const std::string& attempt_;
    process_dump dump_;
    std::map<std::uint32_t, std::size_t> by_thread_;
    std::vector<thread_answer> answers_;  // of the thread of the same index
    std::size_t missing_ = 0;
    std::unique_ptr<answers> memory_;
};

reply collection::ask_to_load(const std::string& path) {
    const std::size_t slots = std::min<std::size_t>(2 * dump_.threads.size() + 64, 65536);
    return agent_.request({"load", path, "1000", "none", fmt::format("threads={}", slots),
                           fmt::format("stack={}", slice_bytes)},
                          slow_deadline);
}

void collection::load() {
    const std::string path = find_module({module_name, {}}, attempt_);
    const auto end = clock::now() + other_patience;
    reply answer = ask_to_load(path);
    while (!answer.ok && answer.error.find("loaded already") != std::string::npos) {
        if (clock::now() >= end) agent_.request({"unload", module_name}, slow_deadline);
        std::this_thread::sleep_for(reason_interval);
        answer = ask_to_load(path);
        if (clock::now() >= end + other_patience) break;
    }
    expect_ok(std::move(answer), attempt_);
}

void collection::unload() {
    memory_.reset();
    expect_ok(agent_.request({"unload", module_name}, slow_deadline), attempt_);
}

void collection::open_memory() {
    expect_ok(agent_.request({"memory", module_name}, quick_deadline), attempt_);
    std::string why;
    memory_ = answers::open(agent_.take_descriptor(), why);
    if (!memory_) {
        fail(exit_error, "{}: cannot use the agent's memory: {}; try files of one build", attempt_,
             why);
    }
}

// All that have not answered.
void collection::ask() {
    for (std::size_t at = 0; at < dump_.threads.size();) {
        message request{"interrupt", std::to_string(NMI_REQUEST_BACKTRACE)};
        for (; at < dump_.threads.size() && request.size() < most_asked_at_once; ++at) {
            const dumped_thread& one = dump_.threads[at];
            if (!one.answered) request.push_back(std::to_string(one.state.thread_id));
        }
        if (request.size() == 2) continue;
        const message failed = expect_ok(agent_.request(request, quick_deadline), attempt_);
        for (std::size_t i = 1; i < failed.size(); ++i) {
            if (failed[i].ends_with("\t16")) {  // EBUSY
                fail(exit_error,
                     "{}: the program has taken SIGSTKFLT for itself, by which threads are asked; "
                     "try eu-stack, which stops it",
                     attempt_);
            }
        }
    }
}

void collection::take() {
    for (thread_answer& answer : memory_->take()) {
        const auto known = by_thread_.find(answer.thread_id);
        if (known == by_thread_.end()) continue;
        dumped_thread& thread = dump_.threads[known->second];
        if (thread.answered) continue;
        thread.answered = true;
        thread.held_ns = answer.held_ns;
        answers_[known->second] = std::move(answer);
        --missing_;
    }
}

// Why the missing are missing. True: of each it is known now, and was at the last look.
bool collection::explain() {
    bool all = true;
    for (dumped_thread& thread : dump_.threads) {
        if (thread.answered) continue;
        const thread_state now = state_of(dump_.pid, thread.state.thread_id);
        const std::string reason = why_silent(now);
        // One that runs may be about to unblock signals: a thread that begins does.
        if (reason.empty() || reason != thread.reason || now.state == 'R') all = false;
        thread.reason = reason;
    }
    return all;
}

void collection::gather(milliseconds timeout) {
    open_memory();
    missing_ = dump_.threads.size();
    const auto end = clock::now() + timeout;
    auto next_ask = clock::now(), next_reason = clock::now() + reason_interval;
    while (missing_ != 0 && clock::now() < end) {
        if (clock::now() >= next_ask) {
            ask();
            next_ask = clock::now() + ask_again_interval;
        }
        take();
        if (missing_ == 0) break;
        if (clock::now() >= next_reason) {
            if (explain()) break;
            next_reason = clock::now() + reason_interval;
        }
        std::this_thread::sleep_for(look_interval);
    }
    take();
    explain();
    const std::string late =
        fmt::format("it did not run within {} ms; the machine may be busy", timeout.count());
    const bool no_room = memory_->missed() != 0;
    for (dumped_thread& thread : dump_.threads) {
        if (thread.answered) {
            thread.reason.clear();
        } else if (thread.reason.empty()) {
            thread.reason = no_room ? "there was no room for its answer" : late;
        }
    }
    dump_.malformed = memory_->malformed();
}

// By the unwinding tables, where they lead to the outermost frame or further than frame pointers
// do; else by those, as far as each outer frame is a place that code can call from.
std::vector<dumped_frame> collection::frames_of(const thread_answer& answer, const memory_map& map,
                                                symbolizer& names, slice_unwinder& unwinder) const {
    std::vector<std::uint64_t> addresses;
    walk_end end = walk_end::no_rules;
    if (!answer.registers.empty()) {
        end =
            unwinder.unwind({answer.registers, answer.stack_pointer, answer.stack}, map, addresses);
    }
    const bool by_tables = end == walk_end::outermost || addresses.size() > answer.addresses.size();
    std::vector<dumped_frame> frames;
    for (const std::uint64_t address : by_tables ? addresses : answer.addresses) {
        const bool is_inner = frames.empty();
        const code_place place = map.find(is_inner ? address : address - 1);
        if (!by_tables && !is_inner && !names.is_call(place)) break;
        frames.push_back({address, names.name(place)});
    }
    return frames;
}

process_dump collection::finish() {
    // Of a thread that lives: once the first one has ended, the process shows no memory.
    int living = dump_.pid;
    for (const dumped_thread& thread : dump_.threads) {
        if (thread.answered) living = thread.state.thread_id;
    }
    memory_map map(living);
    map.refresh();
    symbolizer names(map);
    slice_unwinder unwinder;
    for (std::size_t i = 0; i < answers_.size(); ++i)
        dump_.threads[i].frames = frames_of(answers_[i], map, names, unwinder);
    return std::move(dump_);
}

}  // namespace

process_dump collect(client& agent, int pid, milliseconds timeout, const std::string& attempt) {
    collection now(agent, pid, attempt);
    now.load();
    try {
        now.gather(timeout);
    } catch (const complaint&) {
        agent.request({"unload", module_name}, slow_deadline);
        throw;
    }
    now.unload();
    return now.finish();
}

}  // namespace nmircu::command
