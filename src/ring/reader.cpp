// SPDX-License-Identifier: MIT
//
// The reading end of the rings; see reader.hpp.
//
//   variable            written by    read by     protection
//   header word         program       reader      [RING-1] acquire / the writer's commit [RING-2]
//   ring_control.tail   reader        program     [RING-3] release / the writer's reserve [RING-4]
//   ring_control.head   program       reader      a bound on what may be read; see look_at
//   cursor.tail         reader        reader      private
//
// Invariants: (1) cursor.tail is a multiple of 8 and never moves back; (2) a record is handed over
// only if its header carries the tag of its own position, lies inside the ring and below head.
#include <ring/reader.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace nmircu::ring {
namespace {

constexpr std::uint32_t most_rings = 1024;
constexpr std::uint64_t least_ring_bytes = std::uint64_t{64} << 10;
constexpr std::uint64_t most_ring_bytes = std::uint64_t{256} << 20;

constexpr std::uint64_t round_up(std::uint64_t bytes) {
    return (bytes + 7) & ~std::uint64_t{7};
}

// Empty if the header describes a region of `file_bytes` that is safe to use. Every term below is
// small enough not to overflow once the ones before it have passed.
const char* wrong_with(const region_header& header, std::uint64_t file_bytes) {
    if (header.magic != region_magic) return "it does not start as a ring region";
    if (header.version != region_version) return "its layout is of another version";
    if (header.cpu_count == 0 || header.cpu_count > most_rings)
        return "its ring count is impossible";
    if (!std::has_single_bit(header.ring_bytes) || header.ring_bytes < least_ring_bytes ||
        header.ring_bytes > most_ring_bytes) {
        return "its ring size is impossible";
    }
    const std::uint64_t controls = std::uint64_t{header.cpu_count} * page_bytes;
    const std::uint64_t data = std::uint64_t{header.cpu_count} * header.ring_bytes;
    if (header.total_bytes > file_bytes) return "it is shorter than it says";
    if (header.rings_at % page_bytes != 0 || header.rings_at < page_bytes ||
        header.rings_at > header.total_bytes || header.total_bytes - header.rings_at < controls) {
        return "its ring controls lie outside";
    }
    if (header.data_at % page_bytes != 0 || header.data_at < header.rings_at + controls ||
        header.data_at > header.total_bytes || header.total_bytes - header.data_at < data) {
        return "its ring data lies outside";
    }
    return nullptr;
}

std::string cannot(const char* what) {
    return std::string("cannot use the program's rings: ") + what;
}

}  // namespace

std::unique_ptr<reader> reader::open(int memfd, std::string& why) {
    struct stat file;
    const int seals = fcntl(memfd, F_GET_SEALS);
    if (fstat(memfd, &file) != 0 || seals < 0) {
        why = cannot("what it sent is no memory file");
        return nullptr;
    }
    if ((seals & F_SEAL_SHRINK) == 0) {
        why = cannot("its memory file may shrink");
        return nullptr;
    }
    if (static_cast<std::uint64_t>(file.st_size) < sizeof(region_header)) {
        why = cannot("its memory file is too short");
        return nullptr;
    }
    const auto size = static_cast<std::size_t>(file.st_size);
    void* mapping = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (mapping == MAP_FAILED) {
        why = cannot(std::strerror(errno));
        return nullptr;
    }
    region_header header;
    std::memcpy(&header, mapping, sizeof header);
    if (const char* wrong = wrong_with(header, size)) {
        munmap(mapping, size);
        why = cannot(wrong);
        return nullptr;
    }
    if (header.total_bytes < size) {  // keep exactly what the header accounts for
        const std::uint64_t used = (header.total_bytes + page_bytes - 1) & ~(page_bytes - 1);
        if (used < size) munmap(static_cast<std::byte*>(mapping) + used, size - used);
    }
    return std::unique_ptr<reader>(new reader(mapping, header));
}

reader::reader(void* mapping, const region_header& header)
    : mapping_(mapping), header_(header), copy_(most_record_bytes / 8 + 1) {
    auto* base = static_cast<std::byte*>(mapping);
    for (std::uint32_t i = 0; i < header.cpu_count; ++i) {
        auto* control = reinterpret_cast<ring_control*>(base + header.rings_at + i * page_bytes);
        // relaxed: whoever read this region before us is gone, and a wrong tail is caught here.
        const std::uint64_t tail = control->tail.load(std::memory_order_relaxed);
        const std::uint64_t head = control->head.load(std::memory_order_relaxed);
        const bool corrupt = tail % 8 != 0 || tail > head || head - tail > header.ring_bytes;
        cursors_.push_back({control, base + header.data_at + i * header.ring_bytes,
                            corrupt ? head & ~std::uint64_t{7} : tail, corrupt});
    }
}

reader::~reader() {
    munmap(mapping_, header_.total_bytes);
}

