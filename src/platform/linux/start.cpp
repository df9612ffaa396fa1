// SPDX-License-Identifier: MIT
//
// What happens when the library is loaded into a process, and when the process forks. The engine
// works before this has run, only slower: readers count with atomics until it has.
#include <pthread.h>
#include <signal.h>

#include <cstdlib>

#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/platform/reader.hpp>

namespace nmircu::platform {

__thread detail::reader_state reader_state_of_this_thread
    __attribute__((tls_model("initial-exec"))) = {.section = 0,
                                                  .per_cpu = nullptr,
                                                  .domain = &detail::default_domain,
                                                  .entered_at = nullptr,
                                                  .handler = nullptr,
                                                  .nmi_depth = 0,
                                                  .until_timed = 0,
                                                  .is_updater = 0};

namespace {

// Every signal stays out: a handler that ran between two of the engine's stores would count in half
// a domain. (perf events do not cross fork, so no unblockable SIGTRAP arrives.)
void forked() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    detail::engine_forked();
    detail::dispatch_forked();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// NMIRCU_MEMBARRIER=0 makes every reader count with atomics, for a program that will forbid
// membarrier to itself later on.
[[gnu::constructor(102)]] void start() {
    const char* text = std::getenv("NMIRCU_MEMBARRIER");
    const bool refused = text != nullptr && text[0] == '0' && text[1] == '\0';
    detail::start_engine(refused ? detail::barrier_choice::symmetric
                                 : detail::barrier_choice::best);
    pthread_atfork(nullptr, nullptr, forked);
}

}  // namespace

}  // namespace nmircu::platform
