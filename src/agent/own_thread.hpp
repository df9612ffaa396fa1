// SPDX-License-Identifier: MIT
//
// The agent's own threads inside somebody else's program: every signal blocked, so that the
// program's handlers never run on them; a small stack; no interrupt source reaches them.
#pragma once

#include <pthread.h>

namespace nmircu::agent {

// libc's pthread_create, behind the one this library puts in front of it. Context: thread; also
// before this library's constructors.
int real_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                        void* (*function)(void*), void* argument) noexcept;

// Starts a thread that lives as long as the process. Returns 0 or an errno value.
int start_own_thread(const char* name, void (*function)()) noexcept;

}  // namespace nmircu::agent
