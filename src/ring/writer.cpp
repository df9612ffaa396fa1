// SPDX-License-Identifier: MIT
//
// The writing end of the rings; see writer.hpp. No exceptions, no heap.
//
//   variable            written by    read by     protection
//   ring_control.head   writers       all         compare-and-exchange; hands out space, orders
//   nothing ring_control.tail   reader        writers     [RING-4] acquire / the reader's release
//   [RING-3] header word         its owner     reader      [RING-2] release / the reader's acquire
//   [RING-1]
//
// Invariants: (1) head is a multiple of 8 and never moves back; (2) [head before, head after) of a
// successful exchange belongs to that caller alone until it commits; (3) head - tail never exceeds
// ring_bytes, as far as the tail can be believed.
//
// A record being written already has its header's lower half in place, under a tag that is not its
// position's; so commit needs nothing but the record, and stores one word.
#include <ring/writer.hpp>

#include <bit>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace nmircu::ring {
namespace {

constexpr std::uint32_t most_rings = 1024;
constexpr std::uint64_t least_ring_bytes = std::uint64_t{64} << 10;
constexpr std::uint64_t most_ring_bytes = std::uint64_t{256} << 20;
constexpr std::uint64_t tag_bits = ~std::uint64_t{0} << 32;

// Each failed exchange means that another writer got its record; with a ring per CPU that is a
// nested handler or a thread that has just been moved. Beyond this many the record is dropped.
constexpr int most_attempts = 1000;

constexpr std::uint64_t round_up(std::uint64_t bytes) noexcept {
    return (bytes + 7) & ~std::uint64_t{7};
}

constexpr region_header describe(std::uint32_t cpu_count, std::uint64_t ring_bytes) noexcept {
    const std::uint64_t rings_at = page_bytes;
    const std::uint64_t data_at = rings_at + std::uint64_t{cpu_count} * page_bytes;
    return {region_magic,
            region_version,
            cpu_count,
            ring_bytes,
            rings_at,
            data_at,
            data_at + std::uint64_t{cpu_count} * ring_bytes};
}

void publish(std::atomic_ref<std::uint64_t> header, std::uint64_t value) noexcept {
    // [RING-2] release: payload and head precede the header that makes them readable.
    // Partner: the acquire with which the reader looks at a header, [RING-1], ring/reader.cpp.
    // Weakened: a record is read with a payload that is still being written.
    header.store(value, std::memory_order_release);
}

// A sealed memory file of that size, or minus an errno value. The seals are for the reader, whom a
// shrinking file would make fault, and for us: neither side can change the size of the other's.
int make_file(std::uint64_t bytes) noexcept {
    const int file = memfd_create("nmi-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -errno;
    if (ftruncate(file, static_cast<off_t>(bytes)) != 0 ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        const int error = errno;
        close(file);
        return -error;
    }
    return file;
}

}  // namespace

int writer::create(std::uint32_t cpu_count, std::uint64_t ring_bytes) noexcept {
    if (mapping_ != nullptr || cpu_count == 0 || cpu_count > most_rings ||
        !std::has_single_bit(ring_bytes) || ring_bytes < least_ring_bytes ||
        ring_bytes > most_ring_bytes) {
        return -EINVAL;
    }
    const region_header header = describe(cpu_count, ring_bytes);
    const int file = make_file(header.total_bytes);
    if (file < 0) return file;
    void* mapping = mmap(nullptr, header.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapping == MAP_FAILED) {
        const int error = errno;
        close(file);
        return -error;
    }
    // The file is all zeros: every control is in its first state, no word carries a tag.
    *static_cast<region_header*>(mapping) = header;
    mapping_ = static_cast<std::byte*>(mapping);
    mapping_bytes_ = header.total_bytes;
    ring_bytes_ = ring_bytes;
    data_at_ = header.data_at;
    cpu_count_ = cpu_count;
    return file;
}

void writer::release() noexcept {
    detach();
    if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
    mapping_ = nullptr;
}

ring_control& writer::control(std::uint32_t ring) const noexcept {
    return *reinterpret_cast<ring_control*>(mapping_ + page_bytes + ring * page_bytes);
}

std::atomic_ref<std::uint64_t> writer::word(std::uint32_t ring,
                                            std::uint64_t position) const noexcept {
    std::byte* data = mapping_ + data_at_ + ring * ring_bytes_;
    return std::atomic_ref(
        *reinterpret_cast<std::uint64_t*>(data + (position & (ring_bytes_ - 1))));
}

std::uint32_t writer::most_payload() const noexcept {
    // Padding is shorter than the record that caused it; so half a ring always fits an empty one.
    const std::uint64_t half = ring_bytes_ / 2;
    return static_cast<std::uint32_t>(half < most_record_bytes ? half : most_record_bytes) -
           header_bytes;
}

void* writer::reserve(std::uint32_t cpu, std::uint32_t kind, std::uint32_t bytes) noexcept {
    if (cpu_count_ == 0) return nullptr;
    const std::uint32_t ring = cpu % cpu_count_;
    ring_control& shared = control(ring);
    if (bytes == 0 || bytes > most_payload() || kind == kind_padding || kind > most_kind) {
        // Relaxed: a statistic.
        shared.lost_oversize.fetch_add(1, std::memory_order_relaxed);
        return nullptr;
    }
    const std::uint64_t length = round_up(header_bytes + bytes);

    std::uint64_t seen_tail = ~std::uint64_t{0};
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
        // [RING-4] acquire: the reader has copied what stood below tail before we overwrite it.
        // Partner: the release with which the reader gives room back, [RING-3], ring/reader.cpp.
        // Weakened: a record is overwritten while it is being copied.
        const std::uint64_t tail = shared.tail.load(std::memory_order_acquire);
        // Relaxed: the exchange below checks it. Loaded after tail, which is behind it at any time.
        std::uint64_t head = shared.head.load(std::memory_order_relaxed);
        const std::uint64_t left = ring_bytes_ - (head & (ring_bytes_ - 1));
        const std::uint64_t padding = length <= left ? 0 : left;
        // What only a reader gone mad can have written means full: a tail beyond head or too far
        // behind it, a head between two words.
        if (tail > head || head - tail > ring_bytes_ || head % 8 != 0 ||
            ring_bytes_ - (head - tail) < padding + length) {
            // Between the loads of tail and head the reader may have moved on. Full is what was
            // full while the tail stood still.
            if (tail == seen_tail) break;
            seen_tail = tail;
            continue;
        }
        // Relaxed: head hands out space; what is in it is published by each header word.
        if (!shared.head.compare_exchange_weak(head, head + padding + length,
                                               std::memory_order_relaxed,
                                               std::memory_order_relaxed)) {
            continue;
        }
        if (padding != 0) {
            publish(word(ring, head),
                    header_word(head, kind_padding, static_cast<std::uint32_t>(padding)));
        }
        const std::uint64_t at = head + padding;
        const auto header = word(ring, at);
        // Relaxed: under a wrong tag the word means nothing to the reader.
        header.store(header_word(at, kind, header_bytes + bytes) ^ tag_bits,
                     std::memory_order_relaxed);
        return mapping_ + data_at_ + ring * ring_bytes_ + (at & (ring_bytes_ - 1)) + header_bytes;
    }
    // Relaxed: a statistic.
    shared.lost_full.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
}

void writer::commit(void* record) noexcept {
    auto* bytes = static_cast<std::byte*>(record) - header_bytes;
    const std::atomic_ref header(*reinterpret_cast<std::uint64_t*>(bytes));
    // Relaxed: written by this thread.
    const std::uint64_t unfinished = header.load(std::memory_order_relaxed);
    publish(header, unfinished ^ tag_bits);
}

std::uint64_t writer::lost(std::uint32_t ring) const noexcept {
    if (ring >= cpu_count_) return 0;
    // Relaxed: statistics.
    return control(ring).lost_full.load(std::memory_order_relaxed) +
           control(ring).lost_oversize.load(std::memory_order_relaxed);
}

}  // namespace nmircu::ring
