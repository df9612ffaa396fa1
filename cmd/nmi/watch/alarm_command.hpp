// SPDX-License-Identifier: MIT
//
// The command that is run on an alarm: here, not in the program; one at a time, and not more often
// than it is allowed to. Its standard input is the alarm as text.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include <nmi/watch/alarms.hpp>

namespace nmircu::command {

class alarm_command {
  public:
    // Empty: none.
    alarm_command(std::string command, std::chrono::seconds every)
        : command_(std::move(command)), every_(every) {}
    alarm_command(const alarm_command&) = delete;
    alarm_command& operator=(const alarm_command&) = delete;
    // Waits for the one that runs.
    ~alarm_command();

    // Runs it if it may: /bin/sh -c, with NMI_PID, NMI_THREAD, NMI_RULE and NMI_STALLED_MS.
    void run(int pid, const stall_alarm& alarm, const std::string& text);
    // Alarms for which it was not run.
    [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

  private:
    [[nodiscard]] bool may_run();

    std::string command_;
    std::chrono::seconds every_;
    std::chrono::steady_clock::time_point next_{};
    pid_t child_ = 0;  // 0: none runs
    std::uint64_t left_out_ = 0;
};

}  // namespace nmircu::command
