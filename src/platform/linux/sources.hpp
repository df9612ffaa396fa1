// SPDX-License-Identifier: MIT
//
// Interrupt sources: what makes the kernel interrupt every thread of this process at a given rate
// of its CPU time. Two kinds: perf counter overflow (SIGTRAP) and per-thread CPU timers
// (SIGSTKFLT). A third, wall, interrupts at a rate of real time, threads that sleep as well:
// source_wall.hpp. Hosted code; thread context only; one source at a time. Signals it causes are
// dispatched by signal_vector.hpp, which recognises them by their tag and shows them to the filter
// in source_signals.hpp.
//
// All functions may be called by several threads at once; all signals are blocked while one holds
// the lock, so no handler finds it held by its own thread. In the child of a fork nothing is
// running, as the interrupts do not follow it there.
//
//                     perf                                   timer
//   needs             Linux 5.18, permission, one            one of the user's RLIMIT_SIGPENDING
//                     descriptor per thread at start         per thread
//   highest rate      20 kHz                                 one per tick (100, 250 or 1000 Hz by
//                                                            kernel); the rest is overruns
//   threads created   covered by the kernel from their       thread_started(), else the next rescan
//   later             first instruction
//   raised            in user mode only                      by the tick, in system calls, too
//   not covered       threads created by the excluded        -
//                     thread while the source runs
//   not under         a debugger, which stops at every       -
//                     SIGTRAP; ThreadSanitizer, which runs
//                     a SIGTRAP handler inside its runtime
//
// A thread that blocks the signal gets one, late, when it unblocks it (perf's is flagged
// TRAP_PERF_FLAG_ASYNC); if two scans find it so, it is listed as unreachable until then.
//
// Measured, 2026-11: kernel 6.18, 250 Hz tick, 2 CPUs of a KVM guest, busy with other work.
//   Rate had, perf: 990 of 1,000 Hz, 9,910 of 10,000, 19,700 of 20,000. Timer: 250, whatever was
//   asked, and the rest as overruns.
//   CPU time per interrupt, perf: about 20 us (2 to 3 % at 1 kHz); 16 to 23 us of it is the guest's
//   timer interrupt itself, which costs the same without a signal (perf event without sigtrap) and
//   with a plain CLOCK_MONOTONIC timer; a signal sent and handled is 1.1 us. Timer: lost in the
//   noise, as it rides on a tick that comes anyway.
//   System calls: no EINTR and no short read in 85,000 (perf) and 120,000 (timer, with the kernel's
//   CONFIG_POSIX_CPU_TIMERS_TASK_WORK, the default since 5.10) reads, polls and sleeps at 10 kHz.
//   1,000 threads: start 7 ms (perf), 4 ms (timer); rescan below 2 ms; stop 2 ms, 0.6 ms.
//   5,000 threads: start 110 ms, 22 ms; rescan below 9 ms; stop 62 ms, 3 ms.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nmircu::platform {

// automatic: timer for rates up to the tick, where it costs nothing and perf an interrupt each;
// above, perf, where it may be used, and as long as threads are not switched more than three
// thousand times per second of CPU time (switch_rate.hpp), and where their starts are reported, do
// not live for moments only (thread_turnover.hpp).
enum class source_kind : std::uint8_t { automatic, perf, timer, wall };

// Of the wall source: `count` ticks up to time_ns (CLOCK_MONOTONIC) found the thread where its last
// sample had found it.
struct thread_repeat {
    std::uint64_t time_ns;
    std::uint32_t thread_id;
    std::uint32_t count;
};
// Called by the wall source's thread. False: it could not be recorded and will be told again.
using repeat_callback = bool (*)(const thread_repeat& what);
// Starts a thread that has every signal blocked and is not shown by list_threads, and runs
// `function(argument)`; 0 or an errno value.
using thread_starter = int (*)(const char* name, void (*function)(void*), void* argument);

struct source_settings {
    source_kind kind = source_kind::automatic;
    std::uint32_t rate_hz = 1000;  // per thread, of its CPU time (wall: of real time); 1..20000
    // Of the wall source only.
    thread_starter start_thread = nullptr;
    repeat_callback report_repeat = nullptr;
};
inline constexpr std::uint32_t highest_rate_hz = 20000;

// A thread that cannot be interrupted, and why (one phrase).
struct unreachable_thread {
    int thread_id;
    std::string reason;
};

[[nodiscard]] const char* name_of(source_kind kind) noexcept;  // "auto", "perf", "timer", "wall"

struct source_status {
    source_kind kind = source_kind::automatic;  // never automatic while running
    bool running = false;
    std::uint32_t rate_hz = 0;
    std::uint32_t limit_hz = 0;    // most interrupts per second a thread can get; 0: rate_hz
    std::uint32_t threads = 0;     // threads covered at the last scan
    std::uint64_t overruns = 0;    // expirations, or ticks, merged into another
    std::uint64_t duplicates = 0;  // perf signals dropped by accept_perf_tag
    std::string reason;            // why automatic did not take perf; empty if it did
    std::vector<unreachable_thread> unreachable;
};

// Starts interrupting every thread of the process, present and future, except `excluded_tid` (the
// agent's own control thread; 0 for none). Attaches the signal and sets the signal filter.
// Returns an empty string, or one line saying what failed and what to try; then nothing is running.
std::string start_source(const source_settings& settings, int excluded_tid);
// After it returns the kernel raises no further interrupts for this source; one that was already on
// its way may still arrive. Idempotent.
void stop_source();
source_status current_source();
// Sees to it that a fork's child starts without a source of its parent's. start_source does so,
// too; this is for whoever has fork handlers that are to run before these (prepare) and after
// (child).
void watch_forks();

// Covers threads that appeared and forgets those that ended since the last call. The owner of the
// source calls it a few times a second. Looks up the blocked signals of at most 64 threads a call,
// in turn, because each lookup is a file to read.
void rescan_threads();
// Covers the calling thread at once; called at the start of a thread by whoever can see threads
// start. Context: a thread's beginning, all signals deliverable. Cheap when no source runs.
void thread_started();

}  // namespace nmircu::platform
