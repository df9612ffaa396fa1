// SPDX-License-Identifier: MIT
//
// The host table; see host.hpp. Everything defined here runs in handlers.
#include <agent/host.hpp>

#include <time.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include <nmircu/arch/context.hpp>
#include <nmircu/deferred.hpp>
#include <nmircu/nmi.hpp>

#include <agent/module_resources.hpp>

#include <agent/thread_name.hpp>
#include "platform/linux/signal_vector.hpp"

#include "platform/linux/pt_regs.hpp"
#include "platform/linux/stack_walk.hpp"
#include "platform/linux/wall_slots.hpp"

namespace nmircu::agent {
namespace {

constexpr std::uint32_t most_payload_bytes = 40960;  // what module.h promises
constexpr std::uint32_t most_slice_bytes = 32768;

constinit ring::writer the_rings;

std::uintptr_t host_instruction_pointer(const pt_regs* regs) noexcept {
    return nmircu::instruction_pointer(regs);
}
std::uintptr_t host_user_stack_pointer(const pt_regs* regs) noexcept {
    return nmircu::user_stack_pointer(regs);
}
std::uintptr_t host_frame_pointer(const pt_regs* regs) noexcept {
    return nmircu::frame_pointer(regs);
}
std::uint32_t host_walk_stack(const pt_regs* regs, std::uintptr_t* addresses,
                              std::uint32_t most) noexcept {
    return platform::walk_stack(regs, addresses, most);
}

void* host_record_reserve(std::uint32_t kind, std::uint32_t bytes) noexcept {
    const auto cpu = static_cast<std::uint32_t>(smp_processor_id());
    // 0 bytes are refused and counted there, as too many are here.
    return the_rings.reserve(cpu, kind, bytes <= most_payload_bytes ? bytes : 0);
}
void host_record_commit(void* record) noexcept {
    ring::writer::commit(record);
}

std::uint32_t host_thread_id() noexcept {
    return static_cast<std::uint32_t>(::syscall(SYS_gettid));
}
std::uint64_t host_now_ns() noexcept {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

int host_defer_start() noexcept {
    return deferred_start() ? 1 : 0;
}
int host_defer(nmi_deferred* item) noexcept {
    using core_item = detail::deferred_item;
    static_assert(sizeof(nmi_deferred) == sizeof(core_item) &&
                  offsetof(nmi_deferred, link) == offsetof(core_item, next) &&
                  offsetof(nmi_deferred, queued) == offsetof(core_item, queued));
    return detail::queue_deferred(*reinterpret_cast<core_item*>(item)) ? 1 : 0;
}

std::uint32_t host_requested(const pt_regs* regs) noexcept {
    return platform::requested_number(regs);
}
int host_interrupt_thread(std::uint32_t thread_id, std::uint32_t number) noexcept {
    return platform::request_nmi(static_cast<int>(thread_id), number);
}
std::uint32_t host_interrupt_flags(const pt_regs* regs) noexcept {
    const platform::interrupt_facts facts = platform::facts_of(regs);
    return facts.merged << NMI_SAMPLE_MERGED_SHIFT | (facts.off_cpu ? NMI_SAMPLE_OFF_CPU : 0);
}
std::uint32_t host_walk_stack_flags(const pt_regs* regs, std::uintptr_t* addresses,
                                    std::uint32_t most, std::uint32_t* flags) noexcept {
    platform::walk_end end;
    const std::uint32_t count = platform::walk_stack(regs, addresses, most, end);
    *flags = end == platform::walk_end::limit   ? NMI_SAMPLE_TRUNCATED
             : end == platform::walk_end::badly ? NMI_SAMPLE_UNWOUND_BADLY
                                                : 0;
    return count;
}
std::uint32_t host_dwarf_registers(const pt_regs* regs, std::uint64_t* out,
                                   std::uint32_t most) noexcept {
    std::uint64_t all[arch::dwarf_register_count + 1];
    arch::dwarf_registers(*regs->context, all);
    std::copy_n(all, std::min(most, arch::dwarf_register_count), out);
    return arch::dwarf_register_count;
}
std::uint32_t host_stack_extent(const pt_regs* regs, std::uint32_t most,
                                std::uint32_t* flags) noexcept {
    bool ends = false;
    const std::uint32_t wanted = std::min(most, most_slice_bytes) & ~7u;
    const std::uint32_t bytes =
        platform::stack_extent(nmircu::user_stack_pointer(regs), wanted, ends);
    *flags = ends ? 0 : NMI_SAMPLE_TRUNCATED;
    return bytes;
}
void host_copy_stack(const pt_regs* regs, void* out, std::uint32_t bytes) noexcept {
    platform::copy_stack(nmircu::user_stack_pointer(regs), out, bytes);
}
void host_want_idle_threads(int wanted) noexcept {
    platform::want_idle_threads(wanted != 0);
}

constexpr nmi_host table{.abi = NMI_MODULE_ABI,
                         .bytes = sizeof(nmi_host),
                         .instruction_pointer = host_instruction_pointer,
                         .user_stack_pointer = host_user_stack_pointer,
                         .frame_pointer = host_frame_pointer,
                         .walk_stack = host_walk_stack,
                         .record_reserve = host_record_reserve,
                         .record_commit = host_record_commit,
                         .thread_id = host_thread_id,
                         .now_ns = host_now_ns,
                         .defer_start = host_defer_start,
                         .defer = host_defer,
                         .requested = host_requested,
                         .interrupt_thread = host_interrupt_thread,
                         .shared_memory = resource_offer::memory,
                         .periodic_start = resource_offer::start_periodic,
                         .interrupt_flags = host_interrupt_flags,
                         .walk_stack_flags = host_walk_stack_flags,
                         .dwarf_registers = host_dwarf_registers,
                         .stack_extent = host_stack_extent,
                         .copy_stack = host_copy_stack,
                         .record_thread_name = record_thread_name,
                         .sample_stands = platform::sample_stands,
                         .want_idle_threads = host_want_idle_threads};

}  // namespace

ring::writer& rings() noexcept {
    return the_rings;
}

const nmi_host& host_table() noexcept {
    return table;
}

bool record_repeat(const platform::thread_repeat& what) noexcept {
    const auto cpu = static_cast<std::uint32_t>(smp_processor_id());
    auto* const out =
        static_cast<nmi_repeat*>(the_rings.reserve(cpu, NMI_RECORD_REPEAT, sizeof(nmi_repeat)));
    if (out == nullptr) return false;
    *out = {what.time_ns, what.thread_id, what.count, NMI_SAMPLE_OFF_CPU, 0};
    ring::writer::commit(out);
    return true;
}

int call_module(void* cookie, pt_regs* regs, int cpu) noexcept {
    using module_handler = int (*)(pt_regs*, int);
    return reinterpret_cast<module_handler>(cookie)(regs, cpu);
}

}  // namespace nmircu::agent
