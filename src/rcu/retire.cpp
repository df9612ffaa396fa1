// SPDX-License-Identifier: MIT
//
// Retiring an object, and waiting for the retired. retire: any context; rcu_barrier: thread
// context.
#include "platform/text.hpp"
#include "rcu/reclaimer.hpp"
#include "rcu/retire_calls.hpp"

namespace nmircu::detail {

namespace {

// Atomic, so that the compiler leaves both changes where they are: around the push.
void set_retiring(reader_state& self, std::uint32_t value) noexcept {
    __atomic_store_n(&self.retiring, value, __ATOMIC_RELAXED);  // for handlers on this thread
}

}  // namespace

void retire(rcu_head& head, void (*function)(rcu_head*)) noexcept {
    reader_state& self = platform::this_reader();
    if (rcu::is_in_first_page(&head)) [[unlikely]]
        report_null_object(__builtin_return_address(0));
    head.function = function;
    set_retiring(self, self.retiring + 1);
    const rcu::retired_slot& slot = rcu::retired.push(self, head);
    set_retiring(self, self.retiring - 1);
    if (&slot == &rcu::retired.shared) [[unlikely]] {
        // [RT-4] seq_cst fence: as [RT-3], where there is no process-wide barrier.
        // Partner: [RC-11], src/rcu/reclaimer.cpp. Weakened: as [RT-3].
        std::atomic_thread_fence(std::memory_order_seq_cst);
    } else {
        // [RT-3] compiler fence: the push precedes the look at `attention`. The barrier of the
        // reclaimer that falls asleep makes it a CPU fence when one is needed.
        // Partner: [RC-11], src/rcu/reclaimer.cpp. Weakened: the reclaimer sleeps on a full list.
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    // Relaxed: ordered by the fence.
    if (rcu::attention.load(std::memory_order_relaxed) != 0) [[unlikely]] {
        rcu::attend(self);
    } else if ((rcu::retired_lists::retired_at(slot) & rcu::looks_mask()) == 0) [[unlikely]] {
        rcu::look_at_backlog(self);
    }
}

}  // namespace nmircu::detail

namespace nmircu {

namespace {

void require_outside_deleters(const detail::reader_state& self, const void* caller) noexcept {
    if (self.reclaims != self.running_deleters) return;
    platform::text_line line;
    line << "nmircu: rcu_barrier called at " << caller << " inside the deleter " << self.deleter
         << "; it would wait for that deleter to return. Call it from another thread, or retire "
            "what comes after";
    platform::port::panic(line.c_str());
}

}  // namespace

void rcu_barrier(rcu_domain&) noexcept {
    const detail::reader_state& self = platform::this_reader();
    const void* const caller = __builtin_return_address(0);
    rcu::require_outside_sections(self, "rcu_barrier", caller, "Leave the section first");
    require_outside_deleters(self, caller);
    rcu::start_if_wanted();
    rcu::wait_until_reclaimed();
}

}  // namespace nmircu
