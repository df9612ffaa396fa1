// SPDX-License-Identifier: MIT
//
// INIT, SIPI, SIPI: SDM volume 3, section 9.4.4.1; the trampoline is in boot.S.
#include "baremetal/cpus.hpp"

#include <nmircu/arch/cpu.hpp>
#include <nmircu/platform/port.hpp>

#include "baremetal/acpi.hpp"
#include "baremetal/descriptors.hpp"
#include "baremetal/layout.h"
#include "baremetal/verdict.hpp"
#include "platform/baremetal/clock.hpp"
#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/instructions.hpp"
#include "platform/baremetal/local_apic.hpp"
#include "platform/baremetal/threads.hpp"
#include "platform/baremetal/user_mode.hpp"
#include "platform/text.hpp"

extern "C" const unsigned char trampoline[], trampoline_end[];
extern "C" std::uint64_t starting_cpu_area;

namespace nmircu::baremetal {

namespace {

constexpr std::uint64_t init_takes_ns = 10'000'000;
constexpr std::uint64_t startup_takes_ns = 200'000;
constexpr std::uint64_t deadline_ns = 5'000'000'000;

void copy_trampoline() noexcept {
    std::uintptr_t to = TRAMPOLINE;
    asm("" : "+r"(to));  // nothing of the compiler's own lies there
    __builtin_memcpy(reinterpret_cast<void*>(to), trampoline,
                     static_cast<std::size_t>(trampoline_end - trampoline));
}

bool comes_online(const cpu_area& cpu, std::uint64_t most_ns) noexcept {
    const std::uint64_t start = now_ns();
    do {
        // [BC-1] acquire: what the CPU has set up is seen. Partner: [BC-2]. Weakened: it is sent
        // an interrupt that it cannot take yet.
        if (cpu.online.load(std::memory_order_acquire) != 0) return true;
        arch::spin_hint();
    } while (now_ns() - start < most_ns);
    return false;
}

void start_cpu(cpu_area& cpu) noexcept {
    starting_cpu_area = reinterpret_cast<std::uintptr_t>(&cpu);
    const std::uint32_t startup = icr_startup | icr_assert | TRAMPOLINE >> 12;
    send_ipi(cpu.apic_id, startup);
    if (comes_online(cpu, startup_takes_ns)) return;
    send_ipi(cpu.apic_id, startup);
    if (comes_online(cpu, deadline_ns)) return;
    platform::text_line line;
    line << "CPU " << cpu.number << " (APIC id " << cpu.apic_id << ") has not started within "
         << deadline_ns / 1'000'000'000 << " s";
    end_with_failure("boot", line.c_str());
}

unsigned number_areas(const machine_description& machine, unsigned wanted) noexcept {
    unsigned number = 1;
    for (unsigned i = 0; i < machine.cpus && i < platform::max_cpus && number < wanted; ++i) {
        if (machine.apic_id[i] == cpu_areas[0].apic_id) continue;
        cpu_areas[number].number = number;
        cpu_areas[number].apic_id = machine.apic_id[i];
        ++number;
    }
    return number;
}

void work_for_ever(cpu_area& cpu) noexcept {
    for (;;) {
        // [BC-3] acquire: the work precedes its number. Partner: [BC-4]. Weakened: a function is
        // called with another's argument.
        const std::uint32_t given = cpu.work_given.load(std::memory_order_acquire);
        const std::uint32_t done = cpu.work_done.load(std::memory_order_relaxed);  // our own
        if (given == done) {
            platform::port::wait(cpu.work_given, given, platform::forever_ns);
            continue;
        }
        cpu.work(cpu.work_argument);
        // [BC-5] release: the work's results precede its end. Partner: [BC-6]. Weakened: who waits
        // sees half of them.
        cpu.work_done.store(given, std::memory_order_release);
        platform::port::wake_all(cpu.work_done);
    }
}

}  // namespace

void start_cpus(const machine_description& machine, unsigned wanted) noexcept {
    copy_trampoline();
    const unsigned count = number_areas(machine, wanted);
    for (unsigned number = 1; number < count; ++number)
        send_ipi(cpu_areas[number].apic_id, icr_init | icr_assert);
    delay_ns(init_takes_ns);
    for (unsigned number = 1; number < count; ++number)
        start_cpu(cpu_areas[number]);
    cpu_count = count;
}

void give_work(unsigned number, void (*function)(void*), void* argument) noexcept {
    cpu_area& cpu = cpu_areas[number];
    static_cast<void>(wait_for_work(number, platform::forever_ns));
    cpu.work = function;
    cpu.work_argument = argument;
    // [BC-4] release: the work precedes its number. Partner: [BC-3]. Weakened: as there.
    cpu.work_given.store(cpu.work_given.load(std::memory_order_relaxed) + 1,
                         std::memory_order_release);
    platform::port::wake_all(cpu.work_given);
}

bool wait_for_work(unsigned number, std::uint64_t most_ns) noexcept {
    cpu_area& cpu = cpu_areas[number];
    const std::uint64_t start = now_ns();
    for (std::uint64_t waited = 0;; waited = now_ns() - start) {
        // [BC-6] acquire: what the work did precedes its end. Partner: [BC-5]. Weakened: as there.
        const std::uint32_t done = cpu.work_done.load(std::memory_order_acquire);
        if (done == cpu.work_given.load(std::memory_order_relaxed)) return true;  // one giver
        if (waited >= most_ns) return false;
        platform::port::wait(cpu.work_done, done,
                             most_ns == platform::forever_ns ? most_ns : most_ns - waited);
    }
}

}  // namespace nmircu::baremetal

// On the CPU that has just left the trampoline, with IRQs masked.
extern "C" [[noreturn]] void nmircu_boot_application_cpu(nmircu::baremetal::cpu_area* area) {
    using namespace nmircu::baremetal;
    cpu_area& cpu = *area;
    load_descriptors(cpu);
    become_first_thread(cpu);
    start_local_apic();
    start_user_mode();
    sti();
    // [BC-2] release: this CPU is set up before it is counted. Partner: [BC-1]. Weakened: as there.
    cpu.online.store(1, std::memory_order_release);
    work_for_ever(cpu);
    __builtin_unreachable();
}
