// SPDX-License-Identifier: MIT
//
// A program against [saferecl.rcu] of the C++26 working draft, in terms of the namespace `rcu_std`
// that the including file has made an alias of std or of ours. Compiling it is most of the test.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

namespace {

// [saferecl.rcu.domain]
static_assert(!std::is_default_constructible_v<rcu_std::rcu_domain>);
static_assert(!std::is_copy_constructible_v<rcu_std::rcu_domain>);
static_assert(!std::is_move_constructible_v<rcu_std::rcu_domain>);
static_assert(!std::is_copy_assignable_v<rcu_std::rcu_domain>);
static_assert(!std::is_move_assignable_v<rcu_std::rcu_domain>);
static_assert(
    std::is_same_v<decltype(&rcu_std::rcu_domain::lock), void (rcu_std::rcu_domain::*)() noexcept>);
static_assert(std::is_same_v<decltype(&rcu_std::rcu_domain::try_lock),
                             bool (rcu_std::rcu_domain::*)() noexcept>);
static_assert(std::is_same_v<decltype(&rcu_std::rcu_domain::unlock),
                             void (rcu_std::rcu_domain::*)() noexcept>);

// [saferecl.rcu.domain.func]
static_assert(
    std::is_same_v<decltype(&rcu_std::rcu_default_domain), rcu_std::rcu_domain& (*)() noexcept>);
static_assert(
    std::is_same_v<decltype(&rcu_std::rcu_synchronize), void (*)(rcu_std::rcu_domain&) noexcept>);
static_assert(
    std::is_same_v<decltype(&rcu_std::rcu_barrier), void (*)(rcu_std::rcu_domain&) noexcept>);
static_assert(std::is_same_v<decltype(&rcu_std::rcu_retire<int>),
                             void (*)(int*, std::default_delete<int>, rcu_std::rcu_domain&)>);
static_assert(noexcept(rcu_std::rcu_synchronize()) && noexcept(rcu_std::rcu_barrier()));
static_assert(!noexcept(rcu_std::rcu_retire(std::declval<int*>())));

// [saferecl.rcu.base]: T may be incomplete; trivially copyable if the deleter is.
struct incomplete;
static_assert(std::is_trivially_copyable_v<rcu_std::rcu_obj_base<incomplete>>);
static_assert(!std::is_default_constructible_v<rcu_std::rcu_obj_base<incomplete>>);
static_assert(!std::is_destructible_v<rcu_std::rcu_obj_base<incomplete>>);

struct function_deleter {
    void (*function)(void*) = nullptr;
    void operator()(void* pointer) const { function(pointer); }
};
static_assert(std::is_trivially_copyable_v<rcu_std::rcu_obj_base<incomplete, function_deleter>>);

struct owning_deleter {
    std::shared_ptr<int> count;
    template <class T>
    void operator()(T* pointer) {
        ++*count;
        delete pointer;
    }
};
static_assert(!std::is_trivially_copyable_v<rcu_std::rcu_obj_base<incomplete, owning_deleter>>);

struct simple : rcu_std::rcu_obj_base<simple> {
    int value = 0;
};
static_assert(std::is_trivially_copyable_v<simple>);
static_assert(std::is_same_v<decltype(std::declval<simple&>().retire()), void>);
static_assert(noexcept(std::declval<simple&>().retire()));
static_assert(noexcept(std::declval<simple&>().retire({}, rcu_std::rcu_default_domain())));

struct with_owner : rcu_std::rcu_obj_base<with_owner, owning_deleter> {};
// A base that is not the first, and a virtual destructor.
struct named {
    virtual ~named() = default;
    long name = 1;
};
struct second_base : named, rcu_std::rcu_obj_base<second_base> {};

TEST(standard, one_domain) {
    rcu_std::rcu_domain& domain = rcu_std::rcu_default_domain();
    EXPECT_EQ(&domain, &rcu_std::rcu_default_domain());
    std::scoped_lock<rcu_std::rcu_domain> scoped(domain);
    std::unique_lock<rcu_std::rcu_domain> unique(domain, std::try_to_lock);
    EXPECT_TRUE(unique.owns_lock());
    std::unique_lock deferred(domain, std::defer_lock);
    deferred.lock();
    std::lock_guard guard(domain);
    std::mutex other;
    std::scoped_lock both(domain, other);
}

TEST(standard, the_drafts_examples) {
    static std::atomic<simple*> current{new simple};
    {
        std::scoped_lock<rcu_std::rcu_domain> section(rcu_std::rcu_default_domain());
        EXPECT_EQ(current.load(std::memory_order_acquire)->value, 0);
    }
    auto* const next = new simple(*current.load());  // a copy of the base comes along
    next->value = 1;
    current.exchange(next)->retire();
    rcu_std::rcu_retire(new int{7});
    rcu_std::rcu_synchronize(rcu_std::rcu_default_domain());
    rcu_std::rcu_barrier(rcu_std::rcu_default_domain());
    current.exchange(nullptr)->retire(std::default_delete<simple>{}, rcu_std::rcu_default_domain());
    rcu_std::rcu_barrier();
}

TEST(standard, deleters) {
    const auto count = std::make_shared<int>(0);
    (new with_owner)->retire(owning_deleter{count});
    rcu_std::rcu_retire(new int, owning_deleter{count});
    rcu_std::rcu_retire(new int, [count](int* pointer) {
        delete pointer;
        ++*count;
    });
    (new second_base)->retire();
    rcu_std::rcu_barrier();
    EXPECT_EQ(*count, 3);
    EXPECT_EQ(count.use_count(), 1);  // the deleters are gone as well
}

}  // namespace
