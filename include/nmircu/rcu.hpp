// SPDX-License-Identifier: MIT
//
// Read-copy update for programs whose readers may be signal handlers.
//
// Purpose. A reader looks at shared data without a lock; an updater publishes a new version,
// waits until no reader can still see the old one, and frees it. Readers here need no
// registration, take no lock, allocate nothing and may run as the first act of any thread in any
// signal handler, so "reader" includes an interrupt handler and "free" includes unloading its code.
//
// Smallest complete use:
//
//     struct config { int limit; };
//     std::atomic<config*> current;
//
//     int read_limit() {                              // any thread, any signal handler
//         std::scoped_lock section(nmircu::rcu_default_domain());
//         return nmircu::rcu_dereference(current)->limit;
//     }
//
//     void replace(config* next) {                    // a thread, outside any section
//         config* old = current.load(std::memory_order_relaxed);
//         nmircu::rcu_assign_pointer(current, next);
//         nmircu::rcu_synchronize();
//         delete old;
//     }
//
// Guarantees. rcu_synchronize returns only when every section that was entered before the call has
// been left. Sections nest. A section may be entered and left on different CPUs. The default domain
// is usable before main, inside the first signal of a process, and after static destruction.
//
// Misuse. rcu_synchronize inside a section (or inside a handler, which is one) could never return:
// it stops the program with a message that gives both addresses. Leaving a section by longjmp, or
// ending a thread inside one, makes every later grace period wait for ever; after the stall limit
// it says so (rcu_stall.hpp). Code compiled without NDEBUG, or with -DNMIRCU_DEBUG=1, is checked
// for more than that, with or without a library that is: docs/misuse.md lists what is checked when.
// The default domain never ends, so there is no using it too late; for the end of the program see
// rcu_retire.hpp.
//
// Unloading an object whose code entered a section before the section is left crashes the thread
// when it is next preempted.
//
// Limits. fork(): the child keeps the forking thread's own sections and forgets everybody else's.
// The raw clone and _Fork system calls do not run fork handlers: a child made so must not use RCU.
// A thread that blocks inside a section holds up every updater.
//
// This header and those it includes hold the whole of [saferecl.rcu] of the C++26 working draft,
// under the same names, and more in the same style: rcu_pointer.hpp publishes and follows pointers,
// rcu_retire.hpp frees without waiting, rcu_poll.hpp asks instead of waiting, rcu_statistics.hpp
// counts, rcu_stall.hpp names the readers that a grace period waits for.
//
// Sanitizers. A program built with -fsanitize=thread, address or undefined, or run under Valgrind's
// memcheck, helgrind or DRD, links the library as it is; it gets no false report and needs no
// suppression. What each of them sees, and what the last two cannot: docs/sanitizers.md.
//
// Cost: docs/figures.md.
#pragma once

#include <cstdint>

#include <nmircu/detail/rcu_domain.hpp>
#include <nmircu/rcu_pointer.hpp>
#include <nmircu/rcu_poll.hpp>
#include <nmircu/rcu_retire.hpp>
#include <nmircu/rcu_stall.hpp>
#include <nmircu/rcu_statistics.hpp>

#pragma GCC visibility push(default)

namespace nmircu {

// Blocks until every section entered before the call has been left. Context: thread only, outside
// any section. Blocks, does not allocate. Concurrent callers share grace periods.
// Inside a section or a handler: stops the program with a message.
void rcu_synchronize(rcu_domain& domain = rcu_default_domain()) noexcept;

// After how long a grace period that still waits is reported, on stderr or as rcu_stall.hpp says,
// and again after each further such time. 0: never. Default 10,000; $NMIRCU_STALL_LIMIT_MS sets it
// at the start. Context: any. A grace period that waits already keeps its limit.
void rcu_set_stall_limit(std::uint64_t limit_ms) noexcept;

// Whether the calling thread is inside a section. Context: thread, signal, irq, nmi.
[[nodiscard, gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline bool rcu_read_held() noexcept {
    return detail::section_of(platform::this_reader()) >= detail::one_section;
}

}  // namespace nmircu

#pragma GCC visibility pop
