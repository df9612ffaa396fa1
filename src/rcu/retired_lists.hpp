// SPDX-License-Identifier: MIT
//
// Where retired objects wait: one lock-free list per CPU, and one for threads that cannot count per
// CPU. A push is a compare-and-exchange, so it may be interrupted anywhere by another push, and the
// whole list may be taken at any moment by anyone. Any context; no allocation.
//
//   variable        written by                              read by      protection
//   slot.head       push, take                              take         [RT-1], [RT-2]
//   slot.retired    push, before the head: rseq addition,   sums         I5
//                   or read-modify-write in the shared one
//
// I5  An object is counted before it can be taken, so retired - reclaimed, the latter read first,
//     is never less than the number of objects that were retired before and still wait.
//
// Why not a restartable sequence for the push too (2.5 instead of 9 ns): taking a list would then
// need a second kind of process-wide barrier and two lists per CPU; docs/design/retirement.md.
#pragma once

#include <nmircu/detail/retire.hpp>

#include "rcu/checked_order.hpp"
#include "rcu/engine.hpp"

namespace nmircu::rcu {

struct alignas(detail::slot_bytes) retired_slot {
    std::atomic<rcu_head*> head;
    std::uint64_t retired;  // atomic accesses only
};
static_assert(sizeof(retired_slot) == detail::slot_bytes);

struct retired_lists {
    retired_slot shared;
    retired_slot cpu[detail::max_cpus];

    // Which slot has taken the object, for a look at its count.  Inlined for the address of the
    // call, in a message.
    [[gnu::always_inline]] const retired_slot& push(detail::reader_state& self,
                                                    rcu_head& object) noexcept {
        retired_slot& slot = count(self);
        // Relaxed: nothing is read through it.
        rcu_head* head = slot.head.load(std::memory_order_relaxed);
        do {
            // Costs nothing, and finds the plainest case in every build.
            if (head == &object) [[unlikely]]
                detail::report_retired_twice(&object, nullptr, __builtin_return_address(0));
            object.next = head;
            if (&slot == &shared) [[unlikely]]
                platform::order_before(&checked_order.retired);
            // [RT-1] release: the object's contents, its unpublishing and its count precede its
            // place in the list. Partner: the acquire at [RT-2]. Weakened: a deleter runs on stale
            // contents. Each repetition means that another push succeeded.
        } while (!slot.head.compare_exchange_weak(head, &object, std::memory_order_release,
                                                  std::memory_order_relaxed));
        return slot;
    }

    // Everything in the list of slot `index`, 0 being the shared one.
    rcu_head* take(std::uint32_t index) noexcept {
        retired_slot& slot = at(index);
        // Relaxed: to leave the lines of idle CPUs alone. Who needs to be seen has fenced.
        if (slot.head.load(std::memory_order_relaxed) == nullptr) return nullptr;
        // [RT-2] acquire: see there. Partner: [RT-1]. Weakened: as there.
        return slot.head.exchange(nullptr, std::memory_order_acquire);
    }

    [[nodiscard]] bool empty() const noexcept {
        for (std::uint32_t index = 0; index < slots(); ++index) {
            // Relaxed: the caller has fenced if he needs to see a certain push.
            if (at(index).head.load(std::memory_order_relaxed) != nullptr) return false;
        }
        return true;
    }

    [[nodiscard]] std::uint64_t retired() const noexcept {
        std::uint64_t sum = 0;
        for (std::uint32_t index = 0; index < slots(); ++index)
            sum += retired_at(at(index));
        return sum;
    }

    [[nodiscard]] static std::uint64_t retired_at(const retired_slot& slot) noexcept {
        return __atomic_load_n(&slot.retired, __ATOMIC_RELAXED);  // I5 holds by [RT-1], [RT-2]
    }

    // Relaxed: constant once the engine has started, too large before.
    [[nodiscard]] static std::uint32_t slots() noexcept {
        return 1 + engine.cpus.load(std::memory_order_relaxed);
    }
    [[nodiscard]] retired_slot& at(std::uint32_t index) noexcept {
        return index == 0 ? shared : cpu[index - 1];
    }
    [[nodiscard]] const retired_slot& at(std::uint32_t index) const noexcept {
        return index == 0 ? shared : cpu[index - 1];
    }

  private:
    // The slot to push to. The thread may move between CPUs at any point here: sums do not care.
    retired_slot& count(detail::reader_state& self) noexcept {
        if (counts_per_cpu(self) && platform::per_cpu_add_release(self.per_cpu, &cpu[0].retired, 1))
            [[likely]] {
            const std::uint32_t number = platform::this_cpu(self.per_cpu);
            if (number < detail::max_cpus) [[likely]]
                return cpu[number];
            return shared;
        }
        __atomic_fetch_add(&shared.retired, 1, __ATOMIC_RELAXED);  // ordered by [RT-1]
        return shared;
    }
};

extern retired_lists retired;

}  // namespace nmircu::rcu
