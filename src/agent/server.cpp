// SPDX-License-Identifier: MIT
//
// The control thread's loop; see server.hpp.
#include <agent/server.hpp>

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include <nmircu/platform/port.hpp>

#include <agent/follow.hpp>
#include <agent/listener.hpp>
#include <agent/own_files.hpp>
#include <agent/status.hpp>
#include <agent/thread_requests.hpp>

namespace nmircu::agent {
namespace {

constexpr std::size_t most_peers = 32;
constexpr std::uint64_t millisecond = 1'000'000;
constexpr std::uint64_t scan_costs_at_most = 20;  // one part in so many of a CPU
constexpr std::uint64_t leave_wait_ns = 1000 * millisecond;
constexpr std::uint64_t late_status_wait_ns = 1000 * millisecond;
constexpr int look_ms = 20;  // without a wake file, or when it is better not watched

bool is_operation(const std::string& verb) {
    return verb == "load" || verb == "borrow" || verb == "swap" || verb == "unload" ||
           verb == "detach";
}

}  // namespace

server::server(const server_files& files, agent_gates& gates, executor& worker,
               module_table& modules, std::uint64_t rescan_ns)
    : files_(files),
      gates_(gates),
      worker_(worker),
      modules_(modules),
      operations_(worker, modules),
      rescan_ns_(rescan_ns) {
    if (files.channel >= 0) {
        channel_id_ = next_id_;
        add_peer(files.channel);
    }
}

server::~server() {
    for (const int file : {files_.wake, files_.listener, files_.rings})
        close_own_file(file);
}

void server::run() {
    gates_.ready.open();
    while (!may_leave())
        step();
}

// Whoever does not take his answers in time goes without.
bool server::may_leave() const {
    if (leave_deadline_ns_ == 0) return false;
    return now_ns_ >= leave_deadline_ns_ ||
           std::none_of(peers_.begin(), peers_.end(),
                        [](const auto& peer) { return peer->must_flush(); });
}

void server::step() {
    wait_for_something();
    now_ns_ = platform::port::now_ns();
    worker_.serve();
    advance_operations();
    answer_late_status();
    begin_exit();
    accept_peers();
    drop_finished();
    watch_exit();
    rescan();
}

int server::timeout_ms() const {
    std::uint64_t first = ~std::uint64_t{0};
    const auto consider = [&](std::uint64_t deadline) {
        if (deadline != 0) first = std::min(first, deadline);
    };
    for (const auto& peer : peers_)
        consider(peer->deadline_ns());
    consider(operations_.deadline_ns());
    if (!late_status_.empty()) consider(late_status_ns_);
    if (source_runs_) consider(next_rescan_ns_);
    consider(finish_deadline_ns_);
    consider(leave_deadline_ns_);
    const int longest = watches_wake_file() ? -1 : look_ms;
    if (first == ~std::uint64_t{0}) return longest;
    const std::uint64_t now = platform::port::now_ns();
    const int left = first <= now ? 0 : static_cast<int>((first - now) / millisecond) + 1;
    return longest < 0 ? left : std::min(left, longest);
}

// Whoever polls a signalfd is woken by every signal to the process, whatever it is for. While a
// source runs that would be two switches for each interrupt; and then there is a look at the
// threads every few milliseconds anyway, except that a load or swap is not kept waiting.
bool server::watches_wake_file() const {
    return files_.wake >= 0 && (!source_runs_ || !operations_.idle());
}

void server::take_wake() {
    if (files_.wake < 0) return;
    signalfd_siginfo woken;
    if (read(files_.wake, &woken, sizeof woken) < 0 && errno == EBADF) files_.wake = -1;
}

void server::wait_for_something() {
    polled_.clear();
    // poll ignores negative numbers.
    polled_.push_back({watches_wake_file() ? files_.wake : -1, POLLIN, 0});
    polled_.push_back({files_.listener, POLLIN, 0});
    for (const auto& peer : peers_) {
        const int events = (peer->listens() ? POLLIN : 0) | (peer->must_flush() ? POLLOUT : 0);
        polled_.push_back({peer->socket(), static_cast<short>(events), 0});
    }
    const int ready = poll(polled_.data(), polled_.size(), timeout_ms());
    take_wake();
    if (ready <= 0) return;
    now_ns_ = platform::port::now_ns();
    for (std::size_t i = 2; i < polled_.size(); ++i)
        serve(*peers_[i - 2], polled_[i].revents);
}

void server::serve(connection& peer, short events) {
    if ((events & POLLNVAL) != 0) return peer.give_up();
    if ((events & POLLOUT) != 0) peer.flush(now_ns_);
    if ((events & POLLIN) != 0 && peer.listens()) {
        peer.receive(now_ns_);
    } else if ((events & (POLLHUP | POLLERR)) != 0) {
        // Both directions are closed: whoever asked is gone.
        peer.give_up();
    }
    answer_requests(peer);
}

void server::answer_requests(connection& peer) {
    message request;
    while (peer.next(request))
        answer(peer, request);
}

void server::answer(connection& peer, const message& request) {
    const std::string& verb = request[0];
    if (verb == "hello") {
        peer.send({"ok", version_text, std::to_string(getpid())}, -1, now_ns_);
    } else if (verb == "rings") {
        send_rings(peer);
    } else if (verb == "memory") {
        send_memory(peer, request);
    } else if (verb == "interrupt") {
        peer.send(interrupt_threads(request), -1, now_ns_);
    } else if (verb == "start") {
        peer.send({"ok"}, -1, now_ns_);  // first: the program may be short
        gates_.start.open();
    } else if (verb == "follow" && request.size() == 2) {
        follow(request[1].c_str());
        peer.send({"ok"}, -1, now_ns_);
    } else if (verb == "finish") {
        finish(peer);
    } else if (verb == "status") {
        peer.waiting = true;
        if (late_status_.empty()) late_status_ns_ = now_ns_ + late_status_wait_ns;
        late_status_.push_back(peer.id());
        answer_late_status();
    } else if (is_operation(verb)) {
        peer.waiting = true;
        operations_.add(peer.id(), request, now_ns_);
        advance_operations();
    } else {
        peer.send(error_reply({failure::unknown_verb, "the agent knows no request '" + verb + "'",
                               "this agent speaks version " + std::string(version_text)}),
                  -1, now_ns_);
    }
}

// One reader at a time: each record goes to whoever takes it first.
void server::send_rings(connection& peer) {
    if (reader_id_ != peer.id() && find(reader_id_) != nullptr) {
        peer.send(error_reply({failure::busy, "somebody else reads the program's records",
                               "wait for the other nmi to end"}),
                  -1, now_ns_);
        return;
    }
    if (files_.rings >= 0) {
        reader_id_ = peer.id();
        return peer.send({"ok"}, files_.rings, now_ns_);
    }
    peer.send(error_reply({failure::internal, "the program could not make its rings",
                           "it may be out of memory or descriptors"}),
              -1, now_ns_);
}

void server::send_memory(connection& peer, const message& request) {
    const int file = request.size() == 2 ? modules_.memory_of(request[1]) : -1;
    if (file >= 0) return peer.send({"ok"}, file, now_ns_);
    peer.send(error_reply({failure::name_unknown,
                           "no handler of that name is loaded that has memory to show",
                           "the status lists those that are loaded"}),
              -1, now_ns_);
}

void server::finish(connection& peer) {
    if (peer.id() != channel_id_) {
        peer.send(error_reply({failure::malformed, "finish is for the channel of nmi run",
                               "the program does not wait for this connection"}),
                  -1, now_ns_);
        return;
    }
    peer.send({"ok"}, -1, now_ns_);
    gates_.finish.open();
}

connection* server::find(std::uint64_t id) {
    for (const auto& peer : peers_) {
        if (peer->id() == id) return peer.get();
    }
    return nullptr;
}

void server::answer_later(std::uint64_t id, const message& reply) {
    connection* const peer = find(id);
    if (peer == nullptr) return;
    peer->waiting = false;
    peer->send(reply, -1, now_ns_);
}

void server::advance_operations() {
    operations_.advance(
        now_ns_, [&](std::uint64_t id, const message& reply) { answer_later(id, reply); },
        [&] { last_loaded_ = modules_.loaded(); });
    if (operations_.detached() && leave_deadline_ns_ == 0) {
        leave_deadline_ns_ = now_ns_ + leave_wait_ns;
    }
}

void server::answer_late_status() {
    if (late_status_.empty()) return;
    if (operations_.idle()) {
        last_loaded_ = modules_.loaded();
    } else if (now_ns_ < late_status_ns_) {
        return;
    }
    const message reply = status();
    const std::vector<std::uint64_t> ids = std::move(late_status_);
    late_status_.clear();
    for (const std::uint64_t id : ids)
        answer_later(id, reply);
}

message server::status() {
    return status_reply(source_at_exit_ ? *source_at_exit_ : platform::current_source(),
                        last_loaded_, modules_.retired());
}

void server::add_peer(int socket) {
    peers_.push_back(std::make_unique<connection>(socket, next_id_++));
}

// A stranger who opens connections and keeps silent does not lock anybody out.
void server::make_room() {
    if (peers_.size() < most_peers) return;
    connection* quietest = nullptr;
    for (const auto& peer : peers_) {
        if (peer->id() == channel_id_ || peer->waiting) continue;
        if (quietest == nullptr || peer->active_ns() < quietest->active_ns()) quietest = peer.get();
    }
    if (quietest != nullptr) quietest->give_up();
    drop_finished();
}

void server::accept_peers() {
    if (files_.listener < 0 || polled_[1].revents == 0) return;
    if ((polled_[1].revents & POLLNVAL) != 0) {
        files_.listener = -1;  // a program with our table in common closed it
        return;
    }
    make_room();
    const int socket = accept_peer(files_.listener);
    if (socket < 0) return;
    add_peer(socket);
    peers_.back()->touch(now_ns_);
}

void server::drop_finished() {
    for (const auto& peer : peers_) {
        // What it sent while an earlier request was worked on, or while it did not read.
        answer_requests(*peer);
        const std::uint64_t deadline = peer->deadline_ns();
        if (deadline != 0 && now_ns_ >= deadline) peer->give_up();
        if (!peer->finished()) continue;
        operations_.forget(peer->id(), now_ns_);
        if (peer->id() == channel_id_) {
            channel_id_ = 0;
            gates_.start.open();
            gates_.finish.open();
        }
    }
    if (std::erase_if(peers_, [](const auto& peer) { return peer->finished(); }) != 0) {
        advance_operations();  // what they had borrowed
    }
}

void server::begin_exit() {
    // Relaxed: the flag stands alone; what the program did before is of no concern here.
    if (exiting_ || !gates_.exiting.load(std::memory_order_relaxed)) return;
    exiting_ = true;
    source_at_exit_ = platform::current_source();
    modules_.stop_for_good();
    connection* const channel = find(channel_id_);
    if (channel == nullptr) return gates_.finish.open();
    channel->send({"exiting"}, -1, now_ns_);
    finish_deadline_ns_ = now_ns_ + std::uint64_t{finish_deadline_ms} * millisecond;
}

void server::watch_exit() {
    if (finish_deadline_ns_ == 0 || now_ns_ < finish_deadline_ns_) return;
    finish_deadline_ns_ = 0;
    gates_.finish.open();
}

void server::rescan() {
    source_runs_ = platform::current_source().running;
    if (!source_runs_ || now_ns_ < next_rescan_ns_) return;
    platform::rescan_threads();
    const std::uint64_t end_ns = platform::port::now_ns();
    next_rescan_ns_ = end_ns + std::max(rescan_ns_, (end_ns - now_ns_) * scan_costs_at_most);
}

}  // namespace nmircu::agent
