// SPDX-License-Identifier: MIT
//
// Debug register 0, and another gate for vector 1.
#include "baremetal/scenarios/breakpoints.hpp"

#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/local_apic.hpp"

extern "C" void debug_gate();
extern "C" void nmi_gate_without_iret();
extern "C" void take_nmi_without_iret(std::uint32_t icr_low);

namespace nmircu::baremetal {

namespace {

// Pushed by the processor: SDM volume 3, section 6.14.2.
struct processor_frame {
    std::uint64_t rip, cs, rflags, rsp, ss;
};
struct [[gnu::packed]] table_pointer {
    std::uint16_t limit;
    std::uint64_t base;
};
struct gate {
    std::uint64_t words[2];
};

constexpr unsigned DB = 1, NMI = 2, free_ist = 5;
constexpr std::uint64_t rflags_rf = 1 << 16;
// DR7.L0, with R/W0 and LEN0 zero: one byte, executed. DR6 as it is after a reset.
constexpr std::uint64_t dr7_execute_0 = 1, dr7_nothing = 0, dr6_reset = 0xffff0ff0;

alignas(16) constinit unsigned char debug_stack[8192]{};
// Of CPU 0.
constinit at_stop_t action = nullptr;
constinit bool was_hit = false;
constinit gate of_the_image{};

gate& gate_of(unsigned vector) noexcept {
    table_pointer idt;
    asm volatile("sidt %0" : "=m"(idt));
    return reinterpret_cast<gate*>(idt.base)[vector];
}

// SDM volume 3, section 6.14.1: an interrupt gate, and which stack of the TSS's.
gate gate_to(void (*function)()) noexcept {
    constexpr std::uint64_t interrupt_gate = 0x8e;
    const auto entry = reinterpret_cast<std::uintptr_t>(function);
    return {{(entry & 0xffff) | std::uint64_t{SELECTOR_CODE} << 16 | std::uint64_t{free_ist} << 32 |
                 interrupt_gate << 40 | (entry >> 16 & 0xffff) << 48,
             entry >> 32}};
}

void use_own_stack() noexcept {
    this_cpu_area().tss.IST[free_ist - 1] =
        reinterpret_cast<std::uintptr_t>(debug_stack + sizeof debug_stack);
}

void write_debug_registers(std::uintptr_t dr0, std::uint64_t dr7) noexcept {
    asm volatile("movq %0, %%dr0\n\tmovq %1, %%dr6\n\tmovq %2, %%dr7"
                 :
                 : "r"(dr0), "r"(dr6_reset), "r"(dr7)
                 : "memory");
}

}  // namespace

void stop_before(std::uintptr_t address, at_stop_t at_stop) noexcept {
    of_the_image = gate_of(DB);
    use_own_stack();
    action = at_stop;
    was_hit = false;
    gate_of(DB) = gate_to(debug_gate);
    write_debug_registers(address, dr7_execute_0);
}

bool stop_nowhere() noexcept {
    write_debug_registers(0, dr7_nothing);
    gate_of(DB) = of_the_image;
    return was_hit;
}

void mask_nmis() noexcept {
    const gate images = gate_of(NMI);
    use_own_stack();
    gate_of(NMI) = gate_to(nmi_gate_without_iret);
    set_icr_destination(local_apic_id());
    take_nmi_without_iret(icr_nmi | icr_assert);
    gate_of(NMI) = images;
}

// From debug_gate.S.
extern "C" void debug_gate_taken(processor_frame* frame) {
    write_debug_registers(0, dr7_nothing);
    frame->rflags |= rflags_rf;
    was_hit = true;
    action();
}

}  // namespace nmircu::baremetal
