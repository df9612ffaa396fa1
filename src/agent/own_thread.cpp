// SPDX-License-Identifier: MIT
//
// The agent's own threads; see own_thread.hpp.
#include <agent/own_thread.hpp>

#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "platform/linux/libc_signals.hpp"
#include "platform/linux/stack_walk.hpp"
#include "platform/linux/thread_list.hpp"

namespace nmircu::agent {
namespace {

constexpr std::size_t stack_bytes = std::size_t{256} << 10;

// Relaxed: whoever reads it was started with it.
constinit std::atomic<create_function> latest_create{nullptr};

struct thread_start {
    const char* name;
    void (*function)(void*);
    void* argument;
    sem_t named;
};

void* run(void* argument) {
    auto* start = static_cast<thread_start*>(argument);
    pthread_setname_np(pthread_self(), start->name);
    auto* const function = start->function;
    void* const its_argument = start->argument;
    sem_post(&start->named);
    const auto self = static_cast<int>(syscall(SYS_gettid));
    platform::hide_thread(self);
    platform::learn_first_frame();
    function(its_argument);
    platform::show_thread(self);
    return nullptr;
}

// Others tell our threads from the program's by their names. Signals are blocked here.
void wait_until_named(thread_start& thread) {
    int cancel = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    while (sem_wait(&thread.named) != 0 && errno == EINTR) {
    }
    pthread_setcancelstate(cancel, nullptr);
}

// What static thread-local storage takes comes out of the stack, and may be much.
std::size_t enough_stack() {
    const long least = sysconf(_SC_THREAD_STACK_MIN);
    return stack_bytes + (least > 0 ? static_cast<std::size_t>(least) : PTHREAD_STACK_MIN);
}

}  // namespace

int start_own_thread(const char* name, void (*function)(void*), void* argument,
                     create_function create) noexcept {
    latest_create.store(create, std::memory_order_relaxed);  // see its declaration
    thread_start start{name, function, argument, {}};
    sem_init(&start.named, 0, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, enough_stack());
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    // Inherited by the thread. libc's own two signals stay open: setuid needs them everywhere.
    sigset_t all, before;
    sigfillset(&all);
    platform::libc.set_mask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const int error = create(&thread, &attributes, run, &start);
    if (error == 0) wait_until_named(start);
    platform::libc.set_mask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    return error;
}

int start_another_thread(const char* name, void (*function)(void*), void* argument) noexcept {
    // See its declaration: relaxed.
    return start_own_thread(name, function, argument,
                            latest_create.load(std::memory_order_relaxed));
}

}  // namespace nmircu::agent
