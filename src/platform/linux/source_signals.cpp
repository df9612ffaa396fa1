// SPDX-License-Identifier: MIT
//
// Counting and filtering in the signal. Context: nmi, except where the header says thread.
//
//   shared variable   written by                      read by
//   tag_epoch         forget_perf_tags (thread)       accept_perf_tag
//   chosen_tag        its own thread, in the signal   its own thread, in the signal
//   conflicts         accept_perf_tag (0 -> pair),    both
//                     take_tag_conflicts (-> 0)
//   first_merged,     its own thread                  its own thread, in the signal
//     merged_now
//   the two counters  the signal                      status
//
// Nothing here publishes other memory, so every access is relaxed: a stale epoch lets one duplicate
// through or holds one signal back, and the next signal sees the new one.
#include "platform/linux/source_signals.hpp"

#include <atomic>

#include "platform/linux/pt_regs.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/linux/wall_slots.hpp"

namespace nmircu::platform {
namespace {

constinit std::atomic<std::uint32_t> tag_epoch{1};
constinit std::atomic<std::uint64_t> conflicts[most_tag_conflicts] = {};
constinit std::atomic<std::uint64_t> overruns{0};
constinit std::atomic<std::uint64_t> duplicates{0};

// Epoch and tag in one word, so that a nested signal never sees half a choice. Zero-initialised and
// initial-exec: touching it in a thread's first instant allocates nothing.
constinit thread_local std::atomic<std::uint64_t> chosen_tag
    __attribute__((tls_model("initial-exec"))){0};

constinit thread_local std::atomic<std::uint32_t> first_merged
    __attribute__((tls_model("initial-exec"))){0};  // 0: as the kernel says
constinit thread_local std::atomic<std::uint32_t> merged_now
    __attribute__((tls_model("initial-exec"))){0};

constexpr std::uint64_t join(std::uint32_t high, std::uint32_t low) noexcept {
    return std::uint64_t{high} << 32 | low;
}

void note_conflict(std::uint64_t pair) noexcept {
    for (auto& slot : conflicts) {
        std::uint64_t seen = 0;
        // Relaxed: the pair is the whole message.
        if (slot.compare_exchange_strong(seen, pair, std::memory_order_relaxed,
                                         std::memory_order_relaxed) ||
            seen == pair) {
            return;
        }
    }
}

}  // namespace

bool accept_signal(const siginfo_t* info) noexcept {
    if (info->si_signo == perf_signal) return accept_perf_tag(perf_signal_data(info));
    if (info->si_code == SI_TIMER) note_timer_signal(info->si_overrun);
    if (info->si_code == SI_QUEUE) return accept_queued_signal(info);
    return true;
}

bool accept_perf_tag(std::uint64_t tag) noexcept {
    const std::uint32_t epoch = tag_epoch.load(std::memory_order_relaxed);  // see the top
    const std::uint32_t thread = signal_tag_thread(tag);
    const std::uint64_t chosen = chosen_tag.load(std::memory_order_relaxed);  // own thread
    if (chosen == join(epoch, thread)) [[likely]]
        return true;
    if (chosen >> 32 != epoch) {
        chosen_tag.store(join(epoch, thread), std::memory_order_relaxed);  // own thread
        return true;
    }
    duplicates.fetch_add(1, std::memory_order_relaxed);  // a statistic
    note_conflict(join(static_cast<std::uint32_t>(chosen), thread));
    return false;
}

void note_timer_signal(int merged) noexcept {
    // Relaxed, all: its own thread, but for a statistic.
    std::uint32_t further = first_merged.load(std::memory_order_relaxed);
    if (further != 0) {
        first_merged.store(0, std::memory_order_relaxed);
    } else if (merged > 0) {
        further = static_cast<std::uint32_t>(merged);
    }
    merged_now.store(further, std::memory_order_relaxed);
    if (further != 0) overruns.fetch_add(further, std::memory_order_relaxed);
}

std::uint32_t merged_timer_signals() noexcept {
    return merged_now.load(std::memory_order_relaxed);  // own thread
}

void set_first_merged(std::uint32_t merged) noexcept {
    first_merged.store(merged, std::memory_order_relaxed);  // own thread
}

void forget_perf_tags() noexcept {
    tag_epoch.fetch_add(1, std::memory_order_relaxed);  // see the top
}

unsigned take_tag_conflicts(tag_conflict (&out)[most_tag_conflicts]) noexcept {
    unsigned taken = 0;
    for (auto& slot : conflicts) {
        const std::uint64_t pair =
            slot.exchange(0, std::memory_order_relaxed);  // the whole message
        if (pair == 0) continue;
        out[taken++] = {static_cast<std::uint32_t>(pair >> 32), static_cast<std::uint32_t>(pair)};
    }
    return taken;
}

void reset_source_counts() noexcept {
    overruns.store(0, std::memory_order_relaxed);    // a statistic
    duplicates.store(0, std::memory_order_relaxed);  // a statistic
}
std::uint64_t timer_overruns() noexcept {
    return overruns.load(std::memory_order_relaxed);
}
std::uint64_t duplicate_signals() noexcept {
    return duplicates.load(std::memory_order_relaxed);
}

}  // namespace nmircu::platform
