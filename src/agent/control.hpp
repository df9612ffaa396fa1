// SPDX-License-Identifier: MIT
//
// The agent at work: the control thread, which serves the channel of `nmi run` and everybody who
// connects to the socket, and the worker, which does what may take long. All that the rest of the
// process sees of them is below. Nothing here is ever destroyed: handlers and these threads run
// until the kernel ends them.
#pragma once

#include <agent/own_thread.hpp>

namespace nmircu::agent {

// Starts the agent's threads and returns once commands can reach it. `channel` is a connected
// socket (-1: none), which is the caller's to close afterwards. False: no thread could be started,
// and there is no agent. Context: thread, once.
bool start_control(int channel, create_function create);

// Waits until the command says `start` or its end of the channel is closed; at once without one.
void wait_for_start();

// At the process's exit: stops the source, tells the command, waits until it has read everything or
// is gone or finish_deadline_ms have passed; removes the socket. Context: thread.
void say_goodbye();

// In the child of a fork there is no agent. Async-signal-safe.
void forget_control() noexcept;

// This process has an agent: not in the child of a fork.
bool has_control() noexcept;

}  // namespace nmircu::agent
