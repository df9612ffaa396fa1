// SPDX-License-Identifier: MIT
//
// The writing end of the rings of layout.hpp: the half that lives in the watched program and is
// called in its NMI handlers. What the records mean is left to the caller, and so is the choice of
// the ring: any ring takes any thread's records, the running CPU's is merely the one without
// contention.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <ring/layout.hpp>

namespace nmircu::ring {

class writer {
  public:
    constexpr writer() noexcept = default;
    writer(const writer&) = delete;
    writer& operator=(const writer&) = delete;
    // Makes the region: `cpu_count` rings (1..1024) of `ring_bytes` (a power of two, 64 KiB..256
    // MiB). Memory is taken only as it is written. Returns the memfd, which the caller owns and may
    // close, or minus an errno value. Context: thread, before any handler may call the rest.
    int create(std::uint32_t cpu_count, std::uint64_t ring_bytes) noexcept;

    // Unmaps. Not the destructor's work, because handlers may outlive static destruction.
    // Context: thread; no handler may still use it.
    void release() noexcept;

    // `bytes` (1..most_payload()) of 8-aligned memory in the ring of `cpu` (taken modulo the number
    // of rings). Null: nothing was created, or there is no room, which has been counted as a loss.
    // Context: any; lock-free; may interrupt itself.
    void* reserve(std::uint32_t cpu, std::uint32_t kind, std::uint32_t bytes) noexcept;

    // Hands a reserved record to the reader; by the thread that reserved it. Context: any.
    static void commit(void* record) noexcept;

    // The largest record that fits a ring wherever the previous one ended. Context: any.
    [[nodiscard]] std::uint32_t most_payload() const noexcept;

    [[nodiscard]] std::uint32_t rings() const noexcept { return cpu_count_; }
    // Records dropped in one ring: full, or too large. Context: any.
    [[nodiscard]] std::uint64_t lost(std::uint32_t ring) const noexcept;

    // From now on nothing can be reserved; the mapping stays. For the child of a fork, which must
    // not write into its parent's rings. Context: any.
    void detach() noexcept { cpu_count_ = 0; }

  private:
    [[nodiscard]] ring_control& control(std::uint32_t ring) const noexcept;
    [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::uint32_t ring,
                                                      std::uint64_t position) const noexcept;

    std::byte* mapping_ = nullptr;
    std::size_t mapping_bytes_ = 0;
    std::uint64_t ring_bytes_ = 0;
    std::uint64_t data_at_ = 0;
    std::uint32_t cpu_count_ = 0;
};

}  // namespace nmircu::ring
