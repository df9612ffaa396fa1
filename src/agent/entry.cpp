// SPDX-License-Identifier: MIT
//
// The way into a program that runs already: `nmi attach` loads this object there, with the program
// none the wiser, and has one of its threads call nmi_agent_enter. That thread may hold any lock of
// the program's, so nothing here waits for another thread, and none of the program's environment or
// masks is touched.
#include <agent/entry.hpp>

#include <dlfcn.h>

#include <atomic>
#include <cerrno>

#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/nmi.hpp>

#include <agent/code_object.hpp>
#include <agent/control.hpp>
#include <agent/follow.hpp>
#include <agent/host.hpp>
#include <agent/interpose_signals.hpp>

#include "platform/linux/sources.hpp"

namespace nmircu::agent {
namespace {

constexpr std::uint64_t millisecond = 1'000'000;

// As prepare_process.
bool is_prepared = false;
threads_start threads = threads_start::are_not_seen;

void after_fork_in_parent() {
    release_loads();
}

// Its samples begin here, for the source runs when this returns. What is loaded was inherited.
void begin_in_fork() {
    rings().release();
    const control_settings settings{-1, scan_interval_ns(), origin::fork};
    if (start_control(settings, libcs_pthread_create) == start_result::started) {
        wait_briefly_for_control();
    }
}

void after_fork_in_child() {
    const int saved_errno = errno;
    release_loads();
    forget_control();
    if (follows()) begin_in_fork();
    errno = saved_errno;
}

bool any_handler() {
    nmi_handler_statistics one;
    return nmi_handlers(&one, 1, nullptr, 0) != 0;
}

// The call of somebody who died in the middle goes on without him.
constinit pthread_mutex_t entering = PTHREAD_MUTEX_INITIALIZER;

int enter_alone() {
    if (has_parents_agent()) {
        if (any_handler()) return entry_forked;
        rings().release();
    }
    prepare_process(threads_start::are_not_seen);
    switch (start_control({-1, scan_interval_ns()}, libcs_pthread_create)) {
        case start_result::started:
            return 0;
        case start_result::occupied:
            return entry_has_agent;
        case start_result::no_thread:
            break;
    }
    return entry_no_thread;
}

int enter() {
    if (pthread_mutex_trylock(&entering) != 0) return entry_has_agent;
    const int result = enter_alone();
    pthread_mutex_unlock(&entering);
    return result;
}

}  // namespace

void prepare_process(threads_start how) {
    if (is_prepared) return;
    is_prepared = true;
    threads = how;
    use_libcs_signals();
    detail::expect_no_retiring_handlers();  // modules cannot: one thread less in the program
    nmi_attach();
    // Exact maxima and means; the clock is read twice per NMI, which at these rates is nothing.
    nmi_set_timing_interval(1);
    // The program's stderr is the program's: what these would say is in the status.
    nmi_set_unknown_policy(nmi_unknown_policy::ignore);
    nmi_set_longest_allowed(0);
    platform::watch_forks();  // first, so that a source can start in our child handler
    pthread_atfork(hold_loads, after_fork_in_parent, after_fork_in_child);
}

std::uint64_t scan_interval_ns() {
    // Threads that do not report their start are interrupted from the first look on.
    return threads == threads_start::are_seen ? 100 * millisecond : 20 * millisecond;
}

int libcs_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                         void* (*function)(void*), void* argument) noexcept {
    // Relaxed: whoever finds null looks it up himself, and everybody finds the same.
    static constinit std::atomic<create_function> known{nullptr};
    create_function create = known.load(std::memory_order_relaxed);
    if (create == nullptr) {
        create = reinterpret_cast<create_function>(dlsym(RTLD_NEXT, "pthread_create"));
        if (create == nullptr) return EAGAIN;
        known.store(create, std::memory_order_relaxed);
    }
    return create(thread, attributes, function, argument);
}

}  // namespace nmircu::agent

#define EXPORTED extern "C" __attribute__((visibility("default")))

// Where the command reads how it went: 0, or an entry_ number of entry.hpp.
EXPORTED volatile int nmi_agent_entry_result;
volatile int nmi_agent_entry_result = 0;

// Context: thread, any; waits for nobody.
EXPORTED void nmi_agent_enter() {
    const int saved_errno = errno;
    nmi_agent_entry_result = nmircu::agent::enter();
    errno = saved_errno;
}
