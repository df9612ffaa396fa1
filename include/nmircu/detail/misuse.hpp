// SPDX-License-Identifier: MIT
//
// The checks for misuse that debug builds make, and the one switch for them. Each is made by the
// code that was compiled with the switch on: in a translation unit of the program, what it inlines
// from these headers; in the library, if it was built so, the dispatcher. All the rest is the same
// in both, so that the two kinds can be mixed at will. What is checked when: docs/misuse.md.
#pragma once

// As assert does, unless the program has decided by itself.
#ifndef NMIRCU_DEBUG
#ifdef NDEBUG
#define NMIRCU_DEBUG 0
#else
#define NMIRCU_DEBUG 1
#endif
#endif

#pragma GCC visibility push(default)

namespace nmircu::detail {

struct reader_state;

// Not `inline`: each translation unit has its own.
constexpr bool checks_misuse = NMIRCU_DEBUG != 0;

// What the inlined checks call when they have found something, in src/rcu/misuse.cpp; the program
// stops with a message. `caller` is where the misused function was called. Any context.
[[gnu::cold]] void report_unlock(const reader_state& self, const void* caller) noexcept;
[[gnu::cold]] void report_nesting(const reader_state& self, const void* caller) noexcept;
[[gnu::cold]] void report_null(const char* what, const void* caller) noexcept;

// Stops the program if the calling thread is inside an NMI. `what` names the function that was
// called at `caller`.
void require_no_handler(const char* what, const void* caller) noexcept;
// The same if it is inside a section.
[[gnu::visibility("hidden")]] void require_no_section(const char* what,
                                                      const void* caller) noexcept;

}  // namespace nmircu::detail

#pragma GCC visibility pop
