// SPDX-License-Identifier: MIT
//
// The wall source: interrupts threads in real time, whether they run or not, and leaves those alone
// that have not moved. A sampler thread ticks at the rate. At each tick it looks at the CPU time of
// every thread, which costs that thread nothing:
//
//   it has run since its sample       it is sent nmi_signal, and told whether it was blocked
//   it has not, and its last sample   the tick is counted as a repeat of that sample: no signal, so
//   stands (wall_slots.hpp)           no EINTR, no wake-up, however long it sleeps
//   it has not taken the last signal  the tick is merged into that signal: it waits for a CPU, or
//   yet                               cannot be interrupted
//
// A thread that was interrupted while it slept runs a little before it sleeps again, and some
// system calls fail with EINTR (epoll_wait, poll, nanosleep); if it then sleeps in the same call at
// the same place, that was one block, and interrupted once.
//
// A thread counts from the moment it first ran under the source, and not while it has not run for a
// second, unless somebody wants idle threads (wall_slots.hpp).
//
// A tick that took long makes the next one come later, so that the sampler uses 3 % of a CPU at the
// most; it stands for those left out: they are merged, and counted as overruns.
//
// Leaves locking to sources.cpp, but for what it shares with the sampler. Context: thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/linux/sources.hpp"

namespace nmircu::platform {

class wall_sampler;

class wall_source {
  public:
    wall_source() = default;
    wall_source(const wall_source&) = delete;
    wall_source& operator=(const wall_source&) = delete;

    // Returns an empty string, or in one line why not; then nothing runs.
    std::string start(const source_settings& settings, int excluded_tid,
                      const std::vector<int>& threads);
    // Waits for the end of the sampler's tick.
    void stop();

    // Every thread there is, ascending; and those that block the signal, which are left out.
    void rescan(const std::vector<int>& threads, const std::vector<int>& blocking);
    // One that has just begun.
    void arm_new(int thread_id);

    // In the child of a fork, where no sampler is. No heap.
    void abandon() noexcept { sampler_ = nullptr; }

    [[nodiscard]] std::uint64_t overruns() const noexcept;
    // Threads for which there was no slot at the last tick.
    [[nodiscard]] std::vector<int> left_out() const;

  private:
    wall_sampler* sampler_ = nullptr;
};

}  // namespace nmircu::platform
