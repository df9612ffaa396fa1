// SPDX-License-Identifier: MIT
//
// The reading end of the rings of layout.hpp: the command's half, in the command's process.
//
// The writer is a program we do not trust, or one that was killed half-way through a record. So
// every number it wrote is checked before it is used, nothing it wrote is looked at twice, and each
// record is copied out before anybody sees it. Whatever the writer does, the reader stays inside
// the mapping and every call ends. What the records mean is left to the caller.
// Thread context; one reader per region; not itself thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ring/layout.hpp>

namespace nmircu::ring {

struct record {
    std::uint32_t ring;                  // the CPU it was written on
    std::uint32_t kind;                  // never kind_padding
    std::span<const std::byte> payload;  // a private, 8-aligned copy, valid during the callback;
                                         // up to 7 bytes of padding may follow what was written
};
using record_callback = std::function<void(const record&)>;

class reader {
  public:
    // Maps the region behind `memfd`, which the caller may close afterwards. Null if it is no such
    // region; `why` says so in one line.
    static std::unique_ptr<reader> open(int memfd, std::string& why);

    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;
    ~reader();

    // Hands over every committed record up to the first uncommitted one of each ring, and gives the
    // room back to the writer. At most one ring's length per ring and call, so it always ends.
    // Returns the number of records.
    std::uint64_t poll(const record_callback& callback);

    // The same once the writer can no longer run: also steps over records that were reserved and
    // never committed, to the committed ones behind them.
    std::uint64_t drain_after_death(const record_callback& callback);

    [[nodiscard]] unsigned rings() const { return static_cast<unsigned>(cursors_.size()); }
    // Records of one ring the writer counted as dropped: full, or too large.
    [[nodiscard]] std::uint64_t lost(unsigned ring) const;
    // The largest part of any ring that the last poll found filled, 0..1: near 1, poll more often.
    [[nodiscard]] double fullest() const { return fullest_; }
    // Records that were reserved and never committed, counted by drain_after_death.
    [[nodiscard]] std::uint64_t unfinished() const { return unfinished_; }
    // Rings given up because what they hold is impossible.
    [[nodiscard]] unsigned corrupt_rings() const;

  private:
    // Our own idea of a ring; the tail in shared memory is written, never read back.
    struct cursor {
        ring_control* control;
        std::byte* data;
        std::uint64_t tail;
        bool corrupt;
    };
    enum class step : std::uint8_t { record, padding, uncommitted, corrupt };
    struct found {
        step what;
        std::uint32_t kind;
        std::uint32_t bytes;
    };

    reader(void* mapping, const region_header& header);
    [[nodiscard]] found look_at(const cursor& ring, std::uint64_t position) const;
    std::uint64_t poll_ring(unsigned index, const record_callback& callback);
    bool skip_unfinished(cursor& ring) const;
    void hand_over(unsigned index, const found& what, const record_callback& callback);

    void* mapping_;
    region_header header_;  // a copy: the shared one may change under us
    std::vector<cursor> cursors_;
    std::vector<std::uint64_t> copy_;
    std::uint64_t unfinished_ = 0;
    double fullest_ = 0;
};

}  // namespace nmircu::ring
