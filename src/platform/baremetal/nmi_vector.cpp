// SPDX-License-Identifier: MIT
//
// From the entry (nmi_entry.S) to take_nmi, and sending NMIs. An NMI does not say where it comes
// from, so whoever sends one counts it before and after; the CPU takes one for local while it has
// not seen all of those that were begun. It marks as seen only what has been sent: an NMI whose
// sender is between the two may still be on its way. If more than one has been sent, they have
// become one NMI, or another is pending, which then interrupts the same instruction.
//
//   variable       written by     read by     protection
//   raises_begun   senders        the CPU     the NMI itself; one too late is an external NMI
//   raises_sent    senders        the CPU     as above
//   raises_seen    the CPU's NMI  the same
//   merged_at      the CPU's NMI  the same
#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/nmi.hpp>
#include <nmircu/platform/interrupt.hpp>
#include <nmircu/platform/port.hpp>
#include <nmircu/rcu.hpp>

#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/local_apic.hpp"
#include "platform/baremetal/nmi_vector.hpp"
#include "platform/baremetal/pt_regs.hpp"

static_assert(offsetof(pt_regs, error) == nmircu::platform::regs_type_word * 8);

namespace nmircu::baremetal {

namespace {

constexpr int error_no_such_cpu = 3;  // ESRCH

// See set_unraised_nmi.
constinit unraised_nmi_t unraised = nullptr;

[[gnu::noinline]] bool was_raised_before(cpu_area& cpu, const pt_regs* regs) noexcept {
    const bool same = cpu.merged_at[0] == regs->rip && cpu.merged_at[1] == regs->rsp;
    cpu.merged_at[0] = 0;
    return same;
}

bool was_raised(cpu_area& cpu, const pt_regs* regs) noexcept {
    // Relaxed, both: see the table.
    const std::uint32_t begun = cpu.raises_begun.load(std::memory_order_relaxed);
    if (begun == cpu.raises_seen) [[unlikely]]
        return was_raised_before(cpu, regs);
    const std::uint32_t sent = cpu.raises_sent.load(std::memory_order_relaxed);
    if (sent - cpu.raises_seen > 1) [[unlikely]] {
        cpu.merged_at[0] = regs->rip;
        cpu.merged_at[1] = regs->rsp;
    }
    cpu.raises_seen = sent;
    return true;
}

}  // namespace

void set_unraised_nmi(unraised_nmi_t function) noexcept {
    unraised = function;
}

void raise_nmi(cpu_area& cpu) noexcept {
    // Relaxed, all: see the table.
    cpu.raises_begun.fetch_add(1, std::memory_order_relaxed);
    if (&cpu == &this_cpu_area()) {
        // Taken inside the call: who sends it is never between the two.
        cpu.raises_sent.fetch_add(1, std::memory_order_relaxed);
        return send_ipi(cpu.apic_id, icr_nmi | icr_assert);
    }
    send_ipi(cpu.apic_id, icr_nmi | icr_assert);
    wait_until_ipi_is_sent();
    cpu.raises_sent.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace nmircu::baremetal

// Context: nmi, GS is ours.
extern "C" void nmircu_take_nmi(pt_regs* regs) {
    using namespace nmircu::baremetal;
    using nmircu::nmi_type;
    regs->error = static_cast<std::uint64_t>(nmi_type::local);
    if (!was_raised(this_cpu_area(), regs)) [[unlikely]] {
        regs->error = static_cast<std::uint64_t>(nmi_type::external);
        if (unraised != nullptr && unraised(regs)) return;
    }
    nmircu::detail::enter_section();
    nmircu::detail::take_nmi(regs, 0);
    nmircu::detail::exit_section();
}

namespace nmircu {

std::uintptr_t instruction_pointer(const pt_regs* regs) noexcept {
    return regs->rip;
}
std::uintptr_t user_stack_pointer(const pt_regs* regs) noexcept {
    return regs->rsp;
}
std::uintptr_t frame_pointer(const pt_regs* regs) noexcept {
    return regs->rbp;
}

int nmi_attach() noexcept {
    detail::require_no_handler("nmi_attach", __builtin_return_address(0));
    // Handlers may retire from now on, and cannot create the thread that reclaims.
    detail::start_reclaimer_for_handlers();
    return 0;
}

int nmi_raise_self() noexcept {
    baremetal::raise_nmi(baremetal::this_cpu_area());
    return 0;
}

int nmi_raise(int tid) noexcept {
    const unsigned cpu = static_cast<unsigned>(tid) % platform::max_cpus;
    if (tid < 0 || cpu >= baremetal::cpu_count) return baremetal::error_no_such_cpu;
    baremetal::raise_nmi(baremetal::cpu_areas[cpu]);
    return 0;
}

}  // namespace nmircu
