// SPDX-License-Identifier: MIT
//
// Records out of untrusted bytes; see sample.hpp. A payload may have up to 7 bytes of padding
// behind it, so what it says of its size is compared with "at most".
#include <nmi/profile/sample.hpp>

#include <algorithm>
#include <cstring>

#include <nmircu/module.h>

namespace nmircu::command {
namespace {

constexpr std::uint32_t most_addresses = 1024;
constexpr std::uint32_t most_registers = 256;
constexpr std::uint32_t most_stack_bytes = 32768;

using bytes = std::span<const std::byte>;

// The part of a record before its array; false if the payload has not as much.
template <class Record>
bool read_fixed(bytes payload, Record& out, std::size_t fixed_bytes = sizeof(Record)) {
    if (payload.size() < fixed_bytes) return false;
    std::memcpy(&out, payload.data(), fixed_bytes);
    return true;
}

// The 64-bit words that follow.
std::span<const std::uint64_t> words_at(bytes payload, std::size_t offset, std::size_t count) {
    return {reinterpret_cast<const std::uint64_t*>(payload.data() + offset), count};
}

template <class Record>
sample_head head_of(const Record& fixed) {
    return {fixed.time_ns,
            fixed.thread_id,
            fixed.cpu,
            1 + NMI_SAMPLE_MERGED(fixed.flags),
            (fixed.flags & NMI_SAMPLE_TRUNCATED) != 0,
            (fixed.flags & NMI_SAMPLE_OFF_CPU) != 0,
            (fixed.flags & NMI_SAMPLE_UNWOUND_BADLY) != 0};
}

}  // namespace

std::optional<sample> read_sample(bytes payload) {
    constexpr std::size_t fixed_bytes = offsetof(nmi_sample, addresses);
    static_assert(fixed_bytes % 8 == 0);
    nmi_sample fixed;
    if (!read_fixed(payload, fixed, fixed_bytes)) return std::nullopt;
    const std::size_t room = (payload.size() - fixed_bytes) / sizeof(std::uint64_t);
    const std::uint32_t count = fixed.address_count;
    if (count == 0 || count > most_addresses || count > room) return std::nullopt;
    return sample{head_of(fixed), words_at(payload, fixed_bytes, count)};
}

std::optional<stack_sample> read_stack_sample(bytes payload) {
    constexpr std::size_t fixed_bytes = offsetof(nmi_stack_sample, registers);
    static_assert(fixed_bytes % 8 == 0);
    nmi_stack_sample fixed;
    if (!read_fixed(payload, fixed, fixed_bytes)) return std::nullopt;
    const std::uint32_t count = fixed.register_count;
    if (count == 0 || count > most_registers || fixed.stack_bytes > most_stack_bytes) {
        return std::nullopt;
    }
    const std::size_t stack_at = fixed_bytes + count * sizeof(std::uint64_t);
    if (payload.size() < stack_at + fixed.stack_bytes) return std::nullopt;
    return stack_sample{head_of(fixed), fixed.stack_pointer, words_at(payload, fixed_bytes, count),
                        payload.subspan(stack_at, fixed.stack_bytes)};
}

std::optional<repeat> read_repeat(bytes payload) {
    nmi_repeat fixed;
    if (!read_fixed(payload, fixed) || fixed.count == 0) return std::nullopt;
    return repeat{fixed.time_ns, fixed.thread_id, fixed.count,
                  (fixed.flags & NMI_SAMPLE_OFF_CPU) != 0};
}

std::optional<told_name> read_thread_name(bytes payload) {
    nmi_thread_name fixed;
    if (!read_fixed(payload, fixed)) return std::nullopt;
    const auto* text =
        reinterpret_cast<const char*>(payload.data()) + offsetof(nmi_thread_name, name);
    const auto* end = std::find(text, text + sizeof fixed.name, '\0');
    if (end == text + sizeof fixed.name) return std::nullopt;
    return told_name{fixed.thread_id,
                     (fixed.flags & NMI_THREAD_FIRST) != 0,
                     {text, static_cast<std::size_t>(end - text)}};
}

}  // namespace nmircu::command
