// SPDX-License-Identifier: MIT
//
// One thread of another process, stopped for moments (ptrace), with all others running on; and made
// to call a function. Whatever becomes of us, the thread goes on where it was: see machine.hpp.
// Thread context; everything from one thread of ours.
#pragma once

#include <chrono>
#include <cstdint>

#include <nmi/attach/machine.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {

class traced_thread {
  public:
    using milliseconds = std::chrono::milliseconds;

    explicit traced_thread(int pid, int thread_id) : pid_(pid), thread_id_(thread_id) {}
    // Lets it go on as it was.
    ~traced_thread();
    traced_thread(const traced_thread&) = delete;
    traced_thread& operator=(const traced_thread&) = delete;

    // Stops it and reads its registers. False: it has ended, does not stop in time, or may not be
    // traced; errno tells.
    bool stop(milliseconds deadline);
    [[nodiscard]] const machine::state& stopped_at() const { return before_; }

    // It is within a restartable sequence (rseq), which the kernel would not notice being left.
    [[nodiscard]] bool is_in_restartable_sequence() const;
    // Where its errno is; 0: unknown. `code_at` is __errno_location.
    [[nodiscard]] std::uint64_t errno_at(std::uint64_t code_at) const;

    [[nodiscard]] bool read_memory(std::uint64_t at, void* to, std::size_t bytes) const;
    [[nodiscard]] bool write_memory(std::uint64_t at, const void* from, std::size_t bytes) const;

    enum class outcome {
        returned,  // stopped where it was before
        late,      // still at it, let go; it comes back by itself
        ended,     // the thread or the process
        failed,    // not begun: its stack or registers cannot be written
    };
    outcome call(const machine::call& what, milliseconds deadline);

  private:
    enum class wait_result { stopped, timed_out, ended };
    wait_result wait_for_stop(std::chrono::steady_clock::time_point end, int& status) const;
    wait_result run_to_return(const machine::prepared_call& made,
                              std::chrono::steady_clock::time_point end);
    bool put_back();
    void let_go();

    int pid_;
    int thread_id_;
    bool seized_ = false;
    bool stopped_ = false;
    machine::state before_;
    unique_fd memory_;
};

}  // namespace nmircu::command
