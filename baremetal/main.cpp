// SPDX-License-Identifier: MIT
//
// From the loader's call to the verdict: brings the machine up, runs the scenario that the command
// line names, and ends the machine. On CPU 0.
#include <nmircu/detail/lifecycle.hpp>

#include "baremetal/acpi.hpp"
#include "baremetal/descriptors.hpp"
#include "baremetal/exceptions.hpp"
#include "baremetal/multiboot.hpp"
#include "baremetal/nmi_sources.hpp"
#include "baremetal/pages.hpp"
#include "baremetal/scenario.hpp"
#include "platform/baremetal/console.hpp"
#include "platform/baremetal/threads.hpp"
#include "platform/baremetal/user_mode.hpp"

extern "C" const unsigned char image_end[];
extern "C" const nmircu::baremetal::scenario scenarios_begin[], scenarios_end[];
extern "C" void nmircu_switch_stack(std::uint64_t* save, std::uint64_t load);

namespace nmircu::baremetal {

namespace {

constinit machine_description machine{};

// Before anything of .bss is touched.
void check_memory(std::uint32_t magic, const multiboot_info& loader) noexcept {
    if (magic != multiboot_magic) {
        end_with_failure("boot", "the loader does not follow the Multiboot specification");
    }
    if ((loader.flags & multiboot_has_memory) == 0) {
        end_with_failure("boot", "the loader does not say how much memory there is");
    }
    const std::uint64_t needed_kib = reinterpret_cast<std::uintptr_t>(image_end) / 1024;
    const std::uint64_t there_kib = std::uint64_t{loader.mem_upper} + 1024;
    if (there_kib >= needed_kib) return;
    platform::text_line line;
    line << "too little memory: " << there_kib << " KiB, and the image needs " << needed_kib
         << " KiB (qemu: -m " << needed_kib / 1024 + 1 << ")";
    end_with_failure("boot", line.c_str());
}

void list_scenarios() noexcept {
    print_line("scenarios:");
    for (const scenario* at = scenarios_begin; at != scenarios_end; ++at) {
        platform::text_line line;
        line << "  " << at->name << ": " << at->description;
        print_line(line.c_str());
    }
}

const scenario& wanted_scenario() noexcept {
    const char* const name = find_option("scenario");
    for (const scenario* at = scenarios_begin; name != nullptr && at != scenarios_end; ++at) {
        if (is_word(name, at->name)) return *at;
    }
    list_scenarios();
    char text[64];
    copy_option("scenario", text, sizeof text);
    platform::text_line line;
    if (name == nullptr) {
        line << "no scenario was chosen; say scenario=NAME on the command line";
    } else {
        line << "there is no scenario " << text << "; those above can be chosen";
    }
    end_with_failure("boot", line.c_str());
}

unsigned wanted_cpus() noexcept {
    const std::uint64_t there =
        machine.cpus < platform::max_cpus ? machine.cpus : platform::max_cpus;
    const std::uint64_t wanted = option_number("cpus", there);
    if (wanted >= 1 && wanted <= there) return static_cast<unsigned>(wanted);
    platform::text_line line;
    line << "cpus=" << wanted << " is not to be had; the machine has " << there;
    end_with_failure("boot", line.c_str());
}

void find_machine() noexcept {
    if (read_acpi(machine)) return;
    machine = {};
    machine.cpus = 1;
    machine.apic_id[0] = cpu_areas[0].apic_id;
}

void run(const scenario& chosen) noexcept {
    platform::text_line line;
    line << "scenario " << chosen.name << " on " << cpus() << (cpus() == 1 ? " CPU" : " CPUs");
    print_line(line.c_str());
    set_deadline(chosen.name,
                 option_number("deadline", chosen.deadline_s) * std::uint64_t{1'000'000'000});
    const verdict result = chosen.run();
    if (result.pass) end_with_success(chosen.name, result.text);
    end_with_failure(chosen.name, result.text);
}

// The 8254's channel 0 arrives at the HPET's pin, and firmware leaves it running: one shot, at
// once, long before the pin is opened, and never again.
void stop_8254() noexcept {
    outb(0x43, 0x30);
    outb(0x40, 1);
    outb(0x40, 0);
}

}  // namespace

// The 8259s would answer on exceptions' vectors: all of their lines are masked for ever.
void silence_8259s() noexcept {
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
}

}  // namespace nmircu::baremetal

// On the boot stack, with IRQs masked; the CPU's own stack is one of its area's.
extern "C" [[noreturn]] void nmircu_boot_2() {
    using namespace nmircu::baremetal;
    silence_8259s();
    stop_8254();
    start_local_apic();
    cpu_areas[0].apic_id = local_apic_id();
    start_clock();
    measure_local_timer();
    find_machine();
    start_pages();
    start_user_mode();
    sti();
    const scenario& chosen = wanted_scenario();
    start_cpus(machine, wanted_cpus());
    if (!start_nmi_sources(machine)) {
        print_line("no HPET at the I/O APIC: there is no NMI timer, and no deadline");
    }
    nmircu::detail::start_engine(nmircu::detail::barrier_choice::best);
    static_cast<void>(nmircu::nmi_attach());
    run(chosen);
    __builtin_unreachable();
}

extern "C" [[noreturn]] void nmircu_boot(std::uint32_t magic,
                                         const nmircu::baremetal::multiboot_info* loader) {
    using namespace nmircu::baremetal;
    start_console();
    check_memory(magic, *loader);
    fill_interrupt_descriptors();
    load_descriptors(cpu_areas[0]);
    become_first_thread(cpu_areas[0]);
    start_exceptions();
    if ((loader->flags & multiboot_has_cmdline) != 0) {
        set_command_line(reinterpret_cast<const char*>(std::uintptr_t{loader->cmdline}));
    }
    auto* const top = reinterpret_cast<std::uint64_t*>(
        reinterpret_cast<std::uintptr_t>(&cpu_areas[0]) + CPU_NMI_STACKS);
    top[-2] = reinterpret_cast<std::uintptr_t>(nmircu_boot_2);
    for (int slot = -8; slot < -2; ++slot)
        top[slot] = 0;
    std::uint64_t boot_stack;
    nmircu_switch_stack(&boot_stack, reinterpret_cast<std::uintptr_t>(top - 8));
    __builtin_unreachable();
}
