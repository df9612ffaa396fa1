// SPDX-License-Identifier: MIT
//
// The line that shows, on a terminal only, that something is going on.
#pragma once

#include <chrono>
#include <string>

namespace nmircu::command {

class progress {
  public:
    progress();
    ~progress() { clear(); }
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;

    // Whether stderr is a terminal that belongs to us now; if not, show does nothing.
    [[nodiscard]] bool wanted() const;
    // Replaces the line, at most four times a second.
    void show(const std::string& text);
    void clear();

  private:
    bool terminal_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point next_{};
};

// Columns of the terminal on stderr; 100 if it is none.
std::size_t terminal_width();

}  // namespace nmircu::command
