// SPDX-License-Identifier: MIT
//
// The names of C++26 <rcu> in namespace std, for programs written against the draft.
//
// A program that adds names to namespace std has undefined behaviour by the letter of the standard
// ([namespace.std]); in practice it works until the standard library brings its own. Hence this
// header is opt-in, nothing here includes it, and it refuses to compile beside a library that has
// <rcu>. Including <nmircu/rcu.hpp> and an alias of one's own is the clean way.
//
//     #include <nmircu/std_rcu.hpp>              // instead of <rcu>
//     std::scoped_lock section(std::rcu_default_domain());
#pragma once

#include <version>

#ifdef __cpp_lib_rcu
#error "This standard library has <rcu>: include that, or use namespace nmircu for ours"
#endif

#include <nmircu/rcu.hpp>

namespace std {  // NOLINT: see above

using nmircu::rcu_barrier;
using nmircu::rcu_default_domain;
using nmircu::rcu_domain;
using nmircu::rcu_obj_base;
using nmircu::rcu_retire;
using nmircu::rcu_synchronize;

}  // namespace std
