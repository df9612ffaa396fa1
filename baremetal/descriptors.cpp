// SPDX-License-Identifier: MIT
//
// Sources: SDM volume 3, sections 3.4.5 (segment descriptors), 6.11 and 6.14.1 (IDT), 8.7 (TSS).
#include "baremetal/descriptors.hpp"

#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/instructions.hpp"

extern "C" const unsigned char interrupt_stubs[256][16];
extern "C" const unsigned char nmi_entry[];

namespace nmircu::baremetal {

namespace {

struct gate {
    std::uint16_t offset_0;
    std::uint16_t selector;
    std::uint8_t ist;
    std::uint8_t type;
    std::uint16_t offset_16;
    std::uint32_t offset_32;
    std::uint32_t reserved;
};
static_assert(sizeof(gate) == 16);

// Present; an interrupt gate, which masks IRQs. #BP and #OF may come from user mode.
constexpr std::uint8_t interrupt_gate = 0x8e, user_interrupt_gate = 0xee;
constexpr unsigned NMI = 2, BP = 3, DF = 8, MC = 18;

alignas(16) constinit gate idt[256]{};

struct [[gnu::packed]] table_pointer {
    std::uint16_t limit;
    std::uint64_t base;
};

gate gate_to(std::uintptr_t entry, std::uint8_t type, unsigned ist) noexcept {
    return {static_cast<std::uint16_t>(entry),
            SELECTOR_CODE,
            static_cast<std::uint8_t>(ist),
            type,
            static_cast<std::uint16_t>(entry >> 16),
            static_cast<std::uint32_t>(entry >> 32),
            0};
}

void fill_gdt(cpu_area& cpu) noexcept {
    constexpr std::uint64_t code = 0x00af9a000000ffff, data = 0x00cf92000000ffff;
    constexpr std::uint64_t user_data = 0x00cff2000000ffff, user_code = 0x00affa000000ffff;
    constexpr std::uint64_t available_tss = 0x89ull << 40;
    const auto tss = reinterpret_cast<std::uintptr_t>(&cpu.tss);
    cpu.gdt[0] = 0;
    cpu.gdt[SELECTOR_CODE / 8] = code;
    cpu.gdt[SELECTOR_DATA / 8] = data;
    cpu.gdt[SELECTOR_USER_DATA / 8] = user_data;
    cpu.gdt[SELECTOR_USER_CODE / 8] = user_code;
    cpu.gdt[SELECTOR_TSS / 8] =
        available_tss | (sizeof cpu.tss - 1) | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
    cpu.gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
}

void fill_tss(cpu_area& cpu) noexcept {
    const auto area = reinterpret_cast<std::uintptr_t>(&cpu);
    cpu.tss.RSP[0] = area + CPU_NMI_STACKS;
    cpu.tss.IST[ist_of_nmis - 1] = area + CPU_NMI_TOP_A;
    cpu.tss.IST[ist_of_double_faults - 1] = area + 0x3000;
    cpu.tss.IST[ist_of_machine_checks - 1] = area + 0x2000;
    cpu.tss.io_map_base = sizeof cpu.tss;
}

}  // namespace

void fill_interrupt_descriptors() noexcept {
    for (unsigned vector = 0; vector < 256; ++vector) {
        const auto stub = reinterpret_cast<std::uintptr_t>(interrupt_stubs[vector]);
        idt[vector] = gate_to(stub, vector == BP ? user_interrupt_gate : interrupt_gate, 0);
    }
    idt[NMI] = gate_to(reinterpret_cast<std::uintptr_t>(nmi_entry), interrupt_gate, ist_of_nmis);
    idt[DF].ist = ist_of_double_faults;
    idt[MC].ist = ist_of_machine_checks;
}

void load_descriptors(cpu_area& cpu) noexcept {
    cpu.self = &cpu;
    for (unsigned shift = 0; shift < 16; ++shift)
        cpu.row[shift] = std::uint64_t{cpu.number} << shift;
    fill_gdt(cpu);
    fill_tss(cpu);
    const table_pointer gdt{sizeof cpu.gdt - 1, reinterpret_cast<std::uintptr_t>(cpu.gdt)};
    const table_pointer interrupts{sizeof idt - 1, reinterpret_cast<std::uintptr_t>(idt)};
    // The code segment is the boot GDT's, at the same place.
    asm volatile("lgdt %0\n\tlidt %1" : : "m"(gdt), "m"(interrupts) : "memory");
    asm volatile("ltr %w0" : : "r"(SELECTOR_TSS) : "memory");
    wrmsr(IA32_GS_BASE, reinterpret_cast<std::uintptr_t>(&cpu));
}

}  // namespace nmircu::baremetal
