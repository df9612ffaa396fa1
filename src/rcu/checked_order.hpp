// SPDX-License-Identifier: MIT
//
// The orders that a program may rely on, as a race checker is told of them. Any context.
//
//   tag             said before                            said after
//   sections_left   a section is left                      a grace period has been waited for
//   published       a pointer is assigned                  a section is entered; an exchange
//   retired         an object is pushed                    deleters begin
//   reclaimed       a deleter has returned                 rcu_barrier returns, deleters begin
//
// `published` is for checkers that do not know atomics; the others follow the pointer itself.
// Only outermost sections take part: a nested one is left before the outer one is.
#pragma once

#include <nmircu/platform/race_checker.hpp>

namespace nmircu::rcu {

// For their addresses. Apart, because checkers know memory in words.
struct checked_order_tags {
    std::uint64_t sections_left, published, retired, reclaimed;
};
extern constinit checked_order_tags checked_order;

}  // namespace nmircu::rcu
