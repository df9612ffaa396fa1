// SPDX-License-Identifier: MIT
//
// struct nmi_sample out of untrusted bytes; see sample.hpp.
#include <nmi/profile/sample.hpp>

#include <cstring>

#include <nmircu/module.h>

namespace nmircu::command {
namespace {

constexpr std::size_t fixed_bytes = offsetof(nmi_sample, addresses);
constexpr std::uint32_t most_addresses = 1024;
static_assert(fixed_bytes % 8 == 0);

}  // namespace

std::optional<sample> read_sample(std::span<const std::byte> payload) {
    if (payload.size() < fixed_bytes) return std::nullopt;
    nmi_sample fixed;
    std::memcpy(&fixed, payload.data(), fixed_bytes);
    const std::size_t room = (payload.size() - fixed_bytes) / sizeof(std::uint64_t);
    if (fixed.address_count == 0 || fixed.address_count > most_addresses ||
        fixed.address_count > room) {
        return std::nullopt;
    }
    const auto* addresses = reinterpret_cast<const std::uint64_t*>(payload.data() + fixed_bytes);
    return sample{fixed.time_ns,
                  fixed.thread_id,
                  fixed.cpu,
                  (fixed.flags & NMI_SAMPLE_TRUNCATED) != 0,
                  {addresses, fixed.address_count}};
}

}  // namespace nmircu::command
