// SPDX-License-Identifier: MIT
//
// Questions to threads: a signal whose answer is the state of the thread as the signal found it. It
// reaches no handler and is counted nowhere.
#pragma once

#include <ucontext.h>

#include <csignal>
#include <cstdint>

#include <nmircu/rcu_stall.hpp>

namespace nmircu::platform {

// At most so many threads at a time.
inline constexpr unsigned most_questions = 64;

// What a thread has answered. `reader` has all that a thread knows of itself.
struct thread_answer {
    std::uint64_t section;
    rcu_stalled_reader reader;
};

// The rest, except where said, in thread context, one caller at a time.

// Asks a thread; false: it cannot be asked. `number` is the question's, below most_questions.
bool ask_thread(unsigned number, std::uint32_t thread) noexcept;
// Waits until the first `count` questions are answered, at most `most_ns`.
void wait_for_answers(unsigned count, std::uint64_t most_ns) noexcept;
// Takes the answer, or takes the question back: false.
bool take_answer(unsigned number, thread_answer& out) noexcept;

// Whether the signal is a question: then it has been answered. Context: signal, first thing, before
// any section is entered. errno is kept.
bool answer_question(const siginfo_t* info, const ucontext_t& context) noexcept;

// In a forked child.
void forget_questions() noexcept;

}  // namespace nmircu::platform
