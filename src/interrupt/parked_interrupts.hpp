// SPDX-License-Identifier: MIT
//
// What arrives on a line while it is disabled: a bounded queue, fed in irq context by any thread
// without waiting for anyone, and emptied by whoever enables the line, in thread context.
//
//   variable          written by                   read by        protection
//   word              feeders, who disables or     the same       compare-exchange
//                     enables
//   head              who enables, under a lock    feeders        [PK-1] with [PK-2]
//   a place's what    the feeder that got it       who enables    [PK-3] with [PK-4]
//
// A feeder is inside a read-side section from before it looks at `word`: after a grace period,
// whoever found the line open is out of its handlers, and whoever found it closed has parked.
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/platform/irq_line.hpp>
#include <nmircu/platform/port.hpp>

namespace nmircu::interrupt {

inline constexpr unsigned most_parked = 128;

class parked_interrupts {
  public:
    enum class arrival : std::uint8_t { line_is_open, parked, merged, dropped };

    // Context: irq, inside a section. `queues`: up to most_parked are kept; else one, the first.
    arrival park(const pt_regs* regs, bool queues) noexcept {
        // Relaxed: see the section, above.
        std::uint64_t word = word_.load(std::memory_order_relaxed);
        do {
            if ((word & closed) == 0) [[likely]]
                return arrival::line_is_open;
            // [PK-1] acquire: who enables has copied a place out before it is written again.
            // Partner: the release at [PK-2]. Weakened: two interrupts in one.
            const std::uint64_t waiting = tail_of(word) - head_.load(std::memory_order_acquire);
            if (!queues && waiting != 0) return arrival::merged;
            if (waiting >= most_parked) return arrival::dropped;
            // Relaxed: the place says itself when it is filled. The loop ends: each failure is
            // another thread's success.
        } while (!word_.compare_exchange_weak(word, word + one_arrival, std::memory_order_relaxed,
                                              std::memory_order_relaxed));
        place& mine = places_[tail_of(word) % most_parked];
        platform::save_interrupt(mine.what, regs);
        // [PK-3] release: the interrupt precedes the word that says it is there. Partner: the
        // acquire at [PK-4]. Weakened: half an interrupt is taken.
        mine.filled.store(mark_of(tail_of(word)), std::memory_order_release);
        return arrival::parked;
    }

    // How often the line is disabled. Relaxed: a look.
    [[nodiscard]] std::uint64_t depth() const noexcept {
        return word_.load(std::memory_order_relaxed) & depth_mask;
    }

    // Any context. False: as often as it can be. Relaxed, here and below: who needs more waits for
    // a grace period.
    [[nodiscard]] bool disable() noexcept {
        std::uint64_t word = word_.load(std::memory_order_relaxed);
        do {
            if ((word & depth_mask) == depth_mask) return false;
        } while (!word_.compare_exchange_weak(word, word + 1, std::memory_order_relaxed,
                                              std::memory_order_relaxed));
        return true;
    }

    enum class enabled : std::uint8_t { was_not_disabled, still_disabled, empties };
    // After `empties` the line is still closed, and the caller takes what is there, until taken.
    // Under the lock of those who enable.
    enabled enable() noexcept {
        std::uint64_t word = word_.load(std::memory_order_relaxed);
        std::uint64_t next;
        do {
            if ((word & depth_mask) == 0) return enabled::was_not_disabled;
            next = word - 1;
            if ((next & depth_mask) == 0) next |= emptying;
        } while (!word_.compare_exchange_weak(word, next, std::memory_order_relaxed,
                                              std::memory_order_relaxed));
        return (next & emptying) != 0 ? enabled::empties : enabled::still_disabled;
    }

    // The oldest; or null, and the line is open, or disabled again. Thread context; waits for a
    // feeder that is in the middle of it.
    const platform::saved_interrupt* next() noexcept {
        std::uint64_t word = word_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t head = head_.load(std::memory_order_relaxed);  // ours alone
            const bool goes_on = (word & depth_mask) == 0 && tail_of(word) != head;
            if (goes_on) return &wait_for(head);
            if (word_.compare_exchange_weak(word, word & ~emptying, std::memory_order_relaxed,
                                            std::memory_order_relaxed)) {
                return nullptr;
            }
        }
    }
    // Of the one that next has returned, of which the caller has a copy, inside a section in which
    // it takes it. False: the line has been disabled meanwhile.
    [[nodiscard]] bool taken() noexcept {
        if (depth() != 0) return false;
        // [PK-2] release: the copy precedes the place's being free. Partner: the acquire at [PK-1].
        // Weakened: as there.
        head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
        return true;
    }

    // Opens the line, however often it is disabled. A grace period later, forget. Under the lock.
    void open() noexcept {
        word_.fetch_and(~closed, std::memory_order_relaxed);  // as above
    }
    // Drops what is parked; nobody parks. Returns how many.
    std::uint64_t forget() noexcept {
        const std::uint64_t tail = tail_of(word_.load(std::memory_order_relaxed));
        const std::uint64_t forgotten = tail - head_.load(std::memory_order_relaxed);
        head_.store(tail, std::memory_order_relaxed);  // the section, above
        return forgotten;
    }

    // In a forked child: what is parked is the parent's, and so was whoever was emptying the line.
    void forked() noexcept {
        // Looks before it writes, so that a line nobody ever disabled stays an untouched page.
        if (word_.load(std::memory_order_relaxed) == 0) return;  // one thread
        if (depth() == 0) open();
        forget();
    }

  private:
    // The word: how often disabled; whether being emptied; how many have come so far.
    static constexpr std::uint64_t depth_mask = 0xffff;
    static constexpr std::uint64_t emptying = depth_mask + 1;
    static constexpr std::uint64_t closed = depth_mask | emptying;
    static constexpr unsigned tail_shift = 17;
    static constexpr std::uint64_t one_arrival = std::uint64_t{1} << tail_shift;

    struct place {
        platform::saved_interrupt what;
        std::atomic<std::uint32_t> filled;  // with which arrival: mark_of
    };

    static std::uint64_t tail_of(std::uint64_t word) noexcept { return word >> tail_shift; }
    static std::uint32_t mark_of(std::uint64_t number) noexcept {
        return static_cast<std::uint32_t>(number) + 1;
    }

    const platform::saved_interrupt& wait_for(std::uint64_t number) noexcept {
        constexpr std::uint64_t a_while_ns = 100'000;
        place& where = places_[number % most_parked];
        for (;;) {
            // [PK-4] acquire: the interrupt is there. Partner: the release at [PK-3].
            // Weakened: as there.
            const std::uint32_t filled = where.filled.load(std::memory_order_acquire);
            if (filled == mark_of(number)) return where.what;
            platform::port::wait(where.filled, filled, a_while_ns);
        }
    }

    std::atomic<std::uint64_t> word_{0};
    std::atomic<std::uint64_t> head_{0};
    place places_[most_parked]{};
};

}  // namespace nmircu::interrupt
