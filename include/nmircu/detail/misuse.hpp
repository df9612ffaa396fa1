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
[[gnu::cold]] void report_unmask(const void* caller) noexcept;
[[gnu::cold]] void report_null(const char* what, const void* caller) noexcept;
[[gnu::cold, gnu::visibility("hidden")]] void report_null_object(const void* caller) noexcept;
[[gnu::cold, gnu::visibility("hidden")]] void report_retired_twice(const void* object,
                                                                   const void* first,
                                                                   const void* second) noexcept;

// Stops the program if the calling thread is inside an NMI. `what` names the function that was
// called at `caller`.
void require_no_handler(const char* what, const void* caller) noexcept;
// The same if it is inside a section.
[[gnu::visibility("hidden")]] void require_no_section(const char* what,
                                                      const void* caller) noexcept;

// Before `object` is retired by the call at `caller`: stops the program if it is retired already.
// Remembers the call until forget_retired. Bounded; what there is no room for is not checked. The
// library forgets an rcu_head by itself, before its function is called. Any context.
void note_retired(const void* object, const void* caller) noexcept;
void forget_retired(const void* object) noexcept;

}  // namespace nmircu::detail

#pragma GCC visibility pop
