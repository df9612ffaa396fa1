// SPDX-License-Identifier: MIT
//
// One table of figures. A row names what is measured; its contestants take turns, a few
// milliseconds each, round after round, so that a machine that slows down or is busy slows all of
// them; the figure is the median round and what counts is the ratio of two figures. What is
// measured, and with which threads around, is the areas' business.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bench {

// Measures for about `seconds` and returns the figure of that round.
using round_function = std::function<double(double seconds)>;

// Which time is measured. An operation that never blocks is measured by its thread's CPU time,
// which does not count what other programs do meanwhile.
enum class stopwatch { cpu, wall };

// The nanoseconds that one operation takes: `loop(count)` does `count` of them. The count that
// fills a round is found once, in the first round, which the table throws away.
round_function nanoseconds_each(std::function<void(std::uint64_t count)> loop,
                                stopwatch by = stopwatch::cpu);

// The same for an operation whose duration varies: batches of it, each larger than the last, until
// the time is over.
round_function nanoseconds_of(std::function<void()> operation, stopwatch by);

// At most (where more is better: at least) `limit` times the figure of another contestant, in this
// row or an earlier one; or, with nobody to compare with, `limit` itself.
struct goal {
    double limit;
    std::string of;
    std::string row = {};
};

struct contestant {
    std::string name;
    round_function round;
    std::optional<bench::goal> goal = {};
};

enum class better { less, more };

struct row {
    std::string name;
    std::string unit;
    better direction;
    std::vector<contestant> contestants;
    // The ratio column compares every contestant with this one. Empty: no ratios.
    std::string peer;
};

class table {
  public:
    // Parses the program's arguments; exits on --help and on a mistake.
    table(const char* program, int argc, char** argv);
    ~table();
    table(const table&) = delete;
    table& operator=(const table&) = delete;

    // Whether --filter lets anything of this row through: setting a scene up may be dear.
    [[nodiscard]] bool wants(const std::string& row_name) const;
    [[nodiscard]] bool quick() const;
    // Measures the row and, unless --json was asked for, prints it.
    void run(const row& wanted);
    // Prints what --json asked for. Returns the program's exit status.
    int finish();

  private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace bench
