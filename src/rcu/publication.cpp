// SPDX-License-Identifier: MIT
//
// Publishing a pointer under a race checker that takes atomic accesses for plain ones (helgrind,
// DRD). Nothing of this happens without one. Any context.
//
// A reader learns what precedes a publication when it enters a section (checked_order.hpp), since
// rcu_dereference is a plain load and tells nobody. So the sections that are open already have to
// be left before the pointer is there to be seen: a grace period goes before it.
#include "rcu/checked_order.hpp"
#include "rcu/reclaimer.hpp"

namespace nmircu::rcu {

constinit checked_order_tags checked_order{};

namespace {

// A reader may wait for a lock that the publisher holds. Long: a machine with more to do than CPUs
// gives a thread its turn late, and Valgrind runs one at a time.
constexpr std::uint64_t most_waiting_ns = 5'000'000'000;

}  // namespace
}  // namespace nmircu::rcu

namespace nmircu::detail {

void before_publication(const void* pointer, std::size_t bytes, publication what) noexcept {
    platform::say_unchecked(pointer, bytes);
    platform::order_before(&rcu::checked_order.published);
    if (what == publication::of_nothing || !rcu::may_block(platform::this_reader())) return;
    // In vain if it takes too long; then a reader that is still inside may be reported.
    static_cast<void>(
        rcu::wait_for_grace_period(rcu::whole_grace_period_from_now(), rcu::most_waiting_ns));
}

void after_exchange() noexcept {
    platform::order_after(&rcu::checked_order.published);
}

}  // namespace nmircu::detail
