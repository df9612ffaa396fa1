// SPDX-License-Identifier: MIT
//
// Names of the threads that appear in samples. A thread is known by its last name seen while it
// lived; a number that is used again after its thread ended is another thread. Thread context.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace nmircu::command {

class thread_names {
  public:
    explicit thread_names(int pid) : pid_(pid) {}

    // A small number that stands for the thread from now on.
    std::uint32_t index_of(std::uint32_t thread_id);
    // Looks again at the names of the threads that still live.
    void refresh();

    [[nodiscard]] const std::string& name(std::uint32_t index) const { return names_[index]; }
    [[nodiscard]] std::size_t size() const { return names_.size(); }

  private:
    [[nodiscard]] std::string read_name(std::uint32_t thread_id) const;

    struct known {
        std::uint32_t index;
        bool ended;
    };
    int pid_;
    std::unordered_map<std::uint32_t, known> by_id_;
    std::vector<std::string> names_;
};

}  // namespace nmircu::command
