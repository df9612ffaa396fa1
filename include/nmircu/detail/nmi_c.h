/* SPDX-License-Identifier: MIT
 *
 * What nmi.h and kernel_api.h share: the library's C functions for NMIs, which carry a prefix so
 * that no other library's are in their way, and, for C, their plain names as inline functions. The
 * manual is nmi.hpp: same functions, same contexts, same errors. In C++ this declares the prefixed
 * functions only.
 */
#ifndef NMIRCU_DETAIL_NMI_C_H
#define NMIRCU_DETAIL_NMI_C_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

/* The interrupted registers. Opaque; see the accessors. */
struct pt_regs;

#ifdef __cplusplus
extern "C" {
#endif

uintptr_t nmircu_instruction_pointer(const struct pt_regs* regs);
uintptr_t nmircu_user_stack_pointer(const struct pt_regs* regs);
uintptr_t nmircu_frame_pointer(const struct pt_regs* regs);

void nmircu_nmi_enter(void);
void nmircu_nmi_exit(void);
int nmircu_in_nmi(void); /* 0 or 1 */
int nmircu_smp_processor_id(void);

void nmircu_do_nmi(struct pt_regs* regs, long error_code);
void nmircu_default_do_nmi(struct pt_regs* regs);
void nmircu_set_nmi_callback(int (*callback)(struct pt_regs* regs, int cpu));
void nmircu_unset_nmi_callback(void);
int nmircu_dummy_nmi_callback(struct pt_regs* regs, int cpu);

int nmircu_nmi_set_entry(void (*program)(struct pt_regs* regs, long error_code));
int nmircu_nmi_attach(void);
int nmircu_nmi_raise_self(void);
int nmircu_nmi_raise(int tid);

/* Why an NMI does not reach a thread now, in the order of nmi.hpp's nmi_unreachable_reason. */
enum nmircu_unreachable_reason {
    NMIRCU_NOT_ATTACHED,
    NMIRCU_BLOCKS_SIGNAL,
    NMIRCU_WAITS_FOR_SIGNAL,
    NMIRCU_STOPPED,
    NMIRCU_SLEEPS_UNINTERRUPTIBLY,
    NMIRCU_ENDED,
    NMIRCU_NO_ANSWER
};
struct nmircu_unreachable_thread {
    int32_t tid;
    int32_t signal;
    uint8_t reason; /* nmircu_unreachable_reason */
    char state;
    char name[16];
};
/* SIZE_MAX: the threads cannot be listed. */
size_t nmircu_nmi_unreachable_threads(struct nmircu_unreachable_thread* out, size_t most);
/* One sentence for people. */
const char* nmircu_describe_unreachable(uint8_t reason);

uint64_t nmircu_nmi_count(int cpu);
uint64_t nmircu_nmi_unknown_count(void);
uint64_t nmircu_nmi_forwarded_count(void);
uint64_t nmircu_nmi_swallowed_count(void);
void nmircu_nmi_set_timing_interval(uint32_t interval);
void nmircu_nmi_set_longest_allowed(uint64_t ns);

/* rcu_synchronize of rcu.hpp. */
void nmircu_synchronize_rcu(void);

#ifdef __cplusplus
}
#else

typedef int (*nmi_callback_t)(struct pt_regs* regs, int cpu);
typedef void (*nmi_entry_t)(struct pt_regs* regs, long error_code);

static inline uintptr_t instruction_pointer(const struct pt_regs* regs) {
    return nmircu_instruction_pointer(regs);
}
static inline uintptr_t user_stack_pointer(const struct pt_regs* regs) {
    return nmircu_user_stack_pointer(regs);
}
static inline uintptr_t frame_pointer(const struct pt_regs* regs) {
    return nmircu_frame_pointer(regs);
}

static inline void nmi_enter(void) {
    nmircu_nmi_enter();
}
static inline void nmi_exit(void) {
    nmircu_nmi_exit();
}
static inline int in_nmi(void) {
    return nmircu_in_nmi();
}
static inline int smp_processor_id(void) {
    return nmircu_smp_processor_id();
}
static inline void default_do_nmi(struct pt_regs* regs) {
    nmircu_default_do_nmi(regs);
}

static inline int nmi_set_entry(nmi_entry_t program) {
    return nmircu_nmi_set_entry(program);
}
static inline int nmi_attach(void) {
    return nmircu_nmi_attach();
}
static inline int nmi_raise_self(void) {
    return nmircu_nmi_raise_self();
}
static inline int nmi_raise(int tid) {
    return nmircu_nmi_raise(tid);
}

static inline size_t nmi_unreachable_threads(struct nmircu_unreachable_thread* out, size_t most) {
    return nmircu_nmi_unreachable_threads(out, most);
}

static inline uint64_t nmi_unknown_count(void) {
    return nmircu_nmi_unknown_count();
}
static inline uint64_t nmi_forwarded_count(void) {
    return nmircu_nmi_forwarded_count();
}
static inline uint64_t nmi_swallowed_count(void) {
    return nmircu_nmi_swallowed_count();
}
static inline void nmi_set_timing_interval(uint32_t interval) {
    nmircu_nmi_set_timing_interval(interval);
}
static inline void nmi_set_longest_allowed(uint64_t ns) {
    nmircu_nmi_set_longest_allowed(ns);
}

#endif

#pragma GCC visibility pop

#endif
