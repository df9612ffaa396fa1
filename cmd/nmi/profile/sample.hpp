// SPDX-License-Identifier: MIT
//
// A profiler's record as it came out of a ring, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace nmircu::command {

struct sample {
    std::uint64_t time_ns;
    std::uint32_t thread_id;
    std::uint32_t cpu;
    bool truncated;
    std::span<const std::uint64_t> addresses;  // innermost first, at least one; into the payload
};

// Nothing if the payload (8-aligned) is no struct nmi_sample of module.h.
std::optional<sample> read_sample(std::span<const std::byte> payload);

}  // namespace nmircu::command
