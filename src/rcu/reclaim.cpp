// SPDX-License-Identifier: MIT
//
// The reclamation cycle. Thread context.
//
//   variable           written by                        read by              protection
//   reclaiming         -                                 -                    the lock of the rest
//   taken[]            cycle                             cycle, fork's child  reclaiming
//   started, finished  cycle                             callers              [RC-1], [RC-2]
//   reclaimed          cycle                             anyone               [RC-3]
//   gate               cycle, fork                       both                 fork_gate.hpp
//
// Invariants.
//   I6  taken[] holds exactly the objects that are in no list and whose deleter has not been
//       called: an object leaves it before its deleter is called. So a forked child finds every
//       object once, or, if its deleter was running, not at all.
//   I7  A cycle takes what it takes before its grace period begins.
//
//   take --> grace period --> deleters --> finished
//             |      (given up at the end of the program: taken[] is left over)
#include "rcu/reclaim.hpp"

#include <algorithm>

#include "rcu/fork_gate.hpp"
#include "rcu/reclaimer.hpp"
#include "rcu/retire_calls.hpp"

namespace nmircu::rcu {

constinit retired_lists retired{};

namespace {

// How many deleters run between two looks at who waits for room.
constexpr unsigned deleters_per_look = 64;

// How long a fork waits for the deleter that is running.
constexpr std::uint64_t fork_waits_ns = 100'000'000;

struct reclaim_state {
    platform::lock reclaiming;
    bool has_leftovers = false;
    std::atomic<std::uint64_t> started{0};
    std::atomic<std::uint64_t> finished{0};
    std::atomic<std::uint64_t> reclaimed{0};
    std::atomic<std::uint64_t> peak{0};
    fork_gate gate;
};
constinit reclaim_state state;

// Beside `state`, because it is large and all zeroes.
rcu_head* taken[1 + detail::max_cpus];

// True if there is anything.
bool take_everything_locked() noexcept {
    bool any = false;
    state.gate.begin(fork_gate::taking);
    for (std::uint32_t index = 0; index < retired_lists::slots(); ++index) {
        taken[index] = retired.take(index);
        any = any || taken[index] != nullptr;
    }
    state.gate.end();
    return any;
}

void run_deleters_locked() noexcept {
    detail::reader_state& self = platform::this_reader();
    // Relaxed: written with the lock held.
    std::uint64_t reclaimed = state.reclaimed.load(std::memory_order_relaxed);
    unsigned until_look = deleters_per_look;
    // What was taken was noted before.
    const bool calls_noted = noted_calls.used();
    self.reclaims = self.running_deleters;
    platform::order_after(&checked_order.sections_left);
    platform::order_after(&checked_order.retired);
    platform::order_after(&checked_order.reclaimed);
    state.gate.begin(fork_gate::running_deleters);
    for (std::uint32_t index = 0; index < retired_lists::slots(); ++index) {
        while (rcu_head* const object = taken[index]) {
            state.gate.let_forks_pass(fork_gate::running_deleters);
            self.deleter = reinterpret_cast<const void*>(object->function);
            taken[index] = object->next;
            __builtin_prefetch(object->next);
            if (calls_noted) [[unlikely]]
                noted_calls.forget(object);
            object->function(object);
            platform::order_before(&checked_order.reclaimed);
            // [RC-3] release: the deleter precedes the count that includes it.
            // Partner: the acquire at [RC-4]. Weakened: rcu_barrier returns, and its caller does
            // not see what the deleters did.
            state.reclaimed.store(++reclaimed, std::memory_order_release);
            if (--until_look == 0) {
                until_look = deleters_per_look;
                give_room();
            }
        }
    }
    self.deleter = nullptr;
    self.reclaims = self.waiting;
    state.gate.end();
    give_room();
}

// False: the grace period did not end in time; what was taken is left over for the next cycle.
bool run_cycle_locked(std::uint64_t most_ns) noexcept {
    const bool leftovers = state.has_leftovers;
    bool any = leftovers;
    if (!leftovers) {
        // Relaxed: ordered by the fence.
        state.started.store(state.started.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
        // [RC-1] seq_cst fence: the number precedes the taking. Partner: the fence at [RC-2]: who
        // sees the old number there has pushed before this cycle takes.
        // Weakened: rcu_barrier trusts a cycle that missed its objects.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        any = take_everything_locked();
    }
    note_backlog(backlog_at_least());
    if (any) {
        state.has_leftovers = !wait_for_grace_period(whole_grace_period_from_now(), most_ns);
        if (state.has_leftovers) return false;
        run_deleters_locked();
    }
    if (!leftovers) {
        // Relaxed: read with the lock held.
        state.finished.store(state.started.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    }
    return true;
}

bool acquire_within(std::uint64_t most_ns) noexcept {
    if (most_ns != platform::forever_ns) return state.reclaiming.acquire_within(most_ns);
    state.reclaiming.acquire();
    return true;
}

bool wait_for_cycle(std::uint64_t number, std::uint64_t most_ns) noexcept {
    if (!acquire_within(most_ns)) return false;
    detail::reader_state& self = platform::this_reader();
    self.reclaims = self.waiting;
    bool in_time = true;
    // Relaxed: written with the lock held.
    while (in_time && state.finished.load(std::memory_order_relaxed) < number) {
        in_time = run_cycle_locked(most_ns);
    }
    self.reclaims = self.no;
    state.reclaiming.release();
    return in_time;
}

std::uint64_t length_of(const rcu_head* object) noexcept {
    std::uint64_t length = 0;
    for (; object != nullptr; object = object->next)
        ++length;
    return length;
}

// Puts a chain in front of a list that nobody else uses.
void put_back(retired_slot& slot, rcu_head* chain) noexcept {
    rcu_head* last = chain;
    while (last->next != nullptr)
        last = last->next;
    // Relaxed: there is one thread.
    last->next = slot.head.load(std::memory_order_relaxed);
    slot.head.store(chain, std::memory_order_relaxed);
}

}  // namespace

std::uint64_t reclaimed_count() noexcept {
    // [RC-4] acquire: what the deleters did is visible to who sees them counted.
    // Partner: the release at [RC-3]. Weakened: as there.
    return state.reclaimed.load(std::memory_order_acquire);
}

std::uint64_t retired_count() noexcept {
    return retired.retired();
}

std::uint64_t backlog() noexcept {
    const std::uint64_t reclaimed = reclaimed_count();
    return retired_count() - reclaimed;
}

std::uint64_t backlog_at_least() noexcept {
    const std::uint64_t retired_before = retired_count();
    const std::uint64_t reclaimed = reclaimed_count();
    return retired_before > reclaimed ? retired_before - reclaimed : 0;
}

std::uint64_t backlog_peak() noexcept {
    return state.peak.load(std::memory_order_relaxed);  // for people
}

void note_backlog(std::uint64_t objects) noexcept {
    // Relaxed: for people. The loop ends: each failure means that somebody saw more.
    std::uint64_t peak = state.peak.load(std::memory_order_relaxed);
    while (objects > peak &&
           !state.peak.compare_exchange_weak(peak, objects, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
    }
}

bool reclaim_everything(std::uint64_t most_ns) noexcept {
    // [RC-2] seq_cst fence: the caller's pushes precede the look at the number of the last cycle.
    // Partner: the fence at [RC-1]. Weakened: as there.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // Relaxed: ordered by the fence.
    return wait_for_cycle(state.started.load(std::memory_order_relaxed) + 1, most_ns);
}

bool wait_until_reclaimed(std::uint64_t most_ns) noexcept {
    // What the caller knows to be retired is in the sum (I5), by coherence.
    const bool done = backlog() == 0 || reclaim_everything(most_ns);
    if (done) platform::order_after(&checked_order.reclaimed);
    return done;
}

void leave_lists_unchecked() noexcept {
    platform::leave_unchecked(retired);
    platform::leave_unchecked(state);
    platform::leave_unchecked(taken);
    platform::leave_unchecked(noted_calls);
}

void hold_for_fork() noexcept {
    const detail::reader_state& self = platform::this_reader();
    // A handler may have interrupted whatever the deleter waits for; and who reclaims himself, in a
    // deleter or below a handler, cannot wait for himself.
    const bool waits_for_deleters = self.nmi_depth == 0;
    state.gate.hold(waits_for_deleters ? fork_gate::nothing : fork_gate::running_deleters,
                    self.reclaims == self.no ? fork_waits_ns : 0);
}

void release_after_fork() noexcept {
    state.gate.release();
}

// One thread, all signals blocked: relaxed throughout.
void adopt_backlog_in_child() noexcept {
    const detail::reader_state& self = platform::this_reader();
    // What other threads had noted and not pushed will never be reclaimed; nobody knows which.
    noted_calls.forget_all();
    // A deleter that forks, or a handler that does: its cycle goes on in the child as it is.
    const bool goes_on = self.reclaims != self.no;
    state.gate.forget(goes_on);
    if (goes_on) return;
    state.reclaiming.reset();
    state.has_leftovers = false;
    // The cycle that was running has not finished: who waits for it, runs it.
    state.started.store(state.finished.load(std::memory_order_relaxed), std::memory_order_relaxed);
    std::uint64_t waiting = 0;
    for (std::uint32_t index = 0; index < retired_lists::slots(); ++index) {
        retired_slot& slot = retired.at(index);
        if (taken[index] != nullptr) put_back(slot, taken[index]);
        taken[index] = nullptr;
        waiting += length_of(slot.head.load(std::memory_order_relaxed));
    }
    // A thread that did not come along may have counted an object and not pushed it, or be inside
    // its deleter. This one may have counted, if a handler forks in the middle of retire; then it
    // is going to push.
    const std::uint64_t surplus = backlog() - waiting;
    const std::uint64_t own = std::min<std::uint64_t>(surplus, self.retiring);
    __atomic_fetch_sub(&retired.shared.retired, surplus - own, __ATOMIC_RELAXED);
}

}  // namespace nmircu::rcu
