// SPDX-License-Identifier: MIT
//
// The reclaimer thread.
//
//   absent --start--> awake --nothing left--> asleep --retire--> awake (gathers 1 ms, cycles)
//   any --end of the program--> ended: a retiring thread reclaims by itself
//   (starting: from the decision to create it to its own first act; it cannot be asleep)
//
// Impossible: `asleep` clear while the thread sleeps or is absent and something waits in a list
// that was pushed in thread context ([RT-3], [RC-11]).
//
//   variable    written by                  read by         protection
//   attention   reclaimer, retirers         retirers        [RT-3] with [RC-11]
//   thread      who starts; end; fork       retirers        compare-and-exchange
//   gathering   reclaimer; who cannot wait  both, futex     none: a lost wake-up costs 1 ms
//   room        reclaimer                   retirers, futex [RC-12] with [RC-13]
#include "rcu/reclaimer.hpp"

#include "platform/text.hpp"

namespace nmircu::rcu {

constinit std::atomic<std::uint32_t> attention{asleep};

namespace {

// A cycle costs a grace period and a wake-up, whatever the number of objects: so it waits this long
// for more of them, unless there are enough already.
constexpr std::uint64_t gather_ns = 1'000'000;
constexpr std::uint64_t enough_gathered = 4096;

// How long one retirement is held up at most. See rcu_retire.hpp, "Memory".
constexpr std::uint64_t held_up_ns = 10'000'000;

// After the system has refused a thread.
constexpr std::uint64_t start_again_after_ns = 100'000'000;

// At the end of the program: deleters that retire for ever are given up after so many cycles.
constexpr unsigned most_last_cycles = 100'000;

enum class thread_state : std::uint32_t { absent, starting, running, ended };

struct reclaimer_state {
    std::atomic<thread_state> thread{thread_state::absent};
    std::atomic<std::uint64_t> refused_at_ns{0};
    std::atomic<bool> leaves_last_word{false};
    std::atomic<std::uint32_t> gathering{0};
    std::atomic<std::uint32_t> room{0};
    std::atomic<std::uint64_t> limit{65'536};
    std::atomic<std::uint64_t> wanted_number{0};
};
constinit reclaimer_state state;
constinit std::atomic<bool> handlers_may_retire{true};

bool grace_period_wanted() noexcept {
    // Relaxed: who needs it to be seen has fenced.
    return !has_passed(state.wanted_number.load(std::memory_order_relaxed));
}

bool anything_to_do() noexcept {
    return !retired.empty() || grace_period_wanted();
}

void stop_gathering() noexcept {
    // Relaxed: a hint; see the table.
    if (state.gathering.load(std::memory_order_relaxed) != 0 &&
        state.gathering.exchange(0, std::memory_order_relaxed) != 0) {
        port::wake_all(state.gathering);
    }
}

void gather() noexcept {
    state.gathering.store(1, std::memory_order_relaxed);  // a hint
    if (backlog_at_least() < enough_gathered && !grace_period_wanted()) {
        port::wait(state.gathering, 1, gather_ns);
    }
    state.gathering.store(0, std::memory_order_relaxed);  // a hint
}

void sleep_until_needed() noexcept {
    attention.fetch_or(asleep, std::memory_order_relaxed);  // ordered by the barrier
    // [RC-11] process-wide barrier: the announcement precedes the look at the lists, and a
    // retirer's push precedes its look at `attention`. One of the two sees the other.
    // Partners: [RT-3] and [RT-4], src/rcu/retire.cpp, and [RC-14]. Weakened: the reclaimer sleeps
    // on a full list.
    {
        // The lock: a retirer that finds the engine started, and so does without a fence, finds the
        // announcement too (models/reclaimer_sleep/bad_barrier_without_lock.pml).
        platform::lock_guard guard(engine.updaters);
        barrier_for_readers_locked();
    }
    if (anything_to_do()) {
        attention.fetch_and(~asleep, std::memory_order_relaxed);  // it is this thread's to clear
        return;
    }
    for (;;) {
        const std::uint32_t bits = attention.load(std::memory_order_relaxed);  // the lists tell
        if ((bits & asleep) == 0) return;
        port::wait(attention, bits, platform::forever_ns);
    }
}

void reclaim_for_ever() noexcept {
    platform::this_reader().is_reclaimer = 1;
    // Relaxed: creating the thread has ordered what others need. Its own act: before it can fall
    // asleep, or else nobody would wake it until whoever creates it has been given a CPU again.
    state.thread.store(thread_state::running, std::memory_order_relaxed);
    for (;;) {
        gather();
        reclaim_everything();
        if (grace_period_wanted()) {
            // Relaxed: a later number is found in the next round.
            wait_for_grace_period(state.wanted_number.load(std::memory_order_relaxed));
        }
        if (!anything_to_do()) sleep_until_needed();
    }
}

void reclaim_by_oneself(std::uint64_t most_ns) noexcept {
    for (unsigned cycle = 0; cycle < most_last_cycles && backlog() != 0; ++cycle) {
        if (!reclaim_everything(most_ns)) return;
    }
}

// The last word in a program that ends normally. Other threads may still run.
void end() noexcept {
    const detail::reader_state& self = platform::this_reader();
    // Relaxed: a setting. Without a limit, a last one: the exit must not hang.
    const std::uint64_t limit = engine.stall_limit_ns.load(std::memory_order_relaxed);
    const std::uint64_t most_ns = limit == platform::forever_ns ? 10'000'000'000 : limit;
    if (may_block(self)) reclaim_by_oneself(most_ns);
    // Relaxed: who misses it wakes a thread that still works.
    state.thread.store(thread_state::ended, std::memory_order_relaxed);
    attention.fetch_or(asleep, std::memory_order_relaxed);  // so that retirers come to attend()
    if (may_block(self)) reclaim_by_oneself(most_ns);
    const std::uint64_t left = backlog();
    if (left == 0) return;
    platform::text_line line;
    line << "nmircu: the program ends with " << left << " retired objects not reclaimed: "
         << (may_block(self) ? "a thread is still inside a read-side critical section, or deleters "
                               "go on retiring"
                             : "exit was called inside a read-side critical section or a deleter");
    port::report(line.c_str());
}

void report_refusal() noexcept {
    platform::text_line line;
    line << "nmircu: cannot create the reclaimer thread (limit on threads, or seccomp); retired "
            "objects wait until one can be created, rcu_barrier is called or the program ends";
    port::report(line.c_str());
}

// One caller at a time. True: there is a thread, or will be.
bool start() noexcept {
    auto expected = thread_state::absent;
    // Relaxed: the thread's creation orders what it needs.
    if (!state.thread.compare_exchange_strong(expected, thread_state::starting,
                                              std::memory_order_relaxed,
                                              std::memory_order_relaxed)) {
        return expected == thread_state::running || expected == thread_state::starting;
    }
    if (!state.leaves_last_word.exchange(true, std::memory_order_relaxed)) port::at_exit(end);
    // Before it exists: it begins by looking at the lists.
    attention.fetch_and(~(asleep | wanted), std::memory_order_relaxed);
    if (port::start_thread(reclaim_for_ever, "nmircu-reclaim")) return true;
    attention.fetch_or(asleep, std::memory_order_relaxed);
    if (state.refused_at_ns.exchange(port::now_ns(), std::memory_order_relaxed) == 0) {
        report_refusal();
    }
    state.thread.store(thread_state::absent, std::memory_order_relaxed);
    return false;
}

bool refused_a_moment_ago() noexcept {
    const std::uint64_t refused_at = state.refused_at_ns.load(std::memory_order_relaxed);  // a hint
    return refused_at != 0 && port::now_ns() - refused_at < start_again_after_ns;
}

void wake_or_start(const detail::reader_state& self) noexcept {
    switch (state.thread.load(std::memory_order_relaxed)) {  // any of its values is handled
        case thread_state::running:
            // Relaxed: the push is a release, and the reclaimer takes with acquire.
            if ((attention.fetch_and(~asleep, std::memory_order_relaxed) & asleep) != 0) {
                port::wake_all(attention);
            }
            // A handler has forked in between, and this is the child.
            if (state.thread.load(std::memory_order_relaxed) == thread_state::absent) {
                attention.fetch_or(asleep, std::memory_order_relaxed);
            }
            return;
        case thread_state::starting:
            return;
        case thread_state::absent:
            // A thread is not to be created in a handler; inside a section it is.
            if (self.nmi_depth != 0) {
                attention.fetch_or(wanted, std::memory_order_relaxed);
            } else if (!refused_a_moment_ago()) {
                start();
            }
            return;
        case thread_state::ended:
            if (may_block(self)) reclaim_by_oneself(held_up_ns);
            return;
    }
}

void hold_up(const detail::reader_state& self) noexcept {
    if (!may_block(self)) return;
    // Without a thread nothing would come of waiting. Relaxed: as above.
    const auto thread = state.thread.load(std::memory_order_relaxed);
    if (thread != thread_state::running && thread != thread_state::starting) return;
    stop_gathering();
    const std::uint64_t start = port::now_ns();
    for (std::uint64_t waited = 0; waited < held_up_ns; waited = port::now_ns() - start) {
        // [RC-13] acquire: no older `attention` is seen than when the room was made.
        // Partner: the release at [RC-12]. Weakened: a wait of 10 ms for nothing.
        const std::uint32_t room = state.room.load(std::memory_order_acquire);
        if ((attention.load(std::memory_order_relaxed) & crowded) == 0) return;  // [RC-13]
        if (backlog_at_least() <= state.limit.load(std::memory_order_relaxed)) {
            attention.fetch_and(~crowded, std::memory_order_relaxed);
            return;
        }
        port::wait(state.room, room, held_up_ns - waited);
    }
}

}  // namespace

// Inside a section, a handler or a deleter a thread cannot wait, nor can others wait for it.
bool may_block(const detail::reader_state& self) noexcept {
    return detail::section_of(self) < detail::one_section && self.nmi_depth == 0 &&
           self.reclaims == self.no && self.is_updater == 0;
}

void attend(const detail::reader_state& self) noexcept {
    // Relaxed: a flag seen late is seen by the next push; for `asleep` see [RT-3].
    const std::uint32_t bits = attention.load(std::memory_order_relaxed);
    if ((bits & asleep) != 0) wake_or_start(self);
    if ((bits & crowded) != 0) hold_up(self);
}

void look_at_backlog(const detail::reader_state& self) noexcept {
    const std::uint64_t waiting = backlog_at_least();
    if (waiting >= enough_gathered) stop_gathering();
    if (waiting <= state.limit.load(std::memory_order_relaxed)) return;  // a setting
    note_backlog(waiting);
    attention.fetch_or(crowded, std::memory_order_relaxed);
    hold_up(self);
}

std::uint32_t looks_mask() noexcept {
    // Relaxed: constant once the engine has started.
    const std::uint32_t cpus = engine.cpus.load(std::memory_order_relaxed);
    return cpus <= 16 ? 63 : cpus <= 64 ? 255 : 4095;
}

void give_room() noexcept {
    // Relaxed: what is missed here is seen at the next look, or by the held-up thread itself.
    if ((attention.load(std::memory_order_relaxed) & crowded) == 0) return;
    const std::uint64_t limit = state.limit.load(std::memory_order_relaxed);
    if (backlog_at_least() > limit - limit / 4) return;
    attention.fetch_and(~crowded, std::memory_order_relaxed);
    // [RC-12] release: the flag is clear for who sees the new value. Partner: [RC-13].
    // Weakened: as there.
    state.room.fetch_add(1, std::memory_order_release);
    port::wake_all(state.room);
}

void want_grace_period(grace_period_number number) noexcept {
    std::uint64_t seen = state.wanted_number.load(std::memory_order_relaxed);  // [RC-14] orders it
    while (seen < number &&
           !state.wanted_number.compare_exchange_weak(seen, number, std::memory_order_relaxed,
                                                      std::memory_order_relaxed)) {
    }
    // [RC-14] seq_cst fence: the wish precedes the look at whether the reclaimer sleeps.
    // Partner: the barrier at [RC-11], this file. Weakened: the wish is slept through.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    stop_gathering();
    const detail::reader_state& self = platform::this_reader();
    if ((attention.load(std::memory_order_relaxed) & asleep) != 0) wake_or_start(self);
}

void leave_reclaimer_unchecked() noexcept {
    platform::leave_unchecked(attention);
    platform::leave_unchecked(state);
    platform::leave_unchecked(handlers_may_retire);
}

void start_if_wanted() noexcept {
    if ((attention.load(std::memory_order_relaxed) & wanted) != 0) start();  // a flag of its own
}

// There is one thread: relaxed throughout.
void forget_reclaimer_in_child() noexcept {
    const bool is_it = platform::this_reader().is_reclaimer != 0;
    if (state.thread.load(std::memory_order_relaxed) == thread_state::ended) return;
    if (!is_it) state.thread.store(thread_state::absent, std::memory_order_relaxed);
    state.refused_at_ns.store(0, std::memory_order_relaxed);
    state.gathering.store(0, std::memory_order_relaxed);
    attention.store(is_it ? 0 : asleep, std::memory_order_relaxed);
}

}  // namespace nmircu::rcu

namespace nmircu {

void rcu_set_backlog_limit(std::uint64_t objects) noexcept {
    rcu::state.limit.store(objects == 0 ? 1 : objects, std::memory_order_relaxed);  // a setting
}

bool rcu_start_reclaimer() noexcept {
    detail::require_no_handler("rcu_start_reclaimer", __builtin_return_address(0));
    return rcu::start();
}

namespace detail {

void start_reclaimer_for_handlers() noexcept {
    if (rcu::handlers_may_retire.load(std::memory_order_relaxed)) rcu::start();  // a setting
}

void expect_no_retiring_handlers() noexcept {
    rcu::handlers_may_retire.store(false, std::memory_order_relaxed);  // a setting
}

}  // namespace detail

}  // namespace nmircu
