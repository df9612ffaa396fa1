// SPDX-License-Identifier: MIT
//
// Where the agent meets the program it is preloaded into: before main, at each new thread, at fork,
// at exit. Everything the program can see of us is arranged here; errno is left as it was, and so
// are signal masks, but for the two NMI signals at the beginning of each thread.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <agent/control.hpp>
#include <agent/entry.hpp>
#include <agent/follow.hpp>
#include <agent/protocol.hpp>

#include "platform/linux/signal_tag.hpp"
#include "platform/linux/sources.hpp"

namespace nmircu::agent {
namespace {

constexpr const char* preload_variable = "LD_PRELOAD";

// A connected socket, or -1: what else the number may mean is none of our business.
int socket_from(const char* text) {
    if (text == nullptr || *text == '\0') return -1;
    char* end = nullptr;
    const long number = std::strtol(text, &end, 10);
    if (*end != '\0' || number < 0 || number > 1 << 20) return -1;
    int type = 0;
    socklen_t size = sizeof type;
    const int fd = static_cast<int>(number);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? fd : -1;
}

int take_channel_variable() {
    const int channel = socket_from(std::getenv(channel_variable));
    unsetenv(channel_variable);
    return channel;
}

bool is_separator(char c) {
    return c == ' ' || c == ':';
}

std::string_view last_part(std::string_view path) {
    return path.substr(path.find_last_of('/') + 1);
}

// By the name of the file: an entry may have had $ORIGIN or $LIB in it.
bool is_own_entry(std::string_view entry, const char* own_path) {
    return last_part(entry) == last_part(own_path);
}

// Takes our entry out of the list, in place: a child is to be as without us, whoever else is there.
void forget_preload() {
    Dl_info own{};
    char* const list = std::getenv(preload_variable);
    if (list == nullptr || dladdr(reinterpret_cast<void*>(forget_preload), &own) == 0) return;
    char* to = list;
    for (const char* from = list; *from != '\0';) {
        const char* end = from;
        while (*end != '\0' && !is_separator(*end))
            ++end;
        const auto bytes = static_cast<std::size_t>(end - from);
        if (bytes != 0 && !is_own_entry({from, bytes}, own.dli_fname)) {
            if (to != list) *to++ = ':';
            std::memmove(to, from, bytes);
            to += bytes;
        }
        from = *end == '\0' ? end : end + 1;
    }
    *to = '\0';
    if (to == list) unsetenv(preload_variable);
}

// An interrupt that cannot be masked: libraries start their threads with every signal blocked (xz's
// does), and would never be seen. Of the two signals the program has no use.
void unblock_nmis() {
    constexpr auto bit = [](int signo) { return std::uint64_t{1} << (signo - 1); };
    const std::uint64_t nmis = bit(platform::perf_signal) | bit(platform::nmi_signal);
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &nmis, nullptr, sizeof nmis);
}

// Not true of an agent that was put into a running program, which finds libc's before ours.
bool is_interposed() {
    return dlsym(RTLD_DEFAULT, "pthread_create") == reinterpret_cast<void*>(::pthread_create);
}

// After the core's own constructors, before those of a program that has no priority to ask for.
[[gnu::constructor(200)]] void attach() {
    if (!is_interposed()) return;  // entry.cpp has the beginning of that one
    const int saved_errno = errno;
    const int channel = take_channel_variable();
    follow(std::getenv(follow_variable));
    prepare_process(threads_start::are_seen);
    unblock_nmis();
    const bool started =
        start_control({channel, scan_interval_ns()}, libcs_pthread_create) == start_result::started;
    if (started) wait_for_control();
    if (channel >= 0) close(channel);  // the control thread has its own
    if (!started) follow(nullptr);
    if (!follows()) {
        unsetenv(follow_variable);
        forget_preload();
    }
    if (started) wait_for_start();
    errno = saved_errno;
}

[[gnu::destructor(200)]] void detach() {
    say_goodbye();
}

// What a new thread is to run, on its way there. Fixed places, because the program's allocator may
// itself be creating this thread; more than these at once, and the allocator it is.
struct thread_start {
    std::atomic<bool> used;
    void* (*function)(void*);
    void* argument;
};
constinit thread_start places[256]{};

bool is_place(const thread_start* start) {
    return start >= std::begin(places) && start < std::end(places);
}

thread_start* claim_place() {
    for (thread_start& place : places) {
        // [AG-3] acquire: the thread that had this place has read what was in it.
        // Partner: the release at [AG-4]. Weakened: a thread runs another one's function.
        if (!place.used.load(std::memory_order_relaxed) &&  // settled by the exchange
            !place.used.exchange(true, std::memory_order_acquire)) {
            return &place;
        }
    }
    return static_cast<thread_start*>(std::malloc(sizeof(thread_start)));
}

void release_place(thread_start* start) {
    if (!is_place(start)) return std::free(start);
    // [AG-4] release: what was in it has been read. Partner: the acquire at [AG-3].
    // Weakened: as [AG-3].
    start->used.store(false, std::memory_order_release);
}

void* run_thread(void* argument) {
    auto* const start = static_cast<thread_start*>(argument);
    void* (*const function)(void*) = start->function;
    void* const function_argument = start->argument;
    release_place(start);
    if (has_control()) {
        const int saved_errno = errno;
        unblock_nmis();
        platform::thread_started();
        errno = saved_errno;
    }
    return function(function_argument);
}

}  // namespace
}  // namespace nmircu::agent

// Exported: every thread the program or a library of its creates begins in
// run_thread, so that it can be interrupted from its first moments.
extern "C" __attribute__((visibility("default"))) int pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*), void* argument) {
    using namespace nmircu::agent;
    thread_start* const start = claim_place();
    if (start == nullptr) return EAGAIN;
    start->function = function;
    start->argument = argument;
    const int error = libcs_pthread_create(thread, attributes, run_thread, start);
    if (error != 0) release_place(start);
    return error;
}
