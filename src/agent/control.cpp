// SPDX-License-Identifier: MIT
//
// The agent's threads and what the process sees of them; see control.hpp.
#include <agent/control.hpp>

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include <nmircu/platform/port.hpp>

#include <agent/follow.hpp>
#include <agent/host.hpp>
#include <agent/listener.hpp>
#include <agent/own_files.hpp>
#include <agent/own_thread.hpp>
#include <agent/server.hpp>

#include "platform/linux/signal_tag.hpp"

namespace nmircu::agent {
namespace {

// Per CPU; taken only as it is written. Room for two seconds of a busy CPU's samples at 1 kHz.
constexpr std::uint64_t ring_bytes = std::uint64_t{1} << 20;
constexpr std::uint32_t most_rings = 1024;
constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t goodbye_ns = std::uint64_t{finish_deadline_ms + 1000} * 1'000'000;

// The control thread is woken by a signal it blocks and reads from a descriptor: the one kind of
// wake-up that needs no descriptor on the caller's side, whose table is another (own_files.hpp).
// Nobody's handler runs. The signal is ours anyway.
constexpr int wake_signal = platform::nmi_signal;

constinit agent_gates gates;
constinit gate worker_gone;

// One agent at a time, from its entry to its control thread's last look at any of this.
enum class life : int { none, some };
constinit std::atomic<life> state{life::none};
constinit std::atomic<int> process{0};  // that has the agent; 0: none. Relaxed: a forked child,
                                        // which has one thread, finds its parent's number here
constinit std::atomic<bool> is_fork_of_agent{false};
char socket_path_text[128];  // written before `gates.ready` opens; empty: no socket
int channel_to_take = -1;    // the rest: written before the threads are started
std::uint64_t scan_every_ns = 0;
origin came_from = origin::program;
create_function create_thread = nullptr;
executor* worker = nullptr;
module_table* modules = nullptr;  // in the child of a fork, its parent's

// Who wakes the control thread holds this, so that it is there to be woken.
constinit pthread_mutex_t waking = PTHREAD_MUTEX_INITIALIZER;
int control_thread = 0;  // under `waking`; 0: none

void set_control_thread(int thread) {
    pthread_mutex_lock(&waking);
    control_thread = thread;
    pthread_mutex_unlock(&waking);
}

void wake_control() {
    pthread_mutex_lock(&waking);
    if (control_thread != 0) syscall(SYS_tgkill, getpid(), control_thread, wake_signal);
    pthread_mutex_unlock(&waking);
}

// Raw: signalfd is the one of interpose_signals.cpp, which never shows this signal. The kernel's
// set has 8 bytes.
int make_wake_file() {
    const std::uint64_t only = std::uint64_t{1} << (wake_signal - 1);
    const long file = syscall(SYS_signalfd4, -1, &only, sizeof only, SFD_CLOEXEC | SFD_NONBLOCK);
    return adopt_file(static_cast<int>(file));
}

int make_rings() {
    const std::uint32_t cpus = platform::port::possible_cpus();
    const int file = rings().create(cpus < most_rings ? cpus : most_rings, ring_bytes);
    return file < 0 ? -1 : adopt_file(file);
}

int make_listener() {
    std::string path;
    const int listener = listen_for_commands(path);
    if (path.size() < sizeof socket_path_text) {
        std::memcpy(socket_path_text, path.c_str(), path.size() + 1);
    }
    return listener;
}

// The channel in the table this thread now has.
int take_channel(file_table table) {
    if (channel_to_take < 0) return -1;
    const int channel =
        table == file_table::own ? channel_to_take : adopt_file(dup(channel_to_take));
    return channel;
}

void remove_socket() {
    if (socket_path_text[0] != '\0') unlink(socket_path_text);
}

// Once it has no job.
void end_worker() {
    worker->end();
    worker_gone.wait();
    delete std::exchange(worker, nullptr);
}

// Serves until somebody asks the agent to leave.
void serve(int channel) {
    server_files files{};
    files.channel = channel;
    files.wake = make_wake_file();
    files.rings = make_rings();
    files.listener = make_listener();
    server loop(files, gates, *worker, *modules, scan_every_ns);
    if (came_from == origin::fork) modules->resume_source();
    if (files.listener >= 0 || files.channel >= 0) loop.run();
    remove_socket();  // first: nobody finds us any more
    end_worker();
}

void call_on_control(const std::function<void()>& call) {
    worker->on_control(call);
}

// Takes the place of the parent's table. What it holds has the numbers of descriptors in it, which
// only a table of our own has room for.
bool inherit_modules(file_table table) {
    module_table* const parents =
        std::exchange(modules, new module_table(call_on_control, create_thread));
    return came_from == origin::program || (table == file_table::own && modules->inherit(*parents));
}

void serve_or_leave() {
    const file_table table = leave_shared_files(channel_to_take);
    const bool whole = inherit_modules(table);
    int channel = take_channel(table);
    if (whole && channel < 0 && follows()) channel = connect_to_recorder();
    if (channel >= 0 || (whole && !follows())) return serve(channel);
    follow(nullptr);
    end_worker();
}

void control_main(void*) {
    set_control_thread(static_cast<int>(syscall(SYS_gettid)));
    serve_or_leave();
    delete std::exchange(modules, nullptr);
    follow(nullptr);
    rings().release();
    set_control_thread(0);
    process.store(0, std::memory_order_relaxed);
    gates.ready.open();  // if nobody could ever reach this one
    gates.start.open();
    gates.finish.open();
    // [AG-5] release: all of this agent has gone before the next one begins.
    // Partner: the acquire at [AG-6]. Weakened: two agents share gates and rings.
    state.store(life::none, std::memory_order_release);
}

void worker_main(void*) {
    worker->run();
    worker_gone.open();
}

bool start_threads(create_function create) {
    worker = new executor(wake_control);
    worker_gone.reset();
    if (start_own_thread("nmi-worker", worker_main, nullptr, create) != 0) {
        delete std::exchange(worker, nullptr);
        return false;
    }
    if (start_own_thread("nmi-agent", control_main, nullptr, create) == 0) return true;
    end_worker();
    return false;
}

}  // namespace

start_result start_control(const control_settings& settings, create_function create) {
    life none = life::none;
    // [AG-6] acquire: as [AG-5]. Partner: the release at [AG-5]. Weakened: as there.
    if (!state.compare_exchange_strong(none, life::some, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
        return start_result::occupied;
    }
    channel_to_take = settings.channel;
    create_thread = create;
    scan_every_ns = settings.scan_every_ns;
    came_from = settings.from;
    socket_path_text[0] = '\0';
    gates.ready.reset();
    gates.start.reset();
    gates.finish.reset();
    gates.exiting.store(false, std::memory_order_relaxed);  // before the threads are started
    process.store(getpid(), std::memory_order_relaxed);
    if (start_threads(create)) return start_result::started;
    process.store(0, std::memory_order_relaxed);
    state.store(life::none, std::memory_order_relaxed);  // nobody else has seen anything of it
    return start_result::no_thread;
}

void wait_for_control() {
    gates.ready.wait();
}

void wait_briefly_for_control() {
    gates.ready.wait_until(platform::port::now_ns() + second);
}

void wait_for_start() {
    if (channel_to_take >= 0) return gates.start.wait();
    if (!follows()) return;
    gates.start.wait_until(platform::port::now_ns() +
                           std::uint64_t{follow_deadline_ms} * 1'000'000);
}

bool has_control() noexcept {
    // A child made without fork handlers (the raw system call) has its parent's number here.
    return process.load(std::memory_order_relaxed) == getpid();
}

void say_goodbye() {
    if (!has_control()) return;
    gates.exiting.store(true, std::memory_order_relaxed);  // begin_exit says why that is enough
    wake_control();
    gates.finish.wait_until(platform::port::now_ns() + goodbye_ns);
    remove_socket();
}

void forget_control() noexcept {
    // The child has one thread: whoever held this, or was leaving, is not here.
    waking = PTHREAD_MUTEX_INITIALIZER;
    control_thread = 0;
    worker = nullptr;
    state.store(life::none, std::memory_order_relaxed);  // as above
    if (process.exchange(0, std::memory_order_relaxed) == 0) return;
    rings().detach();
    close_inherited_files();
    is_fork_of_agent.store(true, std::memory_order_relaxed);  // the child's one thread
}

bool has_parents_agent() noexcept {
    return is_fork_of_agent.load(std::memory_order_relaxed);  // as above
}

}  // namespace nmircu::agent
