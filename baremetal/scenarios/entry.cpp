// SPDX-License-Identifier: MIT
//
// The NMI entry, wherever the NMI comes: one, two or three raised inside a handler are one more
// NMI, whether the handler has let the next one in (by an IRET of its own) or not; a page fault, a
// breakpoint and an undefined instruction inside a handler leave everything as it was, CR2 too; and
// so does an NMI at each instruction of the entry and the exit of another.
#include "baremetal/exceptions.hpp"
#include "baremetal/pages.hpp"
#include "baremetal/scenario.hpp"
#include "platform/baremetal/user_mode.hpp"

extern "C" const unsigned char nmi_entry[], nmi_exit_end[], nmi_entry_end[];
extern "C" const unsigned char syscall_entry[], syscall_has_stack[], syscall_gave_stack_back[],
    syscall_end[];

namespace nmircu::baremetal {

namespace {

constexpr unsigned BP = 3, DB = 1, PF = 14, UD = 6;
constexpr std::uint64_t resume_flag = 1 << 16;

enum class inside : unsigned { nothing, page_fault, breakpoint, undefined_instruction, iret };

// What the handler does in its first call of a round. On one CPU.
struct round_of_nmis {
    unsigned raises;
    inside what;
    bool raise_again_late;
};
constinit round_of_nmis round{};
constinit unsigned entries = 0, faults = 0;
constinit std::uintptr_t watched = 0;

void write_debug_registers(std::uintptr_t address, std::uint64_t control) noexcept {
    asm volatile("movq %0, %%dr0\n\tmovq %1, %%dr7" : : "r"(address), "r"(control));
}

// SDM volume 3, section 6.7.1: any IRET lets the next NMI in.
void execute_iret() noexcept {
    asm volatile(
        "movq %%rsp, %%rax\n\t"
        "pushq %0\n\t"
        "pushq %%rax\n\t"
        "pushfq\n\t"
        "pushq %1\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "iretq\n"
        "1:"
        :
        : "i"(SELECTOR_DATA), "i"(SELECTOR_CODE)
        : "rax", "memory");
}

void do_inside(inside what) noexcept {
    switch (what) {
        case inside::nothing:
            return;
        case inside::page_fault: {
            set_present(absent_page, false);
            std::uintptr_t page = absent_page;
            asm volatile("" : "+r"(page));
            *reinterpret_cast<volatile unsigned char*>(page) = 1;
            return;
        }
        case inside::breakpoint:
            asm volatile("int3");
            return;
        case inside::undefined_instruction:
            asm volatile("ud2");
            return;
        case inside::iret:
            return execute_iret();
    }
}

// Context: nmi.
int take(void*, pt_regs*, int) {
    if (++entries != 1) return 1;
    do_inside(round.what);
    for (unsigned i = 0; i < round.raises; ++i)
        nmi_raise_self();
    return 1;
}

// Context: nmi, mostly.
bool expected_exception(pt_regs* regs) {
    ++faults;
    switch (regs->vector) {
        case PF:
            set_present(absent_page, true);
            return true;
        case BP:
            return true;
        case UD:
            regs->rip += 2;
            return true;
        case DB:
            if (regs->rip != watched) return false;
            write_debug_registers(0, 0);
            regs->rflags |= resume_flag;
            nmi_raise_self();
            return true;
        default:
            return false;
    }
}

struct general_registers {
    std::uint64_t value[8];
};

// An NMI to this CPU with known values in the registers that it might lose; whether they are there
// afterwards, and the stack and the flags.
bool raise_and_compare() noexcept {
    std::uint64_t rsp_before, rsp_after, flags_before, flags_after;
    std::uint64_t cr2 = 0x123456789000;
    asm volatile("movq %0, %%cr2" : : "r"(cr2));
    cpu_area& cpu = this_cpu_area();
    cpu.raises_begun.fetch_add(1, std::memory_order_relaxed);  // of this CPU
    cpu.raises_sent.fetch_add(1, std::memory_order_relaxed);
    set_icr_destination(cpu.apic_id);
    std::uint64_t sum;
    asm volatile(
        "movq %%rsp, %1\n\t"
        "std\n\t"
        "movq $1, %%r8\n\t"
        "movq $2, %%r9\n\t"
        "movq $3, %%r10\n\t"
        "movq $4, %%r11\n\t"
        "movq $5, %%r12\n\t"
        "movq $6, %%rcx\n\t"
        "movq $7, %%rsi\n\t"
        "pushfq\n\t"
        "popq %3\n\t"
        "movl %6, (%5)\n\t"
        "pushfq\n\t"
        "popq %4\n\t"
        "cld\n\t"
        "movq %%rsp, %2\n\t"
        "leaq (%%r8, %%r9, 2), %0\n\t"
        "leaq (%0, %%r10, 4), %0\n\t"
        "leaq (%0, %%r11, 8), %0\n\t"
        "imulq $16, %%r12, %%r12\n\t"
        "addq %%r12, %0\n\t"
        "imulq $32, %%rcx, %%rcx\n\t"
        "addq %%rcx, %0\n\t"
        "imulq $64, %%rsi, %%rsi\n\t"
        "addq %%rsi, %0"
        : "=&r"(sum), "=&m"(rsp_before), "=&m"(rsp_after), "=&m"(flags_before), "=&m"(flags_after)
        : "r"(icr_low()), "i"(icr_nmi | icr_assert)
        : "r8", "r9", "r10", "r11", "r12", "rcx", "rsi", "memory", "cc");
    constexpr std::uint64_t expected = 1 + 2 * 2 + 3 * 4 + 4 * 8 + 5 * 16 + 6 * 32 + 7 * 64;
    return sum == expected && rsp_before == rsp_after && flags_before == flags_after &&
           read_cr2() == cr2;
}

verdict nest(const round_of_nmis& what, unsigned expected) noexcept {
    round = what;
    entries = 0;
    if (!raise_and_compare()) return failed("an NMI has changed a register, the flags or CR2");
    if (entries == expected) return passed();
    return failed(what.raises, " NMIs inside a handler, case ", static_cast<unsigned>(what.what),
                  ": ", entries, " entries instead of ", expected);
}

verdict nest_in_every_way() noexcept {
    for (const inside what : {inside::nothing, inside::page_fault, inside::breakpoint,
                              inside::undefined_instruction, inside::iret}) {
        for (unsigned raises = 0; raises <= 3; ++raises) {
            const verdict result = nest({raises, what, false}, raises == 0 ? 1 : 2);
            if (!result.pass) return result;
        }
    }
    return passed();
}

// One more at each instruction: a breakpoint there raises it. `what` is what the handler has done
// before: after an IRET the NMI is let in at once.
verdict interrupt_every_instruction(const unsigned char* begin, const unsigned char* end,
                                    inside what, unsigned& points) noexcept {
    constexpr std::uint64_t enable_breakpoint_0 = 2;
    for (const unsigned char* at = begin; at != end; ++at) {
        watched = reinterpret_cast<std::uintptr_t>(at);
        faults = 0;
        round = {0, what, false};
        entries = 0;
        write_debug_registers(watched, enable_breakpoint_0);
        const bool unchanged = raise_and_compare();
        write_debug_registers(0, 0);
        if (!unchanged)
            return failed("an NMI at ", static_cast<const void*>(at), " lost something");
        if (faults == 0) {
            if (entries == 1) continue;  // no instruction begins there, or none that is executed
            return failed(entries, " entries for one NMI");
        }
        ++points;
        if (entries != 2) {
            return failed("with a second NMI raised at ", static_cast<const void*>(at), ", case ",
                          static_cast<unsigned>(what), ", there were ", entries, " entries");
        }
    }
    return passed();
}

verdict run() {
    nmi_handler handler;
    if (handler.add(nmi_type::local, "entry", take, nullptr) != nmi_error::none) {
        return failed("the handler cannot be registered");
    }
    set_exception_hook(expected_exception);
    verdict result = nest_in_every_way();
    unsigned points = 0;
    if (result.pass) {
        result = interrupt_every_instruction(nmi_entry, nmi_entry_end, inside::nothing, points);
    }
    unsigned open_points = 0;
    if (result.pass) {
        result = interrupt_every_instruction(nmi_entry, nmi_entry_end, inside::iret, open_points);
    }
    set_exception_hook(nullptr);
    if (!result.pass) return result;
    if (points < 40) return failed("breakpoints were hit at ", points, " instructions only");
    return passed("a second NMI at ", points, " instructions of the entry, and at ", open_points,
                  " with NMIs let in, each taken once");
}

}  // namespace

NMIRCU_SCENARIO = {"entry", "NMIs, faults and breakpoints inside NMIs, at every instruction", 60,
                   run};

}  // namespace nmircu::baremetal
