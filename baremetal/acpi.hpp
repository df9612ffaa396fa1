// SPDX-License-Identifier: MIT
//
// What the firmware's tables say about CPUs and interrupt controllers: ACPI specification 6.4,
// sections 5.2.5 (RSDP), 5.2.12 (MADT); IA-PC HPET specification 1.0a, section 3.2.4. Read once,
// before anybody else runs.
#pragma once

#include <cstdint>

#include <nmircu/platform/limits.hpp>

namespace nmircu::baremetal {

struct machine_description {
    unsigned cpus;  // usable ones; the first are described
    std::uint32_t apic_id[platform::max_cpus];
    std::uintptr_t io_apic;      // 0: none
    std::uint32_t pin_of_timer;  // of the I/O APIC, where the 8254 and the HPET arrive
    std::uintptr_t hpet;         // 0: none
};

// False: no tables were found; then there is one CPU, the one that runs.
bool read_acpi(machine_description& out) noexcept;

}  // namespace nmircu::baremetal
