// SPDX-License-Identifier: MIT
//
// The memory of the module `backtrace`, as far as it makes sense: the program may write into it
// what it likes, also while it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nmi/target/handed_memory.hpp>
#include <nmi/unique_fd.hpp>

struct backtrace_slot;

namespace nmircu::command {

// What one thread has written down, copied and checked.
struct thread_answer {
    std::uint32_t thread_id = 0;
    std::uint32_t cpu = 0;
    std::uint64_t held_ns = 0;             // how long its handler took
    std::vector<std::uint64_t> addresses;  // by frame pointers, innermost first
    std::vector<std::uint64_t> registers;  // none: the stack was not copied
    std::uint64_t stack_pointer = 0;
    std::vector<std::byte> stack;
};

class answers {
  public:
    // Null: `why` says in one phrase what is wrong with the file.
    static std::unique_ptr<answers> open(const unique_fd& file, std::string& why);
    answers(const answers&) = delete;
    answers& operator=(const answers&) = delete;

    // Those that have come in since the last call.
    std::vector<thread_answer> take();
    // Threads that found no room, and slots that make no sense.
    [[nodiscard]] std::uint32_t missed() const;
    [[nodiscard]] std::uint32_t malformed() const { return malformed_; }

  private:
    explicit answers(std::unique_ptr<handed_memory> memory);
    [[nodiscard]] const char* read_header();
    [[nodiscard]] const backtrace_slot& slot(std::uint32_t number) const;
    [[nodiscard]] bool copy(const backtrace_slot& from, thread_answer& to) const;

    const std::unique_ptr<handed_memory> memory_;
    std::uint32_t slots_ = 0, slot_bytes_ = 0, stack_bytes_ = 0;
    std::vector<bool> taken_;
    std::uint32_t malformed_ = 0;
};

}  // namespace nmircu::command
