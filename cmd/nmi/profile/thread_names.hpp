// SPDX-License-Identifier: MIT
//
// Names of the threads that appear in samples: as the threads tell them themselves
// (NMI_RECORD_THREAD_NAME), and as /proc shows them while they live. A thread is known by the last
// name seen; a number that is used again after its thread ended is another thread. One that nobody
// knew the name of is "tid N". Thread context.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nmircu::command {

class thread_names {
  public:
    explicit thread_names(int pid) : pid_(pid) {}

    // A small number that stands for the thread from now on.
    std::uint32_t index_of(std::uint32_t thread_id);
    // A thread has told its name; `first`: it had not done so before.
    void told(std::uint32_t thread_id, std::string_view name, bool first);
    // Looks again at the names of the threads that still live.
    void refresh();

    [[nodiscard]] const std::string& name(std::uint32_t index) const {
        return threads_[index].name;
    }
    [[nodiscard]] std::uint32_t thread_id(std::uint32_t index) const { return threads_[index].id; }
    [[nodiscard]] std::size_t size() const { return threads_.size(); }
    // How many nobody knew the name of.
    [[nodiscard]] std::size_t nameless() const;

  private:
    struct thread {
        std::uint32_t id;
        std::string name;
        bool named;
        bool told_first;  // has told its name
        bool ended;
    };
    [[nodiscard]] std::string read_name(std::uint32_t thread_id) const;
    std::uint32_t add(std::uint32_t thread_id);
    static void rename(thread& which, std::string_view name);

    int pid_;
    std::unordered_map<std::uint32_t, std::uint32_t> by_id_;  // the latest thread of that number
    std::vector<thread> threads_;
};

}  // namespace nmircu::command