reader::found reader::look_at(const cursor& ring, std::uint64_t position) const {
    const std::uint64_t offset = position & (header_.ring_bytes - 1);
    auto* word = reinterpret_cast<std::uint64_t*>(ring.data + offset);
    // [RING-1] acquire: what is read of the record is read after its header was seen.
    // Partner: the release with which the writer commits, [RING-2], ring/writer.cpp.
    // Weakened: a record is handed over with a payload that is still being written.
    const std::uint64_t header = std::atomic_ref(*word).load(std::memory_order_acquire);
    if (header >> 32 != position_tag(position)) return {step::uncommitted, 0, 0};

    const auto kind = static_cast<std::uint32_t>(header >> 20) & most_kind;
    const auto bytes = static_cast<std::uint32_t>(header) & 0xfffff;
    const std::uint64_t end = position + round_up(bytes);
    // relaxed: a committed header implies that head, advanced before it by the same thread, is
    // seen.
    const std::uint64_t head = ring.control->head.load(std::memory_order_relaxed);
    if (bytes < header_bytes || bytes > most_record_bytes || end > head ||
        offset + round_up(bytes) > header_.ring_bytes) {
        return {step::corrupt, 0, 0};
    }
    return {kind == kind_padding ? step::padding : step::record, kind, bytes};
}

void reader::hand_over(unsigned index, const found& what, const record_callback& callback) {
    const cursor& ring = cursors_[index];
    const std::uint64_t offset = ring.tail & (header_.ring_bytes - 1);
    const std::uint32_t bytes = what.bytes - header_bytes;
    std::memcpy(copy_.data(), ring.data + offset + header_bytes, bytes);
    callback({index, what.kind, std::as_bytes(std::span(copy_)).first(bytes)});
}

std::uint64_t reader::poll_ring(unsigned index, const record_callback& callback) {
    cursor& ring = cursors_[index];
    const std::uint64_t stop = ring.tail + header_.ring_bytes;
    std::uint64_t records = 0;
    while (!ring.corrupt && ring.tail < stop) {
        const found what = look_at(ring, ring.tail);
        if (what.what == step::uncommitted) break;
        if (what.what == step::corrupt) {
            ring.corrupt = true;
            break;
        }
        if (what.what == step::record) {
            hand_over(index, what, callback);
            ++records;
        }
        ring.tail += round_up(what.bytes);
        // [RING-3] release: the record is copied before its room is given back.
        // Partner: the acquire with which the writer reserves, [RING-4], ring/writer.cpp.
        // Weakened: the writer overwrites a record that is being copied.
        ring.control->tail.store(ring.tail, std::memory_order_release);
    }
    return records;
}

// Moves past a record that will never be committed; false if nothing committed follows.
bool reader::skip_unfinished(cursor& ring) const {
    // relaxed: the writer is dead.
    const std::uint64_t head = ring.control->head.load(std::memory_order_relaxed);
    const std::uint64_t end = std::min(head, ring.tail + header_.ring_bytes);
    for (std::uint64_t at = ring.tail + 8; at < end; at += 8) {
        const step what = look_at(ring, at).what;
        if (what != step::record && what != step::padding) continue;
        ring.tail = at;
        return true;
    }
    return false;
}

std::uint64_t reader::poll(const record_callback& callback) {
    std::uint64_t records = 0;
    std::uint64_t most_bytes = 0;
    for (unsigned i = 0; i < rings(); ++i) {
        const std::uint64_t before = cursors_[i].tail;
        records += poll_ring(i, callback);
        most_bytes = std::max(most_bytes, cursors_[i].tail - before);
    }
    fullest_ = static_cast<double>(most_bytes) / static_cast<double>(header_.ring_bytes);
    return records;
}

std::uint64_t reader::drain_after_death(const record_callback& callback) {
    std::uint64_t records = 0;
    for (unsigned i = 0; i < rings(); ++i) {
        cursor& ring = cursors_[i];
        const std::uint64_t stop = ring.tail + header_.ring_bytes;
        for (;;) {
            records += poll_ring(i, callback);
            ring.corrupt = false;  // a torn header is an unfinished record like any other
            // relaxed: the writer is dead.
            const std::uint64_t head = ring.control->head.load(std::memory_order_relaxed);
            if (ring.tail >= head || ring.tail >= stop) break;
            ++unfinished_;
            if (!skip_unfinished(ring)) break;
        }
    }
    return records;
}

std::uint64_t reader::lost(unsigned ring) const {
    // relaxed: statistics.
    const ring_control& control = *cursors_.at(ring).control;
    return control.lost_full.load(std::memory_order_relaxed) +
           control.lost_oversize.load(std::memory_order_relaxed);
}

unsigned reader::corrupt_rings() const {
    return static_cast<unsigned>(
        std::count_if(cursors_.begin(), cursors_.end(), [](const cursor& c) { return c.corrupt; }));
}

}  // namespace nmircu::ring
