// SPDX-License-Identifier: MIT
//
// The functions of nmi.hpp for C. Contexts are those of the functions they call. Those that stop
// the program when misused check their caller themselves, so that messages give the program's
// addresses.
#include <nmircu/kernel_api.h>
#include <nmircu/nmi.h>

#include "rcu/engine.hpp"

uintptr_t nmircu_instruction_pointer(const pt_regs* regs) {
    return nmircu::instruction_pointer(regs);
}
uintptr_t nmircu_user_stack_pointer(const pt_regs* regs) {
    return nmircu::user_stack_pointer(regs);
}
uintptr_t nmircu_frame_pointer(const pt_regs* regs) {
    return nmircu::frame_pointer(regs);
}

void nmircu_nmi_enter() {
    nmircu::nmi_enter();
}
void nmircu_nmi_exit() {
    nmircu::nmi_exit();
}
int nmircu_in_nmi() {
    return nmircu::in_nmi() ? 1 : 0;
}
int nmircu_smp_processor_id() {
    return nmircu::smp_processor_id();
}

void nmircu_do_nmi(pt_regs* regs, long error_code) {
    nmircu::do_nmi(regs, error_code);
}
void nmircu_default_do_nmi(pt_regs* regs) {
    nmircu::default_do_nmi(regs);
}
void nmircu_set_nmi_callback(int (*callback)(pt_regs*, int)) {
    if (callback == nullptr) {
        nmircu::detail::report_null("set_nmi_callback (unset_nmi_callback removes one)",
                                    __builtin_return_address(0));
    }
    nmircu::set_nmi_callback(callback);
}
void nmircu_unset_nmi_callback() {
    nmircu::unset_nmi_callback();
}
int nmircu_dummy_nmi_callback(pt_regs* regs, int cpu) {
    return nmircu::dummy_nmi_callback(regs, cpu);
}

int nmircu_nmi_set_entry(void (*program)(pt_regs*, long)) {
    nmircu::rcu::require_outside_sections(nmircu::platform::this_reader(), "nmi_set_entry",
                                          __builtin_return_address(0),
                                          "Set the entry in a thread, outside any section");
    return nmircu::nmi_set_entry(program);
}
int nmircu_nmi_attach() {
    nmircu::detail::require_no_handler("nmi_attach", __builtin_return_address(0));
    return nmircu::nmi_attach();
}
int nmircu_nmi_raise_self() {
    return nmircu::nmi_raise_self();
}
int nmircu_nmi_raise(int tid) {
    return nmircu::nmi_raise(tid);
}

static_assert(sizeof(nmircu_unreachable_thread) == sizeof(nmircu::nmi_unreachable_thread));
static_assert(offsetof(nmircu_unreachable_thread, signal) ==
              offsetof(nmircu::nmi_unreachable_thread, signal));
static_assert(offsetof(nmircu_unreachable_thread, reason) ==
              offsetof(nmircu::nmi_unreachable_thread, reason));
static_assert(offsetof(nmircu_unreachable_thread, name) ==
              offsetof(nmircu::nmi_unreachable_thread, name));
static_assert(NMIRCU_NO_ANSWER == static_cast<int>(nmircu::nmi_unreachable_reason::no_answer));

size_t nmircu_nmi_unreachable_threads(nmircu_unreachable_thread* out, size_t most) {
    nmircu::detail::require_no_handler("nmi_unreachable_threads", __builtin_return_address(0));
    return nmircu::nmi_unreachable_threads(reinterpret_cast<nmircu::nmi_unreachable_thread*>(out),
                                           most);
}
const char* nmircu_describe_unreachable(uint8_t reason) {
    return nmircu::describe(nmircu::nmi_unreachable_reason{reason});
}

uint64_t nmircu_nmi_count(int cpu) {
    return nmircu::nmi_count(cpu);
}
uint64_t* nmircu_nmi_count_word(int cpu) {
    return &nmircu::detail::nmi_count_word(cpu);
}
uint64_t nmircu_nmi_unknown_count() {
    return nmircu::nmi_unknown_count();
}
uint64_t nmircu_nmi_forwarded_count() {
    return nmircu::nmi_forwarded_count();
}
void nmircu_nmi_set_timing_interval(uint32_t interval) {
    nmircu::nmi_set_timing_interval(interval);
}
uint64_t nmircu_nmi_swallowed_count() {
    return nmircu::nmi_swallowed_count();
}
void nmircu_nmi_set_longest_allowed(uint64_t ns) {
    nmircu::nmi_set_longest_allowed(ns);
}
