// SPDX-License-Identifier: MIT
//
// The wall source's half that runs in the signal; see wall_slots.hpp. Context: nmi, except where
// the header says otherwise.
#include "platform/linux/wall_slots.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "platform/linux/pt_regs.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/linux/source_signals.hpp"

namespace nmircu::platform {
namespace {

// Pages of their own, so that they can be given back.
alignas(65536) constinit wall_slot slots[most_wall_threads]{};
constinit std::atomic<std::uint32_t> epoch{1};  // relaxed: a late change lets one repeat through
constinit std::atomic<std::int32_t> wanted{0};  // relaxed: a wish

// Null: the signal is not the wall source's.
wall_slot* slot_of(const siginfo_t* info) noexcept {
    if (info->si_signo != nmi_signal || info->si_code != SI_QUEUE) return nullptr;
    const auto tag = reinterpret_cast<std::uintptr_t>(info->si_value.sival_ptr);
    if (!is_signal_tag(tag)) return nullptr;
    const std::uint32_t number = signal_tag_thread(tag);
    if ((number & wall_tag_bit) == 0) return nullptr;
    const std::uint32_t index = number & ~wall_tag_bit;
    return index < most_wall_threads ? &slots[index] : nullptr;
}

std::uint64_t own_cpu_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

wall_slot& wall_slot_at(std::uint32_t index) noexcept {
    return slots[index];
}

void clear_wall_slots() noexcept {
    if (::madvise(slots, sizeof slots, MADV_DONTNEED) == 0) return;
    for (wall_slot& slot : slots)
        slot.thread_id.store(0, std::memory_order_relaxed);  // late signals are dropped by it
}

interrupt_facts facts_of(const pt_regs* regs) noexcept {
    constexpr int most = 65535;
    const siginfo_t* info = regs->info;
    if (regs->type != nmi_type::local) return {0, false};
    if (info->si_code == SI_TIMER) {
        return {std::min(merged_timer_signals(), std::uint32_t{most}), false};
    }
    const wall_slot* const slot = slot_of(info);
    if (slot == nullptr) return {0, false};
    // Relaxed: written by this signal.
    const std::uint32_t merged = slot->taken_merged.load(std::memory_order_relaxed);
    return {std::min(merged, std::uint32_t{most}),
            // Relaxed: written before the signal was sent, which [WALL-2] has seen.
            slot->off_cpu.load(std::memory_order_relaxed) != 0};
}

bool accept_queued_signal(const siginfo_t* info) noexcept {
    wall_slot* const slot = slot_of(info);
    if (slot == nullptr) return true;
    // Relaxed: written before the signal was sent.
    if (slot->thread_id.load(std::memory_order_relaxed) !=
        static_cast<std::uint32_t>(::syscall(SYS_gettid))) {
        return false;
    }
    // [WALL-2] acquire: what the sampler knew when it sent precedes what is recorded of it.
    // Partner: the release at [WALL-1], source_wall.cpp. Weakened: the flag of an earlier signal.
    slot->state.exchange(slot_state::nothing, std::memory_order_acquire);
    // Relaxed: a count that stands alone.
    slot->taken_merged.store(slot->merged.exchange(0, std::memory_order_relaxed),
                             std::memory_order_relaxed);
    return true;
}

void sample_stands(const pt_regs* regs) noexcept {
    if (regs->type != nmi_type::local) return;
    wall_slot* const slot = slot_of(regs->info);
    // Relaxed: as in facts_of.
    if (slot == nullptr || slot->off_cpu.load(std::memory_order_relaxed) == 0) return;
    // Relaxed: published below.
    slot->instruction.store(instruction_pointer(regs), std::memory_order_relaxed);
    slot->stack.store(user_stack_pointer(regs), std::memory_order_relaxed);  // published below
    slot->epoch.store(wall_epoch(), std::memory_order_relaxed);              // published below
    slot->cpu_ns.store(own_cpu_ns(), std::memory_order_relaxed);             // published below
    // [WALL-3] release: what the sampler compares with precedes the word that it may.
    // Partner: the acquire at [WALL-4], source_wall.cpp. Weakened: it compares with an older place,
    // and repeats a sample that is not true any more.
    slot->state.store(slot_state::standing, std::memory_order_release);
}

void forget_standing_samples() noexcept {
    epoch.fetch_add(1, std::memory_order_relaxed);  // see its declaration
}
std::uint32_t wall_epoch() noexcept {
    return epoch.load(std::memory_order_relaxed);  // see its declaration
}

void want_idle_threads(bool idle) noexcept {
    wanted.fetch_add(idle ? 1 : -1, std::memory_order_relaxed);  // see its declaration
}
bool idle_threads_wanted() noexcept {
    return wanted.load(std::memory_order_relaxed) > 0;  // see its declaration
}
void forget_wanted_idle_threads() noexcept {
    wanted.store(0, std::memory_order_relaxed);  // see its declaration
}

}  // namespace nmircu::platform
