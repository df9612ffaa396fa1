// SPDX-License-Identifier: MIT
//
// The stack of a thread that this process has stopped, by the program's unwinding tables (libdw).
// No debug information is looked for, on disk or elsewhere. Thread context.
#pragma once

#include <memory>

#include <nmi/attach/stack_judgement.hpp>

struct Dwfl;

namespace nmircu::command {

class unwinder {
  public:
    // Of the process as it is mapped now.
    explicit unwinder(int pid);
    ~unwinder();
    unwinder(const unwinder&) = delete;
    unwinder& operator=(const unwinder&) = delete;

    // Empty if nothing can be said. Requires: the thread is in a ptrace stop of this thread's.
    [[nodiscard]] thread_stack stack_of(int thread_id);

  private:
    int pid_;
    Dwfl* dwfl_ = nullptr;
};

}  // namespace nmircu::command
