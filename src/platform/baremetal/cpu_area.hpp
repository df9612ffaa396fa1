// SPDX-License-Identifier: MIT
//
// What each CPU has of its own: found through GS by everybody, and through the stack pointer by an
// NMI, which cannot trust GS yet.
//
//   0x0000  the variables below, the GDT, the TSS
//   0x1000  stack for machine checks
//   0x2000  stack for double faults
//   0x3000  stack of the CPU's first thread
//   0x8000  stack B for NMIs
//   0xc000  stack A for NMIs, up to 0xfff0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <nmircu/platform/reader.hpp>

#include "platform/baremetal/layout.h"

namespace nmircu::baremetal {

struct thread;

// SDM volume 3, section 8.7, figure 8-11.
struct [[gnu::packed]] task_state_segment {
    std::uint32_t reserved0;
    std::uint64_t RSP[3];
    std::uint64_t reserved1;
    std::uint64_t IST[7];
    std::uint64_t reserved2;
    std::uint16_t reserved3;
    std::uint16_t io_map_base;
};
static_assert(sizeof(task_state_segment) == 104);

// Indexes into the TSS's IST, as IDT entries have them: SDM volume 3, section 6.14.5.
inline constexpr unsigned ist_of_nmis = 1, ist_of_double_faults = 2, ist_of_machine_checks = 3;

struct alignas(CPU_AREA_BYTES) cpu_area {
    cpu_area* self;
    detail::reader_state* reader;  // of the running thread
    std::uint32_t number;
    std::uint32_t apic_id;
    // Of nmi_entry.S, on this CPU: whether an NMI arrived inside an NMI, and is to be taken after
    // it; whether the NMI found a GS base that was not ours; and which.
    std::uint32_t nmi_latched;
    std::uint32_t nmi_gs_is_foreign;
    std::uint64_t nmi_foreign_gs;
    // Of syscall_entry.S: the program's stack pointer, and the one that its system calls start at.
    std::uint64_t user_rsp;
    std::uint64_t syscall_rsp;
    // Whether the CPU sleeps, or is about to.
    std::atomic<std::uint32_t> halted;
    std::uint32_t wake_ups;  // how often it has slept, and something has woken it
    thread* running;
    thread* threads;  // all of this CPU's, in a ring, for ever
    // NMIs that somebody is about to send, and has sent, to this CPU; the second as this CPU saw it
    // last; and where several may have become one: nmi_vector.cpp.
    std::atomic<std::uint32_t> raises_begun, raises_sent;
    std::uint32_t raises_seen;
    std::uint64_t merged_at[2];
    // The number of the latest question that the CPU has answered: ask_cpus.cpp.
    std::atomic<std::uint32_t> answered;
    // What run_on has for the CPU: threads.cpp.
    void (*work)(void*);
    void* work_argument;
    std::atomic<std::uint32_t> work_given, work_done;
    std::atomic<std::uint32_t> online;

    // The CPU's number, shifted by the index: how far its rows are from CPU 0's.
    alignas(64) std::uint64_t row[16];
    std::uint64_t gdt[8];

    task_state_segment tss;

    alignas(0x1000) unsigned char machine_check_stack[0x1000];
    unsigned char double_fault_stack[0x1000];
    unsigned char first_stack[0x5000];
    unsigned char nmi_stacks[0x8000];
};
static_assert(sizeof(cpu_area) == CPU_AREA_BYTES);
static_assert(offsetof(cpu_area, reader) == platform::gs_reader);
static_assert(offsetof(cpu_area, number) == platform::gs_cpu);
static_assert(offsetof(cpu_area, row) == platform::gs_rows);
static_assert(offsetof(cpu_area, nmi_latched) == CPU_NMI_LATCHED);
static_assert(offsetof(cpu_area, nmi_gs_is_foreign) == CPU_NMI_GS_IS_FOREIGN);
static_assert(offsetof(cpu_area, nmi_foreign_gs) == CPU_NMI_FOREIGN_GS);
static_assert(offsetof(cpu_area, user_rsp) == CPU_USER_RSP);
static_assert(offsetof(cpu_area, syscall_rsp) == CPU_SYSCALL_RSP);
static_assert(offsetof(cpu_area, tss.RSP) == CPU_RSP0);
static_assert(offsetof(cpu_area, tss.IST) == CPU_NMI_IST);
static_assert(offsetof(cpu_area, nmi_stacks) == CPU_NMI_STACKS);
static_assert((CPU_NMI_TOP_A ^ CPU_NMI_TOP_B) == CPU_NMI_TOGGLE);

extern cpu_area cpu_areas[platform::max_cpus];

// How many CPUs have been started.
extern constinit unsigned cpu_count;

[[nodiscard]] inline cpu_area& this_cpu_area() noexcept {
    cpu_area* area;
    asm("movq %%gs:0, %0" : "=r"(area));
    return *area;
}

}  // namespace nmircu::baremetal
