// SPDX-License-Identifier: MIT
//
// What happens when the library is loaded into a process, and when the process forks. The engine
// works before this has run, only slower: readers count with atomics until it has.
#include <pthread.h>
#include <signal.h>

#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/platform/race_checker.hpp>
#include <nmircu/platform/reader.hpp>
#include <nmircu/rcu.hpp>

#include "platform/linux/ask_threads.hpp"
#include "platform/linux/environment.hpp"
#include "platform/linux/irq_vector.hpp"
#include "platform/linux/libc_signals.hpp"
#include "platform/linux/signal_vector.hpp"

namespace nmircu::platform {

__thread detail::reader_state reader_state_of_this_thread
    __attribute__((tls_model("initial-exec"))) = {.section = 0,
                                                  .per_cpu = nullptr,
                                                  .domain = &detail::default_domain,
                                                  .entered_at = nullptr,
                                                  .handler = nullptr,
                                                  .nmi_depth = 0,
                                                  .until_timed = 1,
                                                  .is_updater = 0,
                                                  .reclaims = detail::reader_state::no,
                                                  .deleter = nullptr,
                                                  .is_reclaimer = 0,
                                                  .retiring = 0,
                                                  .locked_at = nullptr,
                                                  .unlocked_at = nullptr,
                                                  .entered_frame = nullptr,
                                                  .entered_frame_at = nullptr,
                                                  .claimed_several_at = 0,
                                                  .called_name = nullptr,
                                                  .called_function = nullptr,
                                                  .dispatch_frame = nullptr,
                                                  .irq_mask = 0,
                                                  .irq_kept = 0,
                                                  .irq_depth = 0,
                                                  .deferred = nullptr,
                                                  .deferring = detail::reader_state::no_items,
                                                  .queueing = 0};

namespace {

// Deferred work first: its functions may wait for what the engine holds.
void before_fork() {
    detail::deferred_before_fork();
    detail::engine_before_fork();
}

void after_fork() {
    detail::engine_after_fork();
    detail::deferred_after_fork();
}

// Every signal stays out: a handler that ran between two of the engine's stores would count in half
// a domain. (perf events do not cross fork, so no unblockable SIGTRAP arrives.)
void forked() {
    sigset_t all, before;
    sigfillset(&all);
    libc.set_mask(SIG_SETMASK, &all, &before);
    forget_questions();
    signal_vectors_forked();
    detail::engine_forked();
    detail::dispatch_forked();
    forget_kept_interrupts();
    detail::irqs_forked();
    detail::deferred_forked();
    libc.set_mask(SIG_SETMASK, &before, nullptr);
}

// A race checker has to be told what readers do, which only their out-of-line path does.
// NMIRCU_MEMBARRIER=0 makes every reader count with atomics, for a program that will forbid
// membarrier to itself later on.
detail::barrier_choice wanted_barrier() noexcept {
    std::uint64_t value = 1;
    read_setting("NMIRCU_MEMBARRIER", {0, 1}, value);
    return value == 0 || is_watched() ? detail::barrier_choice::symmetric
                                      : detail::barrier_choice::best;
}

void read_limits() noexcept {
    constexpr std::uint64_t a_year_ms = 365ull * 24 * 3600 * 1000;
    std::uint64_t value = 0;
    if (read_setting("NMIRCU_STALL_LIMIT_MS", {0, a_year_ms}, value)) rcu_set_stall_limit(value);
    if (read_setting("NMIRCU_BACKLOG_LIMIT", {1, std::uint64_t{1} << 40}, value)) {
        rcu_set_backlog_limit(value);
    }
}

[[gnu::constructor(102)]] void start() {
    find_race_checker();
    read_limits();
    detail::start_engine(wanted_barrier());
    pthread_atfork(before_fork, after_fork, forked);
}

}  // namespace

}  // namespace nmircu::platform
