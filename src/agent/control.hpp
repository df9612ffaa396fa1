// SPDX-License-Identifier: MIT
//
// The agent at work: the control thread, which serves the channel of `nmi run` and everybody who
// connects to the socket, and the worker, which does what may take long. All that the rest of the
// process sees of them is below. They end when somebody asks the agent to leave; the core below
// them, to which signals may still be on their way, stays, and serves the next agent.
#pragma once

#include <cstdint>

#include <agent/own_thread.hpp>

namespace nmircu::agent {

// fork: the child of a followed process, which takes over the modules of its parent.
enum class origin : std::uint8_t { program, fork };

struct control_settings {
    int channel;                  // a connected socket, the caller's to close afterwards; -1: none
    std::uint64_t scan_every_ns;  // how often to look for threads that did not report their start
    origin from = origin::program;
};

// occupied: there is an agent already, or still.
enum class start_result : std::uint8_t { started, occupied, no_thread };

// Starts the agent's threads, and waits for nothing. Context: thread.
start_result start_control(const control_settings& settings, create_function create);

// Waits until commands can reach the agent and the channel has been taken over, or there is nobody
// to follow this process and its agent leaves again (follow.hpp).
void wait_for_control();
// The same, a second at the most.
void wait_briefly_for_control();

// Waits until the command says `start` or its end of the channel is closed; at once without one. A
// followed child waits for follow_deadline_ms at the most.
void wait_for_start();

// At the process's exit: stops the source, tells the command, waits until it has read everything or
// is gone or finish_deadline_ms have passed; removes the socket. Context: thread.
void say_goodbye();

// In the child of a fork there is no agent. Async-signal-safe.
void forget_control() noexcept;

// This process has an agent: not in the child of a fork.
bool has_control() noexcept;
// This process is the fork of one that had an agent, and has inherited what was loaded there.
bool has_parents_agent() noexcept;

}  // namespace nmircu::agent
