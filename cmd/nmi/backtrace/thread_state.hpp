// SPDX-License-Identifier: MIT
//
// What /proc says about one thread of a program: its name, what it does, what it waits for, and why
// an interrupt may not reach it. Nothing is touched. Thread context.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nmircu::command {

struct thread_state {
    int thread_id = 0;
    std::string name;
    char state = '?';            // R, S, D, T, t, Z, X; '?': it has ended
    std::string wait_channel;    // where in the kernel it sleeps; empty: unknown, or it does not
    std::string system_call;     // "futex", "system call 317"; empty: in none, or unknown
    bool blocks_signal = false;  // the one by which threads are asked

    friend bool operator==(const thread_state&, const thread_state&) = default;
};

thread_state state_of(int pid, int thread_id);

// Of the program's own threads: those of the agent are left out.
std::vector<thread_state> states_of(int pid);

// "running", "sleeping in futex (futex_wait_queue)".
std::string describe(const thread_state& thread);

// Why such a thread does not answer; empty if it should.
std::string why_silent(const thread_state& thread);

}  // namespace nmircu::command
