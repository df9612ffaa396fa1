// SPDX-License-Identifier: MIT
//
// NMIs where nothing is in order: at each instruction of a program in user mode, of a system call,
// and of an exception, with GS and the stack pointer somebody else's; and at each instruction of
// the NMI entry and exit, let in by an IRET right there, while it serves an NMI that interrupted
// user mode. Whatever was interrupted goes on with all its registers, flags, CR2 and GS; every NMI
// is taken, and one that arrives inside another is taken once, after it. (The scenario `entry` has
// what a well-behaved handler can do.)
#include "baremetal/exceptions.hpp"
#include "baremetal/pages.hpp"
#include "baremetal/scenario.hpp"
#include "baremetal/scenarios/breakpoints.hpp"
#include "baremetal/scenarios/tally.hpp"
#include "platform/baremetal/user_mode.hpp"

extern "C" const unsigned char nmi_entry[], nmi_entry_end[], interrupt_stubs[][16];
extern "C" const unsigned char interrupt_common[], interrupt_common_end[];
extern "C" const unsigned char syscall_entry[], syscall_end[];
extern "C" const unsigned char user_program[], user_program_with_exception[], user_program_end[];
extern "C" const unsigned char user_stack_top[];
extern "C" std::uint64_t user_gs;
extern "C" const unsigned char known_registers_at[];
extern "C" unsigned known_registers_raise(std::uint32_t icr_low);

