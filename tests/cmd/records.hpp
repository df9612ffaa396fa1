// SPDX-License-Identifier: MIT
//
// Records of module.h as a program writes them, for tests: as 8-aligned words.
#pragma once

#include <nmircu/module.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace test {

using words = std::vector<std::uint64_t>;

inline std::span<const std::byte> bytes_of(const words& payload) {
    return std::as_bytes(std::span(payload));
}

// The fixed part of a record, as far as its array.
template <class Record>
words words_of(const Record& fixed, std::size_t bytes = sizeof(Record)) {
    words out((bytes + 7) / 8);
    std::memcpy(out.data(), &fixed, bytes);
    return out;
}

inline words sample_record(std::uint32_t thread, std::uint64_t time_ns, std::uint32_t flags,
                           const words& addresses) {
    nmi_sample fixed{};
    fixed.time_ns = time_ns;
    fixed.thread_id = thread;
    fixed.cpu = 1;
    fixed.address_count = static_cast<std::uint32_t>(addresses.size());
    fixed.flags = flags;
    words out = words_of(fixed, offsetof(nmi_sample, addresses));
    out.insert(out.end(), addresses.begin(), addresses.end());
    return out;
}

inline words repeat_record(std::uint32_t thread, std::uint64_t time_ns, std::uint32_t count,
                           std::uint32_t flags = NMI_SAMPLE_OFF_CPU) {
    return words_of(nmi_repeat{time_ns, thread, count, flags, 0});
}

inline words stack_record(std::uint32_t thread, std::uint64_t time_ns, const words& registers,
                          const words& stack) {
    nmi_stack_sample fixed{};
    fixed.time_ns = time_ns;
    fixed.thread_id = thread;
    fixed.register_count = static_cast<std::uint32_t>(registers.size());
    fixed.stack_pointer = 0x7000;
    fixed.stack_bytes = static_cast<std::uint32_t>(8 * stack.size());
    words out = words_of(fixed, offsetof(nmi_stack_sample, registers));
    out.insert(out.end(), registers.begin(), registers.end());
    out.insert(out.end(), stack.begin(), stack.end());
    return out;
}

inline words name_record(std::uint32_t thread, const std::string& name, std::uint32_t flags) {
    nmi_thread_name fixed{};
    fixed.thread_id = thread;
    fixed.flags = flags;
    std::memcpy(fixed.name, name.data(), std::min(name.size(), sizeof fixed.name));
    return words_of(fixed);
}

}  // namespace test
