// SPDX-License-Identifier: MIT
//
// May the thread with this stack be made to call the dynamic loader? Not if it may be in the middle
// of what that needs itself: the loader, an allocator, the creation of a thread, a fork, an exit.
// Pure; how a stack is had is left to others.
#pragma once

#include <string>
#include <vector>

namespace nmircu::command {

struct stack_frame {
    std::string object;    // path of the file the code is in; empty: no file
    std::string function;  // of the file's dynamic or full symbol table; empty: none covers it
    bool interrupted;      // the innermost frame, or the one below a signal handler's
};

struct thread_stack {
    std::vector<stack_frame> frames;  // innermost first
    bool complete = false;            // to the thread's beginning
};

// Empty: it may. Else why not, as the end of a sentence: "is in malloc".
std::string objection_to(const thread_stack& stack);

}  // namespace nmircu::command