namespace nmircu::baremetal {

namespace {

constexpr unsigned BP = 3, PF = 14;
// Of all ways together, that many instructions and more have been hit whenever this was complete.
constexpr unsigned least_points = 1200;
constexpr std::uint64_t direction_flag = 1 << 10;
constexpr std::uint64_t pattern_of_cr2 = 0x0000'1234'5678'9000;

// What happens at the stop, and inside the handler's first call. All of this on CPU 0.
constinit unsigned raises_at_stop = 0;
constinit bool faults_in_handler = false;
constinit unsigned entries = 0, inside = 0, faults = 0;
constinit bool stop_was_too_early = false;
constinit std::uintptr_t interrupted = 0;  // where every NMI of the round finds the CPU
constinit const char* complaint = nullptr;

// As nmi_raise_self, for whom GS means nothing.
void raise_own_nmi() noexcept {
    cpu_area& cpu = cpu_areas[0];
    cpu.raises_begun.fetch_add(1, std::memory_order_relaxed);  // of this CPU, both
    cpu.raises_sent.fetch_add(1, std::memory_order_relaxed);
    *icr_low() = icr_nmi | icr_assert;
}

std::uint64_t read_rflags() noexcept {
    std::uint64_t flags;
    asm volatile("pushfq\n\tpopq %0" : "=r"(flags));
    return flags;
}

void fault() noexcept {
    set_present(absent_page, false);
    std::uintptr_t page = absent_page;
    asm volatile("" : "+r"(page));
    *reinterpret_cast<volatile unsigned char*>(page) = 1;
    asm volatile("int3");
}

bool gs_is_ours() noexcept {
    return rdmsr(IA32_GS_BASE) == reinterpret_cast<std::uintptr_t>(cpu_areas);
}

bool take_exception(pt_regs* regs) {
    ++faults;
    if (!gs_is_ours()) complaint = "GS is not ours in an exception";
    if (regs->vector == PF) set_present(absent_page, true);
    return regs->vector == PF || regs->vector == BP;
}

// Context: nmi.
int take(void*, pt_regs* regs, int) {
    if (inside++ != 0) complaint = "an NMI was taken inside another";
    if (!gs_is_ours()) complaint = "GS is not ours in a handler";
    if (regs->rip != interrupted) complaint = "an NMI's frame is wrong";
    if (regs->cs != SELECTOR_CODE && regs->cs != SELECTOR_USER_CODE) complaint = "so is its CS";
    if ((read_rflags() & direction_flag) != 0) complaint = "string instructions go backwards";
    ++entries;
    if (faults_in_handler) fault();
    --inside;
    return 1;
}

// At the stop.
void raise() {
    for (unsigned i = 0; i < raises_at_stop; ++i)
        raise_own_nmi();
}

// At a stop inside the NMI entry. Before it has told the processor to use the other stack nothing
// can be let in: the next frame would lie on this one.
constinit std::uint64_t stack_before = 0;
void raise_if_it_can_be_taken() {
    stop_was_too_early = cpu_areas[0].tss.IST[ist_of_nmis - 1] == stack_before;
    if (!stop_was_too_early) raise();
}

void begin_round() noexcept {
    entries = 0;
    faults = 0;
    stop_was_too_early = false;
    stack_before = cpu_areas[0].tss.IST[ist_of_nmis - 1];
    set_icr_destination(cpu_areas[0].apic_id);
    asm volatile("movq %0, %%cr2" : : "r"(pattern_of_cr2));
}

const char* end_round() noexcept {
    const char* const what = complaint;
    complaint = nullptr;
    if (what != nullptr) return what;
    if (read_cr2() != pattern_of_cr2) return "CR2 has changed";
    if (!gs_is_ours()) return "GS is not ours any more";
    return nullptr;
}

std::uintptr_t address(const void* of) noexcept {
    return reinterpret_cast<std::uintptr_t>(of);
}

std::uint64_t add_one(std::uint64_t, std::uint64_t argument) {
    return argument + 1;
}

const char* run_program(const unsigned char* program, std::uintptr_t stack) noexcept {
    set_syscall(add_one);
    const std::uint64_t sum = run_in_user_mode(address(program), stack, 0x80000, address(&user_gs));
    return sum == 0x80001 + 0x10 + 0x20 + 0x30 + 0x40 + 0x50 + 0x60 + 0x7000
               ? nullptr
               : "the program in user mode lost a register, or its GS";
}
const char* run_program_on_its_stack() noexcept {
    return run_program(user_program, address(user_stack_top));
}
// The program does not use it; it may say what it likes, also that it is inside an NMI.
const char* run_program_on_our_stack() noexcept {
    return run_program(user_program, address(cpu_areas) + CPU_NMI_TOP_A - 512);
}
const char* run_exception_in_user_mode() noexcept {
    const char* const what = run_program(user_program_with_exception, address(user_stack_top));
    return what == nullptr && faults == 0 ? "a breakpoint was not taken" : what;
}

const char* run_exception() noexcept {
    asm volatile("int3" : : : "memory");
    return faults == 0 ? "a breakpoint was not taken" : nullptr;
}

const char* run_known_registers() noexcept {
    cpu_area& cpu = cpu_areas[0];
    cpu.raises_begun.fetch_add(1, std::memory_order_relaxed);  // as above
    cpu.raises_sent.fetch_add(1, std::memory_order_relaxed);
    switch (known_registers_raise(icr_nmi | icr_assert)) {
        case 0:
            return nullptr;
        case 1:
            return "a register has changed";
        case 2:
            return "the flags have changed";
        default:
            return "what lies below the stack pointer has changed";
    }
}

const char* run_known_registers_with_faults() noexcept {
    const bool before = faults_in_handler;
    faults_in_handler = true;
    const char* const what = run_known_registers();
    faults_in_handler = before;
    return what;
}

struct walk {
    const char* name;
    std::uintptr_t begin, end;
    at_stop_t at_stop;
    const char* (*run)();
    // NMIs that run() itself takes; at each stop there is one more. If none, they are masked on the
    // way to the stop, so that they arrive when it returns, at the very instruction.
    unsigned own_nmis;
};

// run() once for each byte in the range, with a stop there, if it is an instruction's first.
verdict walk_through(const walk& way, unsigned& points) noexcept {
    unsigned found = 0;
    for (std::uintptr_t at = way.begin; at != way.end; ++at) {
        const irq_guard no_irqs;
        begin_round();
        interrupted = way.own_nmis == 0 ? at : address(known_registers_at);
        if (way.own_nmis == 0) mask_nmis();
        stop_before(at, way.at_stop);
        const char* what = way.run();
        const bool hit = stop_nowhere();
        let_nmis_in();
        if (what == nullptr) what = end_round();
        const unsigned expected = way.own_nmis + (hit && !stop_was_too_early ? 1 : 0);
        if (what == nullptr && entries != expected) what = "an NMI was lost, or taken twice";
        if (what != nullptr) {
            return failed(way.name, ", ", raises_at_stop, " NMIs at ",
                          reinterpret_cast<const void*>(at), ": ", what, "; ", entries,
                          " NMIs were taken, of ", expected);
        }
        if (hit && !stop_was_too_early) ++found;
    }
    if (found == 0) return failed(way.name, ": no instruction was hit");
    points += found;
    return passed();
}

verdict walk_all_ways(unsigned& points) noexcept {
    const walk ways[] = {
        {"user mode", address(user_program), address(user_program_end), raise,
         run_program_on_its_stack, 0},
        {"user mode on a stack of ours", address(user_program), address(user_program_end), raise,
         run_program_on_our_stack, 0},
        {"a system call", address(syscall_entry), address(syscall_end), raise,
         run_program_on_its_stack, 0},
        {"a system call on a stack of ours", address(syscall_entry), address(syscall_end), raise,
         run_program_on_our_stack, 0},
        {"the stub of an exception", address(interrupt_stubs[BP]), address(interrupt_stubs[BP + 1]),
         raise, run_exception, 0},
        {"an exception", address(interrupt_common), address(interrupt_common_end), raise,
         run_exception, 0},
        {"the stub of an exception in user mode", address(interrupt_stubs[BP]),
         address(interrupt_stubs[BP + 1]), raise, run_exception_in_user_mode, 0},
        {"an exception in user mode", address(interrupt_common), address(interrupt_common_end),
         raise, run_exception_in_user_mode, 0},
        {"an NMI", address(nmi_entry), address(nmi_entry_end), raise_if_it_can_be_taken,
         run_known_registers, 1},
        {"an exception inside an NMI", address(interrupt_common), address(interrupt_common_end),
         raise, run_known_registers_with_faults, 1},
    };
    for (const walk& way : ways) {
        const verdict result = walk_through(way, points);
        if (!result.pass) return result;
    }
    return passed();
}

verdict run() {
    nmi_handler handler;
    if (handler.add(nmi_type::local, "nesting", take, nullptr) != nmi_error::none) {
        return failed("the handler cannot be registered");
    }
    nmi_set_longest_allowed(0);  // an emulated CPU may be held up anywhere
    set_exception_hook(take_exception);
    unsigned points = 0;
    for (raises_at_stop = 1; raises_at_stop <= 3; ++raises_at_stop) {
        for (const bool faulty : {false, true}) {
            faults_in_handler = faulty;
            const verdict result = walk_all_ways(points);
            if (!result.pass) return result;
        }
    }
    set_exception_hook(nullptr);
    if (points < least_points) return failed("NMIs came at ", points, " instructions only");
    return passed("NMIs at ", points,
                  " instructions of user mode, system calls, exceptions and NMIs");
}

}  // namespace

NMIRCU_SCENARIO = {"nesting", "NMIs in user mode, system calls, exceptions and NMIs, everywhere",
                   60, run};

}  // namespace nmircu::baremetal
