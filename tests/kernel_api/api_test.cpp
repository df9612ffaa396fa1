// SPDX-License-Identifier: MIT
//
// Property: the kernel's names do what they do in the kernel, in C, in C++, in both at once, and
// beside the C++ interface in one file.
#include <atomic>
#include <cstdint>
#include <new>
#include <thread>

#include <gtest/gtest.h>
#include <nmircu/kernel_api.h>
#include <nmircu/nmi.h>
#include <nmircu/nmi.hpp>

#include "api_in_c.h"

namespace {

c_object* new_object(int value) {
    auto* const object = static_cast<c_object*>(kzalloc(sizeof(c_object), GFP_KERNEL));
    object->value = value;
    return object;
}

TEST(kernel_api, a_pointer_published_in_one_language_is_read_in_the_other) {
    c_object* const object = new_object(7);
    EXPECT_EQ(c_read_value(), -1);
    rcu_assign_pointer(c_published, object);
    EXPECT_EQ(c_read_value(), 7);
    object->next = object;
    EXPECT_EQ(c_read_next_value(object), 7);
    c_publish(nullptr);
    rcu_read_lock();
    EXPECT_EQ(rcu_dereference(c_published), nullptr);
    EXPECT_TRUE(nmircu::rcu_read_held());
    rcu_read_unlock();
    EXPECT_FALSE(nmircu::rcu_read_held());
    rcu_assign_pointer(c_published, nullptr);
    rcu_assign_pointer(c_published, NULL);
    c_publish(object);
    EXPECT_EQ(rcu_dereference_sched(c_published), object);
    c_publish(nullptr);
    synchronize_rcu();
    kfree(object);
}

TEST(kernel_api, atomic_pointers_go_by_the_same_names_in_cpp) {
    static std::atomic<int*> pointer{nullptr};
    int value = 3;
    rcu_assign_pointer(pointer, &value);
    EXPECT_EQ(*rcu_dereference(pointer), 3);
    rcu_assign_pointer(pointer, nullptr);
}

int callbacks = 0;

void free_object(rcu_head* head) {
    ++callbacks;  // one at a time
    kfree(container_of(head, c_object, rcu));
}

TEST(kernel_api, callbacks_run_after_the_section_and_before_the_barrier_returns) {
    std::atomic<bool> inside{false}, may_go{false};
    std::thread reader([&] {
        rcu_read_lock();
        inside.store(true);
        while (!may_go.load())
            std::this_thread::yield();
        rcu_read_unlock();
    });
    while (!inside.load())
        std::this_thread::yield();
    c_object* const mine = new_object(1);
    call_rcu(&mine->rcu, free_object);
    c_free_with_callback(new_object(2));
    EXPECT_EQ(__atomic_load_n(&c_callbacks, __ATOMIC_RELAXED), 0);
    may_go.store(true);
    rcu_barrier();
    EXPECT_EQ(callbacks, 1);
    EXPECT_EQ(__atomic_load_n(&c_callbacks, __ATOMIC_RELAXED), 1);
    reader.join();
}

template <std::size_t Offset>
struct far_head {
    char before[Offset];
    rcu_head rcu;
};

TEST(kernel_api, kfree_rcu_finds_the_object_around_its_head) {
    // A wrong address is what free() and AddressSanitizer's leak check are good at finding.
    const auto free_one = [](auto* object) { kfree_rcu(object, rcu); };
    free_one(static_cast<far_head<8>*>(kmalloc(sizeof(far_head<8>), GFP_KERNEL)));
    free_one(static_cast<far_head<2000>*>(kmalloc(sizeof(far_head<2000>), GFP_KERNEL)));
    free_one(static_cast<far_head<4088>*>(kmalloc(sizeof(far_head<4088>), GFP_ATOMIC)));
    c_free_with_kfree_rcu(new_object(0));
    c_free_with_kfree_rcu(nullptr);
    rcu_barrier();

    c_object* next[] = {new_object(0), new_object(1)};
    c_object* const second = next[1];
    c_free_with_kfree_rcu_waiting(next);
    EXPECT_EQ(second->value, 1);
    kfree_rcu(second);
    EXPECT_DEATH(nmircu_kfree_rcu(next, 4096), "kfree_rcu called at .* offset 4096");
    EXPECT_DEATH(nmircu_kfree_rcu(next, 12), "kfree_rcu called at .* offset 12");
}

TEST(kernel_api, counts_are_lvalues_in_both_languages) {
    nmi_set_entry(nullptr);
    const std::uint64_t before = nmi_count(1);
    EXPECT_EQ(c_count_on(1, 3), before + 3);
    ++nmi_count(1);
    nmi_count(1)++;
    nmi_count(1) += 2;
    EXPECT_EQ(nmi_count(1), before + 7);
    EXPECT_EQ(nmircu::nmi_count(1), before + 7);
    EXPECT_EQ(nmircu_nmi_count(1), before + 7);
    // Nobody's CPU: no crash, and nobody else's count.
    ++nmi_count(-1);
    ++nmi_count(1 << 20);
    EXPECT_EQ(nmi_count(1), before + 7);
}

TEST(kernel_api, misuse_stops_the_program_with_both_ends) {
    EXPECT_DEATH(nmircu_rcu_read_unlock(), "unlock called at 0x.* inside no read-side");
    EXPECT_DEATH(nmircu_call_rcu(nullptr, nullptr), "call_rcu called at 0x.* with a null");
    EXPECT_DEATH(
        c_synchronize_inside_a_section(),
        "synchronize_rcu called at 0x.* inside a read-side critical section entered at 0x");
    EXPECT_DEATH(
        {
            nmi_enter();
            static_cast<void>(kmalloc(1, GFP_ATOMIC));
        },
        "kmalloc called at 0x.* inside an NMI");
    EXPECT_DEATH(
        {
            void* const memory = kmalloc(1, GFP_KERNEL);
            nmi_enter();
            kfree(memory);
        },
        "kfree .*called at 0x.* inside an NMI");
}

}  // namespace
