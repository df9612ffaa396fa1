// SPDX-License-Identifier: MIT
//
// What is said when a grace period does not end: which readers it waits for, and what they are
// doing.
//
// Purpose. A reader that sleeps, loops or died inside a section holds up every updater and all
// retired memory. After the stall limit (rcu_set_stall_limit) the waiting updater finds out who it
// is and says so, one line per thread on stderr; again after each further limit; and once more when
// the grace period has ended after all. A program that wants to tell its own log sets a handler.
//
// Smallest complete use:
//
//     void to_log(const nmircu::rcu_stall_report& report, void*) {
//         for (unsigned i = 0; i < report.readers; ++i)
//             log("RCU waits for thread %u (%s)", report.reader[i].thread, report.reader[i].name);
//     }
//     nmircu::rcu_set_stall_handler(to_log, nullptr);
//
// Guarantees. The report allocates nothing and takes no lock of the program's or of libc's: the
// reader may be inside malloc. A thread is looked at from outside, so one that blocks all signals,
// spins in a handler or is stopped is found like any other. Only a thread that is running (for the
// address), or that cannot be looked at, is sent a signal, SIGSTKFLT, which answers and calls no
// handler; a sleeping one is not woken.
//
// Limits. Linux: it needs /proc. A thread that ended inside its section can only be counted. A
// section left by longjmp is open: its thread is named, wherever it is now. A user's plain signal
// handler has no name; those of nmi.hpp do. While a report is made, threads come and go.
//
// Cost. Nothing until the limit has passed; then some microseconds per thread, and up to 100 ms of
// waiting for answers.
//
// Sources. Linux: kernel/rcu/tree_stall.h, Documentation/RCU/stallwarn.rst.
#pragma once

#include <cstdint>

#pragma GCC visibility push(default)

namespace nmircu {

// A handler, innermost first, that the reader is inside.
struct rcu_stalled_handler {
    char name[32];
    const void* function;
};
inline constexpr unsigned rcu_most_stalled_handlers = 4;

// How the reader is known. answered: it was interrupted and told. seen: its record was read from
// outside. silent: neither was possible; it may be inside a section or not.
enum class rcu_sight : std::uint8_t { answered, seen, silent };

// One thread. What is not known is zero, null or empty, except where another value is given.
struct rcu_stalled_reader {
    std::uint32_t thread;        // gettid(2)
    std::int32_t cpu;            // where it runs, or ran last; -1: not known
    char name[16];               // pthread_setname_np(3)
    char state;                  // as in proc(5): R, S, D, T, ...; '?': not known
    rcu_sight sight;             //
    const char* silence;         // why it is silent: part of a sentence, for ever valid
    char sleeps_in[32];          // the kernel's function
    const void* entered_at;      // where the outermost section began
    const void* interrupted_at;  // what it was executing, or the system call it sleeps in
    std::uint32_t nesting;       // sections it is inside
    std::uint32_t nmi_depth;     // NMIs it is inside
    std::uint32_t handlers;      // valid elements of `handler`
    rcu_stalled_handler handler[rcu_most_stalled_handlers];
};

// One report. The arrays are valid during the call.
struct rcu_stall_report {
    std::uint64_t started_ns;  // when the wait began, CLOCK_MONOTONIC
    std::uint64_t waited_ns;   // so far; if over, in all
    bool over;                 // the grace period has ended; nothing below is known
    bool complete;             // every thread was considered
    std::uint32_t readers;     // elements of `reader`, at most 16
    std::uint32_t more;        // further threads, beyond them
    std::uint64_t sections;    // that the grace period waits for
    std::uint64_t orphans;     // of those, at least so many whose threads have ended
    const rcu_stalled_reader* reader;
};

// Called on the thread that waits (in rcu_synchronize, rcu_barrier, rcu_poll_wait, a registration
// of nmi.hpp, or on the reclaimer thread), outside any section. It may block and allocate as far as
// the program can answer for that while a reader is stuck; the grace period lasts as long as the
// handler at least. It must not call anything that waits for a grace period: that stops the program
// with a message. It must not throw.
using rcu_stall_handler_t = void (*)(const rcu_stall_report& report, void* cookie);

// From now on stalls are told to `handler`; null: to stderr again, as at the start. A call of the
// old handler may still be running: it is over when a rcu_synchronize that is called afterwards has
// returned. Until then the old handler's code and cookie must stay. Context: thread, outside
// any section; does not allocate, blocks for a moment at most. fork(): the child keeps the handler.
void rcu_set_stall_handler(rcu_stall_handler_t handler, void* cookie) noexcept;

// Who is inside a section just now: writes up to `most` threads to `out`, not the caller's; returns
// how many there are. Context: thread, outside any section, not in a stall handler; takes up to a
// tenth of a second if threads must be asked by signal; does not allocate.
unsigned rcu_list_readers(rcu_stalled_reader* out, unsigned most) noexcept;

}  // namespace nmircu

#pragma GCC visibility pop
