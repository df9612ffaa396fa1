// SPDX-License-Identifier: MIT
//
// What the two ways into a program have in common: preloaded before main, or entered while it runs.
#pragma once

#include <cstdint>

#include <pthread.h>

namespace nmircu::agent {

// Whether new threads begin in a function of ours, which only a preloaded agent can arrange.
enum class threads_start : unsigned char { are_seen, are_not_seen };

// Makes the process fit for an agent: the trampoline, the fork handlers. The first call counts; all
// of it stays. Context: thread, one at a time.
void prepare_process(threads_start how);

// How often threads are to be looked for, after what prepare_process was told.
std::uint64_t scan_interval_ns();

// libc's, also where ours stands before it. Works before this object's constructors have run.
int libcs_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                         void* (*function)(void*), void* argument) noexcept;

// What nmi_agent_enter tells besides 0 (the threads are started; the socket follows): the command
// knows these numbers.
inline constexpr int entry_has_agent = 1;  // there is an agent, or one that is still leaving
inline constexpr int entry_no_thread = 2;  // no thread could be started
inline constexpr int entry_forked = 3;  // the fork of a program with handlers, which it inherited

}  // namespace nmircu::agent
