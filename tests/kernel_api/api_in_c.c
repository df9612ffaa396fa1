// SPDX-License-Identifier: MIT
//
// See api_in_c.h. This file includes nmi.h beside kernel_api.h, and so uses the library's do_nmi.
#include "api_in_c.h"

#include <nmircu/nmi.h>

struct c_object* c_published = NULL;
int c_callbacks = 0;

void c_publish(struct c_object* object) {
    if (object == NULL) {
        rcu_assign_pointer(c_published, NULL);
    } else {
        rcu_assign_pointer(c_published, object);
    }
}

int c_read_value(void) {
    int value = -1;
    struct c_object* object;
    rcu_read_lock();
    rcu_read_lock();
    object = rcu_dereference(c_published);
    if (object != NULL) value = object->value;
    rcu_read_unlock();
    rcu_read_unlock();
    return value;
}

int c_read_next_value(const struct c_object* object) {
    int value;
    rcu_read_lock();
    value = rcu_dereference(rcu_dereference(object->next)->next)->value;
    rcu_read_unlock();
    return value;
}

static void free_object(struct rcu_head* head) {
    __atomic_fetch_add(&c_callbacks, 1, __ATOMIC_RELAXED);
    kfree(container_of(head, struct c_object, rcu));
}

void c_free_with_callback(struct c_object* object) {
    call_rcu(&object->rcu, free_object);
}

void c_free_with_kfree_rcu(struct c_object* object) {
    kfree_rcu(object, rcu);
}

void c_free_with_kfree_rcu_waiting(struct c_object** next) {
    kfree_rcu(*next++);
    (void)next;
}

void c_synchronize_inside_a_section(void) {
    rcu_read_lock();
    synchronize_rcu();
}

unsigned long c_count_on(int cpu, int times) {
    int i;
    for (i = 0; i < times; ++i)
        nmi_count(cpu)++;
    return nmi_count(cpu);
}
