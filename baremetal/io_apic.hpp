// SPDX-License-Identifier: MIT
//
// The I/O APIC's redirection table: Intel 82093AA data sheet, section 3.2.4. Thread context.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

// IOREDTBL's low half: delivery modes, and the mask. Interrupts are edge-triggered, active high.
inline constexpr std::uint32_t redirect_fixed = 0 << 8, redirect_nmi = 4 << 8,
                               redirect_masked = 1 << 16;
// All CPUs, as a destination.
inline constexpr std::uint8_t every_cpu = 0xff;

// The base address, 0 if there is none; masks all pins. Once.
void start_io_apic(std::uintptr_t base) noexcept;
[[nodiscard]] bool has_io_apic() noexcept;
// What becomes of a pin's interrupts: `entry` holds delivery mode and vector.
void route_pin(std::uint32_t pin, std::uint32_t entry, std::uint8_t apic_id) noexcept;

}  // namespace nmircu::baremetal
