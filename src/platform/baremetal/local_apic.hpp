// SPDX-License-Identifier: MIT
//
// The local APIC in xAPIC mode: SDM volume 3, chapter 11. Any context, once started on the CPU.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

// Vectors of the platform's own, above those that can be lines.
inline constexpr std::uint8_t wake_vector = 0xf0, timer_vector = 0xf1, spurious_vector = 0xff;

// ICR, SDM volume 3, section 11.6.1, figure 11-12: delivery modes, level and shorthands.
inline constexpr std::uint32_t icr_fixed = 0 << 8, icr_nmi = 4 << 8, icr_init = 5 << 8,
                               icr_startup = 6 << 8, icr_assert = 1 << 14,
                               icr_all_but_self = 3 << 18;

// On each CPU: enables it; LINT1 is the machine's NMI line. Thread context.
void start_local_apic() noexcept;
[[nodiscard]] std::uint32_t local_apic_id() noexcept;

// Sends an interrupt to the CPU with that APIC id; `command` is the low half of the ICR. Also in an
// NMI that interrupted another sending.
void send_ipi(std::uint32_t apic_id, std::uint32_t command) noexcept;
// Until the last one has left this APIC, or for a while.
void wait_until_ipi_is_sent() noexcept;
// Ends the interrupt that is in service: SDM volume 3, section 11.8.5.
void end_of_interrupt() noexcept;

// One timer interrupt on this CPU (timer_vector), after about that time. Thread context.
void start_local_timer(std::uint64_t ns) noexcept;
void stop_local_timer() noexcept;
// Finds out its rate, in 1 ms; the clock runs. Once.
void measure_local_timer() noexcept;

// The low half of the ICR, for measurements.
[[nodiscard]] volatile std::uint32_t* icr_low() noexcept;
// Sets the destination that a store to icr_low will use.
void set_icr_destination(std::uint32_t apic_id) noexcept;

}  // namespace nmircu::baremetal
