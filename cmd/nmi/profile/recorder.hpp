// SPDX-License-Identifier: MIT
//
// Everything that is learnt about a program while it runs, and lost when it ends: its samples, what
// was mapped where when they were taken, and the names of its threads.
#pragma once

#include <cstdint>
#include <vector>

#include <nmi/profile/call_tree.hpp>
#include <nmi/profile/memory_map.hpp>
#include <nmi/profile/thread_names.hpp>
#include <ring/reader.hpp>

namespace nmircu::command {

class recorder {
  public:
    explicit recorder(int pid) : map_(pid), threads_(pid) {}

    // Call it before each round of `take`.
    void begin_round() { looked_again_ = frozen_; }
    // Takes in one record of a ring; counts what is no sample.
    void take(const ring::record& found);
    // Looks again at mappings and thread names; call it about once a second and at the end.
    void refresh();
    // From now on nothing is looked at any more: the process runs another program.
    void freeze() { frozen_ = true; }

    [[nodiscard]] const call_tree& calls() const { return calls_; }
    [[nodiscard]] const memory_map& map() const { return map_; }
    [[nodiscard]] const thread_names& threads() const { return threads_; }
    [[nodiscard]] std::uint64_t malformed() const { return malformed_; }
    [[nodiscard]] std::uint64_t truncated() const { return truncated_; }

  private:
    code_place place_of(std::uint64_t address);

    memory_map map_;
    thread_names threads_;
    call_tree calls_;
    std::vector<code_place> places_;
    std::uint64_t malformed_ = 0;
    std::uint64_t truncated_ = 0;
    // An unmapped address makes us look at the mappings again, once per round at the most: a target
    // may send as many of them as it likes.
    bool looked_again_ = false;
    bool frozen_ = false;
};

}  // namespace nmircu::command
