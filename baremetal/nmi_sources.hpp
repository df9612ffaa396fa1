// SPDX-License-Identifier: MIT
//
// Where NMIs come from besides other CPUs: the deadline of a scenario, and the NMI timer. Both are
// timers of the HPET, whose pin of the I/O APIC delivers to every CPU as an NMI. Thread context,
// where nothing else is said.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

struct machine_description;

// Once, when all CPUs have been started. False: the machine has no HPET that reaches the I/O APIC;
// then nothing below does anything.
bool start_nmi_sources(const machine_description& machine) noexcept;

// Ends the machine with a FAIL line for the scenario `name` when the time is up, whatever any CPU
// is doing then. Until then it disturbs nobody.
void set_deadline(const char* name, std::uint64_t ns) noexcept;

// An NMI to every CPU in each period, at least 10 us: nmi_type::local, for the handlers of that
// type. False: there is no such timer.
bool start_nmi_timer(std::uint64_t period_ns) noexcept;
// From the return on none is sent; one may still be on its way, and is then external.
void stop_nmi_timer() noexcept;

// Each CPU in turn shows where it is, as a panic does, without being stopped; one that does not
// answer an NMI within a second is named. Returns how many have not answered.
unsigned show_all_cpus() noexcept;

}  // namespace nmircu::baremetal
