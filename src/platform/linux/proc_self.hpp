// SPDX-License-Identifier: MIT
//
// What /proc tells of this process, for a thread that may neither allocate nor take a lock of
// libc's: raw system calls into fixed buffers. Context: thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmircu::platform {

// The threads of this process, one after another.
class task_walk {
  public:
    task_walk() noexcept;
    ~task_walk();
    task_walk(const task_walk&) = delete;
    task_walk& operator=(const task_walk&) = delete;

    // 0: no more.
    [[nodiscard]] std::uint32_t next() noexcept;
    // After the last: whether no thread can have been left out. The kernel ends the list early when
    // the thread it stands on exits.
    [[nodiscard]] bool complete() const noexcept;

  private:
    int directory_;
    long filled_ = 0, at_ = 0;
    std::size_t listed_ = 0;
    alignas(8) char buffer_[1024];  // small: the caller may be on any stack
};

struct task_status {
    char state;             // '?': not known
    std::int32_t cpu;       // -1: not known
    bool of_the_kernel;     // runs no code of the program's
    bool blocks_signal;     // the one asked about
    std::uint64_t blocked;  // bit n - 1: signal n; 0 if it is not known
};

// False: no such thread any more.
bool read_task_status(std::uint32_t thread, int signal, task_status& out) noexcept;
// Empty texts where nothing is known.
void read_task_name(std::uint32_t thread, char* out, std::size_t bytes) noexcept;
void read_task_sleep(std::uint32_t thread, char* out, std::size_t bytes) noexcept;
// The signals that the thread waits for in the kernel, in sigwait and the like; bits as above.
std::uint64_t read_task_awaited(std::uint32_t thread) noexcept;
// Where in the program a sleeping thread has called the kernel; null: it does not sleep.
const void* read_task_address(std::uint32_t thread) noexcept;

}  // namespace nmircu::platform
