// SPDX-License-Identifier: MIT
//
// Everything that is learnt about a program while it runs, and lost when it ends: its samples, what
// was mapped where when they were taken, and the names of its threads.
//
//     recorder seen(pid);
//     seen.refresh();
//     every few milliseconds:  seen.begin_round(); rings.poll(... seen.take(record) ...);
//     once a second:           seen.refresh();
//     at the end:              seen.finish();
//
// Counts of samples are of weights: a sample stands for as many as were merged into it, and repeats
// add to the sample they mean one round of polls later, the last of them in finish.
#pragma once

#include <cstdint>
#include <vector>

#include <nmi/profile/call_tree.hpp>
#include <nmi/profile/memory_map.hpp>
#include <nmi/profile/repeats.hpp>
#include <nmi/profile/stack_unwinder.hpp>
#include <nmi/profile/thread_names.hpp>
#include <ring/reader.hpp>

namespace nmircu::command {

// What was read, and what is wrong with it. But for the last two, sums of weights.
struct record_counts {
    std::uint64_t merged = 0;         // weight beyond the first of each sample
    std::uint64_t repeated = 0;       // of samples counted again
    std::uint64_t off_cpu = 0;        // of samples and repeats of blocked threads
    std::uint64_t truncated = 0;      // stacks cut at the limit of frames or of the slice
    std::uint64_t unwound_badly = 0;  // stacks that end before their outermost frame
    std::uint64_t malformed = 0;      // records that are not what they say
    std::uint64_t records = 0;        // samples as they came, each counted once
};

class recorder {
  public:
    explicit recorder(int pid) : map_(pid), threads_(pid) {}

    // From now on stack samples are unwound by it; without one they are their innermost frame, and
    // unwound badly. It must live as long as records are taken.
    void use(stack_unwinder& unwinder) { unwinder_ = &unwinder; }
    // Whether stacks come from an unwinder, so that their outer frames are certain.
    [[nodiscard]] bool is_unwound() const { return unwinder_ != nullptr; }

    // Call it before each round of `take`.
    void begin_round();
    // Takes in one record of a ring; counts what is malformed, ignores kinds it does not know.
    void take(const ring::record& found);
    // After the last `take`.
    void finish();
    // Looks again at mappings and thread names; call it about once a second and at the end.
    void refresh();
    // Counts calls from nothing again; everything else stays known.
    void forget_calls();
    // From now on nothing is looked at any more: the process runs another program.
    void freeze() { frozen_ = true; }

    [[nodiscard]] const call_tree& calls() const { return calls_; }
    [[nodiscard]] const memory_map& map() const { return map_; }
    [[nodiscard]] const thread_names& threads() const { return threads_; }
    [[nodiscard]] const record_counts& counts() const { return counts_; }
    // Repeats whose sample was lost; not part of calls().
    [[nodiscard]] std::uint64_t orphaned() const { return repeats_.orphaned(); }
    [[nodiscard]] std::uint64_t malformed() const { return counts_.malformed; }
    [[nodiscard]] std::uint64_t truncated() const { return counts_.truncated; }

  private:
    void take_sample(const ring::record& found);
    void take_stack(const ring::record& found);
    void take_repeat(const ring::record& found);
    void take_name(const ring::record& found);
    void add(const sample_head& head, std::span<const std::uint64_t> addresses);
    void count_again(const std::vector<repeats::settled>& settled);
    code_place place_of(std::uint64_t address);

    memory_map map_;
    thread_names threads_;
    call_tree calls_;
    repeats repeats_;
    record_counts counts_;
    stack_unwinder* unwinder_ = nullptr;
    std::vector<std::uint64_t> addresses_;
    std::vector<code_place> places_;
    // An unmapped address makes us look at the mappings again, once per round at the most: a target
    // may send as many of them as it likes.
    bool looked_again_ = false;
    bool frozen_ = false;
};

}  // namespace nmircu::command
