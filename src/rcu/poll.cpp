// SPDX-License-Identifier: MIT
//
// Polled grace periods: a cookie is the number of the first whole grace period after it was taken.
#include <nmircu/rcu_poll.hpp>

#include "rcu/checked_order.hpp"
#include "rcu/reclaimer.hpp"

namespace nmircu {

rcu_cookie rcu_poll_state() noexcept {
    return rcu_cookie(rcu::whole_grace_period_from_now());
}

rcu_cookie rcu_poll_start() noexcept {
    const rcu_cookie cookie = rcu_poll_state();
    rcu::want_grace_period(rcu::whole_grace_period_from_now());
    return cookie;
}

bool rcu_poll_passed(rcu_cookie cookie) noexcept {
    const bool passed = rcu::has_passed(cookie.number_);
    if (passed) platform::order_after(&rcu::checked_order.sections_left);
    return passed;
}

void rcu_poll_wait(rcu_cookie cookie) noexcept {
    detail::require_no_handler("rcu_poll_wait", __builtin_return_address(0));
    if (rcu_poll_passed(cookie)) return;
    rcu::require_outside_sections(platform::this_reader(), "rcu_poll_wait",
                                  __builtin_return_address(0), "Leave the section first");
    rcu::wait_for_grace_period(cookie.number_);
    platform::order_after(&rcu::checked_order.sections_left);
}

}  // namespace nmircu
