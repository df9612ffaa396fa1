// SPDX-License-Identifier: MIT
//
// The end of everything: registers, a backtrace by frame pointers, and off. Any context.
#include "platform/baremetal/panic.hpp"

#include <atomic>

#include <nmircu/platform/port.hpp>

#include "baremetal/exceptions.hpp"
#include "baremetal/layout.h"
#include "baremetal/verdict.hpp"
#include "platform/baremetal/console.hpp"
#include "platform/baremetal/instructions.hpp"
#include "platform/baremetal/irq_vector.hpp"
#include "platform/baremetal/pt_regs.hpp"
#include "platform/text.hpp"

extern "C" const unsigned char text_begin[], text_end[], image_begin[], image_end[];

namespace nmircu::baremetal {

namespace {

constinit std::atomic<bool> panicking{false};
// SDM volume 3, table 6-1.
constexpr const char* names[32] = {"#DE, divide error",
                                   "#DB, debug",
                                   "NMI",
                                   "#BP, breakpoint",
                                   "#OF, overflow",
                                   "#BR, bound range",
                                   "#UD, invalid opcode",
                                   "#NM, no math coprocessor",
                                   "#DF, double fault",
                                   "coprocessor segment overrun",
                                   "#TS, invalid TSS",
                                   "#NP, segment not present",
                                   "#SS, stack-segment fault",
                                   "#GP, general protection",
                                   "#PF, page fault",
                                   "15, reserved",
                                   "#MF, math fault",
                                   "#AC, alignment check",
                                   "#MC, machine check",
                                   "#XM, SIMD exception",
                                   "#VE, virtualization exception",
                                   "#CP, control protection",
                                   "22, reserved",
                                   "23, reserved",
                                   "24, reserved",
                                   "25, reserved",
                                   "26, reserved",
                                   "27, reserved",
                                   "28, reserved",
                                   "29, reserved",
                                   "30, reserved",
                                   "31, reserved"};

const void* pointer(std::uint64_t value) noexcept {
    return reinterpret_cast<const void*>(value);
}

void show_code(const char* before, std::uint64_t address) noexcept {
    char name[96];
    platform::port::name_code(pointer(address), name, sizeof name);
    platform::text_line line;
    line << before << pointer(address) << " " << name;
    print_line(line.c_str());
}

struct named_register {
    const char* name;
    std::uint64_t value;
};

void show_registers(const pt_regs& regs) noexcept {
    const named_register all[] = {
        {"RAX ", regs.rax}, {" RBX ", regs.rbx}, {" RCX ", regs.rcx},       {" RDX ", regs.rdx},
        {"RSI ", regs.rsi}, {" RDI ", regs.rdi}, {" RBP ", regs.rbp},       {" RSP ", regs.rsp},
        {"R8  ", regs.r8},  {" R9  ", regs.r9},  {" R10 ", regs.r10},       {" R11 ", regs.r11},
        {"R12 ", regs.r12}, {" R13 ", regs.r13}, {" R14 ", regs.r14},       {" R15 ", regs.r15},
        {"CS  ", regs.cs},  {" SS  ", regs.ss},  {" RFLAGS ", regs.rflags}, {" CR2 ", read_cr2()}};
    constexpr unsigned per_line = 4;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i += per_line) {
        platform::text_line line;
        for (unsigned column = 0; column < per_line; ++column)
            line << all[i + column].name << pointer(all[i + column].value);
        print_line(line.c_str());
    }
    show_code("RIP ", regs.rip);
}

// Frames lie in the image, each above the one before.
void show_callers(std::uint64_t frame) noexcept {
    constexpr unsigned most = 32;
    const auto begin = reinterpret_cast<std::uintptr_t>(image_begin);
    const auto end = reinterpret_cast<std::uintptr_t>(image_end);
    for (unsigned depth = 0; depth < most; ++depth) {
        if (frame < begin || frame + 16 > end || frame % 8 != 0) return;
        const auto* const words = reinterpret_cast<const std::uint64_t*>(frame);
        const std::uint64_t caller = words[1];
        if (caller < reinterpret_cast<std::uintptr_t>(text_begin) ||
            caller >= reinterpret_cast<std::uintptr_t>(text_end)) {
            return;
        }
        show_code("  called from ", caller);
        if (words[0] <= frame) return;
        frame = words[0];
    }
}

constinit exception_hook_t hook = nullptr;

void take_exception(pt_regs* regs) {
    if (hook != nullptr && hook(regs)) return;
    platform::text_line line;
    line << "an exception that nobody expected: " << names[regs->vector] << ", error code "
         << pointer(regs->error);
    panic(line.c_str(), regs);
}

}  // namespace

void start_exceptions() noexcept {
    set_exception_handler(take_exception);
}

void set_exception_hook(exception_hook_t function) noexcept {
    hook = function;
}

void show_backtrace(const pt_regs* regs) noexcept {
    show_code("  at ", regs->rip);
    show_callers(regs->rbp);
}

void panic(const char* text, const pt_regs* regs) noexcept {
    cli();
    // Relaxed: one of those who panic at once speaks; the others stop.
    if (panicking.exchange(true, std::memory_order_relaxed)) halt_for_ever();
    platform::text_line line;
    line << "PANIC on CPU " << platform::port::current_cpu() << ": " << text;
    print_line(line.c_str());
    if (regs != nullptr) show_registers(*regs);
    show_callers(regs != nullptr ? regs->rbp
                                 : reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
    platform::text_line last;
    last << "FAIL panic: " << text;
    print_line(last.c_str());
    power_off(EXIT_PANIC);
}

}  // namespace nmircu::baremetal
