// SPDX-License-Identifier: MIT
//
// Finds the sample that a struct nmi_repeat means: the latest of its thread before the repeat.
// Records of one thread come out of several rings, one ring after the other; so the sample may be
// read later than the repeat, and one taken after the repeat earlier. But it was written before the
// repeat was, so it is read at the latest in the round of polls after the repeat's: only then is a
// repeat settled. Thread context.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include <nmi/profile/sample.hpp>

namespace nmircu::command {

class repeats {
  public:
    // A sample of a thread, known to the caller by `which`.
    void sampled(std::uint32_t thread_id, std::uint64_t time_ns, std::uint32_t which);
    void repeated(const repeat& found);

    // What a repeat has turned out to mean.
    struct settled {
        std::uint32_t which;
        std::uint32_t count;
        bool off_cpu;
    };
    // A new round of polls begins: what is settled by now. Valid until the next call.
    const std::vector<settled>& begin_round();
    // Nothing more will be read: settles all.
    const std::vector<settled>& finish();

    // Sum of the counts of repeats whose sample was never seen.
    [[nodiscard]] std::uint64_t orphaned() const { return orphaned_; }

  private:
    struct moment {
        std::uint64_t time_ns;
        std::uint64_t round;
        std::uint32_t which;
    };
    struct thread {
        std::vector<moment> samples;
        std::uint64_t forgot_in_round = 0;
        bool in_order = true;  // of time
    };
    static void put_in_order(thread& which);
    void forget_old(thread& which) const;
    void settle(const repeat& one);

    std::uint64_t round_ = 0;
    std::unordered_map<std::uint32_t, thread> threads_;
    std::vector<repeat> this_round_, last_round_;
    std::vector<settled> settled_;
    std::uint64_t orphaned_ = 0;
};

}  // namespace nmircu::command
