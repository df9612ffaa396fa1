// SPDX-License-Identifier: MIT
//
// The shared memory between a program and the command that watches it: one ring of records per
// CPU in one memfd. The program writes in its handlers, the command reads in its own process.
// Neither trusts the other: the writer treats an impossible tail as "full", the reader checks every
// length against the ring and every header against its position.
//
//   offset 0            region_header, one page
//   header.rings_at     ring_control[cpu_count], one page each
//   header.data_at      cpu_count * ring_bytes of data
//
// A record is a header word and its payload, padded to 8 bytes; positions count bytes for ever and
// never wrap in 64 bits, data offset = position & (ring_bytes - 1). A record never wraps around the
// end: the writer commits padding up to the end instead and starts again at the beginning.
//
//   63            32 31        20 19            0
//   +---------------+------------+--------------+
//   | position tag  |    kind    | bytes, all   |    header word; written last, with release
//   +---------------+------------+--------------+
//
// The tag says which lap of the ring the word belongs to, so memory left from an earlier lap never
// looks committed, the reader need not clean up, and after a crash it can search for the next
// committed record beyond one that was reserved and never finished. It is the position in words
// with the top bit turned over, so that it is none of what payloads are full of: in the first 16
// GiB of a ring no user-space address, time or small number has that upper half.
//
// The memfd is sealed against shrinking (F_SEAL_SHRINK); the reader refuses one that is not,
// because its writer could make the reader fault.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace nmircu::ring {

inline constexpr std::uint64_t region_magic = 0x31676e6972696d6eull;  // "nmiring1", little-endian
inline constexpr std::uint32_t region_version = 1;
inline constexpr std::size_t page_bytes = 4096;

struct region_header {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t cpu_count;    // rings; 1..1024
    std::uint64_t ring_bytes;   // data per ring; a power of two, 64 KiB..256 MiB
    std::uint64_t rings_at;     // byte offset of the first ring_control
    std::uint64_t data_at;      // byte offset of the first ring's data
    std::uint64_t total_bytes;  // size of the memfd
};
static_assert(sizeof(region_header) == 48);

// head and tail on separate line pairs: one process writes each.
struct ring_control {
    alignas(128) std::atomic<std::uint64_t> head;  // bytes reserved; written by the program
    std::atomic<std::uint64_t> lost_full;          // records dropped because the ring was full
    std::atomic<std::uint64_t> lost_oversize;      // records dropped because they can never fit
    alignas(128) std::atomic<std::uint64_t> tail;  // bytes consumed; written by the reader
};
static_assert(sizeof(ring_control) <= page_bytes);

inline constexpr std::uint32_t kind_padding = 0;
inline constexpr std::uint32_t most_kind = 0xfff;
inline constexpr std::uint32_t most_record_bytes = 0xfffff & ~7u;
inline constexpr std::uint32_t header_bytes = 8;

constexpr std::uint32_t position_tag(std::uint64_t position) noexcept {
    return static_cast<std::uint32_t>(position >> 3) ^ 0x80000000u;
}
constexpr std::uint64_t header_word(std::uint64_t position, std::uint32_t kind,
                                    std::uint32_t bytes) noexcept {
    return std::uint64_t{position_tag(position)} << 32 | std::uint64_t{kind} << 20 | bytes;
}

}  // namespace nmircu::ring
