// SPDX-License-Identifier: MIT
//
// What api_test.cpp has done in C, in the same program.
#ifndef NMIRCU_TESTS_KERNEL_API_API_IN_C_H
#define NMIRCU_TESTS_KERNEL_API_API_IN_C_H

#include <nmircu/kernel_api.h>

#ifdef __cplusplus
extern "C" {
#endif

struct c_object {
    int value;
    struct rcu_head rcu;
    struct c_object* next;
};
extern struct c_object* c_published;
extern int c_callbacks;

void c_publish(struct c_object* object);        // null too
int c_read_value(void);                         // of what is published; -1: nothing
int c_read_next_value(const struct c_object*);  // through a const object
void c_free_with_callback(struct c_object* object);
void c_free_with_kfree_rcu(struct c_object* object);
void c_free_with_kfree_rcu_waiting(struct c_object** next);  // *next++
void c_synchronize_inside_a_section(void);
unsigned long c_count_on(int cpu, int times);

#ifdef __cplusplus
}
#endif

#endif
