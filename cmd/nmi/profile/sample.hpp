// SPDX-License-Identifier: MIT
//
// A profiler's records as they came out of a ring, checked. Spans point into the payload, which is
// 8-aligned and the caller's; nothing is returned for a payload that is no such record of module.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace nmircu::command {

// What every kind of sample says.
struct sample_head {
    std::uint64_t time_ns;
    std::uint32_t thread_id;
    std::uint32_t cpu;
    std::uint32_t weight;  // 1 and the interrupts merged into it; 1..65536
    bool truncated;
    bool off_cpu;
    bool unwound_badly;
};

// Of struct nmi_sample.
struct sample : sample_head {
    std::span<const std::uint64_t> addresses;  // innermost first, at least one
};
std::optional<sample> read_sample(std::span<const std::byte> payload);

// Of struct nmi_stack_sample. `truncated`: the stack goes on behind the slice.
struct stack_sample : sample_head {
    std::uint64_t stack_pointer;               // where the slice stood
    std::span<const std::uint64_t> registers;  // by DWARF number, instruction pointer last
    std::span<const std::byte> stack;          // may be empty
    [[nodiscard]] std::uint64_t instruction() const { return registers.back(); }
};
std::optional<stack_sample> read_stack_sample(std::span<const std::byte> payload);

// Of struct nmi_repeat.
struct repeat {
    std::uint64_t time_ns;
    std::uint32_t thread_id;
    std::uint32_t count;  // at least one
    bool off_cpu;
};
std::optional<repeat> read_repeat(std::span<const std::byte> payload);

// Of struct nmi_thread_name.
struct told_name {
    std::uint32_t thread_id;
    bool first;             // NMI_THREAD_FIRST
    std::string_view name;  // 0..15 bytes, any but NUL
};
std::optional<told_name> read_thread_name(std::span<const std::byte> payload);

}  // namespace nmircu::command
