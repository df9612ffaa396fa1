// SPDX-License-Identifier: MIT
//
// Property: a program written against the draft compiles and runs with our names in its place of
// std, and the mandates reject what the draft rejects.
#include <nmircu/rcu.hpp>

// The way that needs no permission: a namespace of one's own.
namespace rcu_std = nmircu;

#include "standard.hpp"

namespace {

template <class T, class D = std::default_delete<T>>
constexpr bool protectable = nmircu::detail::rcu_protectable<T, D>;

using nmircu::rcu_obj_base;

static_assert(protectable<simple>);
static_assert(protectable<second_base>);
static_assert(protectable<with_owner, owning_deleter>);

struct no_base {};
struct hidden_base : private rcu_obj_base<hidden_base> {};
struct virtual_base : virtual rcu_obj_base<virtual_base> {};
struct other_deleter : rcu_obj_base<other_deleter, owning_deleter> {};
struct of_another : rcu_obj_base<simple> {};
struct left : rcu_obj_base<left> {};
struct two_bases : left, rcu_obj_base<two_bases> {};
struct derived : simple {};
static_assert(!protectable<no_base>);
static_assert(!protectable<hidden_base>);
static_assert(!protectable<virtual_base>);
static_assert(!protectable<other_deleter>);
static_assert(!protectable<of_another>);
static_assert(!protectable<two_bases>);
static_assert(!protectable<derived>);

}  // namespace
