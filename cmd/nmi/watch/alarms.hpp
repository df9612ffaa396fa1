// SPDX-License-Identifier: MIT
//
// The memory of the module `watchdog`, as far as it makes sense: the program may write into it what
// it likes, also while it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nmi/target/handed_memory.hpp>
#include <nmi/unique_fd.hpp>

struct watchdog_alarm;

namespace nmircu::command {

enum class stall_rule { heartbeat, busy, mask };

struct stall_alarm {
    std::uint32_t number = 0;
    stall_rule rule = stall_rule::heartbeat;
    std::uint32_t thread_id = 0;
    std::uint64_t time_ns = 0;             // CLOCK_MONOTONIC
    std::uint64_t stalled_ns = 0;          // until then
    std::string thread;                    // its name
    std::string heartbeat;                 // empty: the thread's own, or another rule
    std::vector<std::uint64_t> addresses;  // innermost first; none: it did not answer
};

class alarms {
  public:
    // Null: `why` says in one phrase what is wrong with the file.
    static std::unique_ptr<alarms> open(const unique_fd& file, std::string& why);
    alarms(const alarms&) = delete;
    alarms& operator=(const alarms&) = delete;

    // Those that are there and were not taken, oldest first.
    std::vector<stall_alarm> take();
    // Overwritten before they could be taken, or making no sense.
    [[nodiscard]] std::uint64_t lost() const { return lost_; }
    // Which memory this is: another one after the module was loaded anew.
    [[nodiscard]] std::uint64_t inode() const { return memory_->inode(); }

  private:
    explicit alarms(std::unique_ptr<handed_memory> memory) : memory_(std::move(memory)) {}
    [[nodiscard]] bool copy(std::uint32_t number, stall_alarm& to) const;

    const std::unique_ptr<handed_memory> memory_;
    std::uint32_t taken_ = 0;
    std::uint64_t lost_ = 0;
};

}  // namespace nmircu::command
