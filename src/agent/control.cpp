// SPDX-License-Identifier: MIT
//
// The agent's threads and what the process sees of them; see control.hpp.
#include <agent/control.hpp>

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <nmircu/platform/port.hpp>

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
constexpr std::uint64_t goodbye_ns = std::uint64_t{finish_deadline_ms + 1000} * 1'000'000;

// The control thread is woken by a signal it blocks and reads from a descriptor: the one kind of
// wake-up that needs no descriptor on the caller's side, whose table is another (own_files.hpp).
// Nobody's handler runs. The signal is ours anyway.
constexpr int wake_signal = platform::nmi_signal;

constinit agent_gates gates;

// Relaxed everywhere: written before `gates.ready` opens or by the child's only thread.
constinit std::atomic<int> control_thread{0};
constinit std::atomic<int> process{0};  // that has the agent; 0: none
char socket_path_text[128];             // written before `gates.ready` opens; empty: no socket
int channel_to_take = -1;               // written before the control thread is started

void wake_control() {
    const int thread = control_thread.load(std::memory_order_relaxed);
    if (thread != 0) syscall(SYS_tgkill, getpid(), thread, wake_signal);
}

// Made by whichever thread is first, and never destroyed.
executor& worker() {
    static executor& only = *new executor(wake_control);
    return only;
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

void control_main() {
    control_thread.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_relaxed);
    const file_table table = leave_shared_files(channel_to_take);
    static module_table& modules =
        *new module_table([](const std::function<void()>& call) { worker().on_control(call); });
    server_files files{};
    files.channel = take_channel(table);
    files.wake = make_wake_file();
    files.rings = make_rings();
    files.listener = make_listener();
    static server& loop = *new server(files, gates, worker(), modules);
    loop.run();
}

void worker_main() {
    worker().run();
}

}  // namespace

bool start_control(int channel, create_function create) {
    channel_to_take = channel;
    process.store(getpid(), std::memory_order_relaxed);
    if (start_own_thread("nmi-worker", worker_main, create) != 0 ||
        start_own_thread("nmi-agent", control_main, create) != 0) {
        process.store(0, std::memory_order_relaxed);
        return false;
    }
    gates.ready.wait();
    return true;
}

void wait_for_start() {
    if (channel_to_take >= 0) gates.start.wait();
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
    if (socket_path_text[0] != '\0') unlink(socket_path_text);
}

void forget_control() noexcept {
    if (process.exchange(0, std::memory_order_relaxed) == 0) return;
    rings().detach();
    close_inherited_files();
}

}  // namespace nmircu::agent
