// SPDX-License-Identifier: MIT
//
// The reclamation cycle. Thread context.
//
//   variable           written by                        read by              protection
//   reclaiming         -                                 -                    the lock of the rest
//   taken[]            cycle                             cycle, fork's child  reclaiming
//   started, finished  cycle                             callers              [RC-1], [RC-2]
//   reclaimed          cycle                             anyone               [RC-3]
//   deleters_run       cycle                             fork                 [RC-5]
//   forks              fork                              cycle                [RC-6]
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

#include "rcu/reclaimer.hpp"

namespace nmircu::rcu {

retired_lists retired;

namespace {

// How many deleters run between two looks at who waits for room, and two updates of the count.
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
    // 1 while deleters run: the futex a fork waits on. Forks that keep them from running.
    std::atomic<std::uint32_t> deleters_run{0};
    std::atomic<std::uint32_t> forks{0};
};
constinit reclaim_state state;

// Beside `state`, because it is large and all zeroes.
rcu_head* taken[1 + detail::max_cpus];

// True if there is anything.
bool take_everything_locked() noexcept {
    bool any = false;
    for (std::uint32_t index = 0; index < retired_lists::slots(); ++index) {
        taken[index] = retired.take(index);
        any = any || taken[index] != nullptr;
    }
    return any;
}

void let_forks_pass() noexcept {
    for (;;) {
        // Relaxed: a deleter that starts a moment too late for one fork to wait for it is left to
        // the child, half done (I6 holds all the same); [RC-5] and [RC-6] make that impossible.
        state.deleters_run.store(1, std::memory_order_relaxed);
        // [RC-5] seq_cst fence: the announcement precedes the look. Partner: [RC-6].
        // Weakened: fork copies an object in the middle of its deleter.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const std::uint32_t forks = state.forks.load(std::memory_order_relaxed);  // [RC-5]
        if (forks == 0) return;
        // [RC-7] release: the deleter that has just run precedes the copying of memory.
        // Partner: the acquire at [RC-8]. Weakened: the child sees half of its work.
        state.deleters_run.store(0, std::memory_order_release);
        port::wake_all(state.deleters_run);
        port::wait(state.forks, forks, platform::forever_ns);
    }
}

void publish_locked(std::uint64_t reclaimed) noexcept {
    // [RC-3] release: the deleters precede the count that includes them.
    // Partner: the acquire at [RC-4]. Weakened: rcu_barrier returns, and its caller does not see
    // what the deleters did.
    state.reclaimed.store(reclaimed, std::memory_order_release);
    give_room();
}

void run_deleters_locked() noexcept {
    detail::reader_state& self = platform::this_reader();
    // Relaxed: written with the lock held.
    std::uint64_t reclaimed = state.reclaimed.load(std::memory_order_relaxed);
    unsigned until_look = deleters_per_look;
    self.reclaims = self.running_deleters;
    let_forks_pass();
    for (std::uint32_t index = 0; index < retired_lists::slots(); ++index) {
        while (rcu_head* const object = taken[index]) {
            // Relaxed: a fork that is missed here is seen before the next deleter.
            if (state.forks.load(std::memory_order_relaxed) != 0) [[unlikely]]
                let_forks_pass();
            taken[index] = object->next;
            __builtin_prefetch(object->next);
            self.deleter = reinterpret_cast<const void*>(object->function);
            object->function(object);
            ++reclaimed;
            if (--until_look == 0) {
                until_look = deleters_per_look;
                publish_locked(reclaimed);
            }
        }
    }
    self.deleter = nullptr;
    self.reclaims = self.waiting;
    // [RC-9] release: the last deleter precedes a fork that need not wait any more.
    // Partner: the acquire at [RC-8]. Weakened: as [RC-7].
    state.deleters_run.store(0, std::memory_order_release);
    if (state.forks.load(std::memory_order_relaxed) != 0) port::wake_all(state.deleters_run);
    publish_locked(reclaimed);
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
    return backlog() == 0 || reclaim_everything(most_ns);
}

void hold_deleters_for_fork() noexcept {
    const detail::reader_state& self = platform::this_reader();
    state.forks.fetch_add(1, std::memory_order_relaxed);  // ordered by the fence
    // A handler may have interrupted whatever the deleter waits for; and a deleter that forks
    // cannot wait for itself.
    if (self.nmi_depth != 0 || self.reclaims == self.running_deleters) return;
    // [RC-6] seq_cst fence: the announcement precedes the look. Partner: [RC-5]. Weakened: as
    // there.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint64_t start = port::now_ns();
    for (std::uint64_t waited = 0; waited < fork_waits_ns; waited = port::now_ns() - start) {
        // [RC-8] acquire: a deleter that has finished is copied finished.
        // Partners: the releases at [RC-7], [RC-9]. Weakened: the child sees half of its work.
        if (state.deleters_run.load(std::memory_order_acquire) == 0) return;
        port::wait(state.deleters_run, 1, fork_waits_ns - waited);
    }
}

void release_deleters_after_fork() noexcept {
    // Relaxed: it lets others go on, and publishes nothing.
    if (state.forks.fetch_sub(1, std::memory_order_relaxed) == 1) port::wake_all(state.forks);
}

// One thread, all signals blocked: relaxed throughout.
void adopt_backlog_in_child() noexcept {
    const detail::reader_state& self = platform::this_reader();
    state.forks.store(0, std::memory_order_relaxed);
    // A deleter that forks, or a handler that does: its cycle goes on in the child, and the object
    // whose deleter runs is in no list.
    const bool goes_on = self.reclaims != self.no;
    std::uint64_t waiting = self.reclaims == self.running_deleters ? 1 : 0;
    if (!goes_on) {
        state.reclaiming.reset();
        state.deleters_run.store(0, std::memory_order_relaxed);
        state.has_leftovers = false;
        state.finished.store(state.started.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
    }
    for (std::uint32_t index = 0; index < retired_lists::slots(); ++index) {
        retired_slot& slot = retired.at(index);
        if (goes_on) {
            waiting += length_of(taken[index]);
        } else if (taken[index] != nullptr) {
            put_back(slot, taken[index]);
            taken[index] = nullptr;
        }
        waiting += length_of(slot.head.load(std::memory_order_relaxed));
    }
    // A thread that did not come along may have counted an object and not pushed it.
    const std::uint64_t surplus = backlog() - waiting;
    __atomic_fetch_sub(&retired.shared.retired, surplus, __ATOMIC_RELAXED);
}

}  // namespace nmircu::rcu
