// SPDX-License-Identifier: MIT
//
// When everybody plays, pauses and goes home; and where chance comes from.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

#include <nmircu/arch/cpu.hpp>

namespace torture {

class stage_state {
  public:
    // For a thread between two sections or two updates: waits out a pause; false: go home.
    bool goes_on() const noexcept {
        // Relaxed: a hint; what the threads did is read after they have been joined.
        while (paused_.load(std::memory_order_relaxed) && !ended()) {
            const timespec moment{0, 500'000};
            nanosleep(&moment, nullptr);
        }
        return !ended();
    }
    // The same without the pause. Any context.
    bool ended() const noexcept { return ended_.load(std::memory_order_relaxed); }  // as above
    void end() noexcept { ended_.store(true, std::memory_order_relaxed); }          // as above
    void pause(bool on) noexcept { paused_.store(on, std::memory_order_relaxed); }  // as above
    // In a forked child.
    void begin_again() noexcept {
        pause(false);
        ended_.store(false, std::memory_order_relaxed);  // there is one thread
    }

  private:
    std::atomic<bool> ended_{false}, paused_{false};
};
inline constinit stage_state stage;

// xorshift64*: a sequence of its own for each thread.
class dice {
  public:
    explicit dice(std::uint64_t seed) noexcept : state_((seed + 1) * 0x9e3779b97f4a7c15u | 1) {}
    std::uint64_t roll() noexcept {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1du >> 16;
    }
    // 0 to bound - 1.
    unsigned below(unsigned bound) noexcept { return unsigned(roll() % bound); }

  private:
    std::uint64_t state_;
};

// For handlers, which have no thread of their own: one sequence for all of them.
inline unsigned shared_roll(unsigned bound) noexcept {
    static constinit std::atomic<std::uint64_t> rolls{0};
    return dice(rolls.fetch_add(1, std::memory_order_relaxed)).below(bound);  // any number will do
}

// Up to 200 us off the CPU. Thread context.
inline void rest(dice& chance) noexcept {
    const timespec time{0, 1000 * (1 + chance.below(200))};
    nanosleep(&time, nullptr);
}

inline void spin(unsigned turns) noexcept {
    for (unsigned turn = 0; turn < turns; ++turn)
        nmircu::arch::spin_hint();
}

}  // namespace torture
