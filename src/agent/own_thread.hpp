// SPDX-License-Identifier: MIT
//
// The agent's own threads inside somebody else's program: every signal blocked, so that the
// program's handlers never run on them; a small stack; no interrupt source reaches them.
#pragma once

#include <pthread.h>

namespace nmircu::agent {

// pthread_create, or what stands behind it: the agent puts a function of its own in front, which
// must not see these threads.
using create_function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

// Starts a thread that runs `function(argument)` and ends. Returns 0 or an errno value.
int start_own_thread(const char* name, void (*function)(void*), void* argument,
                     create_function create) noexcept;
// The same with the create_function that the latest was started with; called on an own thread.
int start_another_thread(const char* name, void (*function)(void*), void* argument) noexcept;

}  // namespace nmircu::agent
