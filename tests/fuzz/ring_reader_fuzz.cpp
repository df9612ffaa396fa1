// SPDX-License-Identifier: MIT
//
// Property: whatever a program writes into the rings it shares with the command, also between two
// looks of the reader and while it looks, every call of the reader ends, hands over no more than a
// ring holds, and stays inside its memory; and what is handed over can be taken for a sample.
//
// Input: a byte of flags, the eight-byte words of the region's header (0: as it should be), then
// steps of one byte and its operands: write a word, write a record that looks right, poll, drain.
// Further writes are made from inside the callback, that is between two looks. With the flag, a
// thread writes as well.
#include <atomic>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nmi/profile/sample.hpp>
#include <ring/reader.hpp>

#include "input.hpp"

namespace {

using namespace nmircu::ring;

constexpr std::uint64_t ring_bytes = 64 << 10;
constexpr std::uint32_t cpus = 2;
constexpr std::uint64_t data_at = page_bytes * (1 + cpus);
constexpr std::uint64_t total_bytes = data_at + cpus * ring_bytes;

enum flags : std::uint8_t { unsealed = 1, other_size = 2, with_thread = 4 };

class hostile_region {
  public:
    explicit hostile_region(fuzz::input& in) : fd_(memfd_create("fuzz", MFD_ALLOW_SEALING)) {
        flags_ = in.number<std::uint8_t>();
        if (ftruncate(fd_, total_bytes) != 0) std::abort();
        base_ = static_cast<std::byte*>(
            mmap(nullptr, total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
        region_header header{region_magic, region_version, cpus,       ring_bytes,
                             page_bytes,   data_at,        total_bytes};
        std::uint64_t words[sizeof header / 8];
        std::memcpy(words, &header, sizeof header);
        for (std::uint64_t& word : words) {
            const auto wanted = in.number<std::uint64_t>();
            if (wanted != 0) word = wanted;
        }
        std::memcpy(base_, words, sizeof header);
        if ((flags_ & other_size) != 0)
            static_cast<void>(!ftruncate(fd_, in.number<std::uint16_t>()));
        if ((flags_ & unsealed) == 0) fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK);
    }
    ~hostile_region() {
        munmap(base_, total_bytes);
        close(fd_);
    }
    hostile_region(const hostile_region&) = delete;
    hostile_region& operator=(const hostile_region&) = delete;

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] bool scribbled() const { return (flags_ & with_thread) != 0; }
    [[nodiscard]] bool whole() const { return (flags_ & other_size) == 0; }

    // Relaxed: the writer promises nothing.
    void write(std::uint64_t offset, std::uint64_t value) {
        auto* word = reinterpret_cast<std::uint64_t*>(base_ + offset % (total_bytes / 8) * 8);
        std::atomic_ref(*word).store(value, std::memory_order_relaxed);
    }
    void write_head(std::uint32_t ring, std::uint64_t value) {
        write((page_bytes * (1 + ring % cpus) + offsetof(ring_control, head)) / 8, value);
    }
    void write_record(std::uint32_t ring, std::uint64_t position, std::uint32_t kind,
                      std::uint32_t bytes) {
        write((data_at + ring % cpus * ring_bytes + position % ring_bytes) / 8,
              header_word(position, kind & most_kind, bytes & 0xfffff));
    }

  private:
    int fd_;
    std::byte* base_;
    std::uint8_t flags_;
};

// One write; false when the input is used up.
bool write_something(hostile_region& region, fuzz::input& in) {
    if (in.empty()) return false;
    const auto what = in.number<std::uint8_t>();
    const std::uint32_t ring = what >> 4;
    switch (what & 3) {
        case 0:
            region.write(in.number<std::uint16_t>(), in.number<std::uint64_t>());
            break;
        case 1:
            region.write_head(ring, in.number<std::uint32_t>());
            break;
        case 2:
            region.write_record(ring, in.number<std::uint32_t>() & ~7u, in.number<std::uint8_t>(),
                                in.number<std::uint32_t>());
            break;
        default:
            region.write_head(ring, in.number<std::uint64_t>());
    }
    return true;
}

class scribbler {
  public:
    scribbler(hostile_region& region, fuzz::input in) {
        if (region.scribbled()) thread_ = std::thread([this, &region, in] { run(region, in); });
    }
    ~scribbler() {
        stop_.store(true, std::memory_order_relaxed);  // join orders the rest
        if (thread_.joinable()) thread_.join();
    }

  private:
    void run(hostile_region& region, const fuzz::input& in) {
        // Relaxed: a flag that stands alone.
        while (!stop_.load(std::memory_order_relaxed)) {
            fuzz::input again = in;
            while (write_something(region, again)) {
            }
        }
    }
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

void take(const record& found) {
    fuzz::require(found.kind != kind_padding && found.kind <= most_kind,
                  "padding is not handed over");
    fuzz::require(found.payload.size() <= most_record_bytes, "a record has its limit");
    fuzz::require(found.ring < cpus || found.ring < 1024, "a record is of a ring");
    volatile std::byte sum{};
    for (const std::byte one : found.payload)
        sum = sum ^ one;
    const auto sample = nmircu::command::read_sample(found.payload);
    if (!sample) return;
    volatile std::uint64_t addresses = 0;
    for (const std::uint64_t address : sample->addresses)
        addresses = addresses ^ address;
}

void read_all(hostile_region& region, fuzz::input& in) {
    std::string why;
    const std::unique_ptr<reader> rings = reader::open(region.fd(), why);
    fuzz::require((rings == nullptr) == !why.empty(), "a refusal says why");
    if (!rings || !region.whole()) return;
    const scribbler other(region, in);
    std::uint64_t bytes = 0;
    const auto callback = [&](const record& found) {
        take(found);
        bytes += found.payload.size() + header_bytes;
        write_something(region, in);
    };
    for (int round = 0; round < 8 && !in.empty(); ++round) {
        for (unsigned i = in.number<std::uint8_t>() % 32; i > 0 && write_something(region, in);
             --i) {
        }
        bytes = 0;
        if (in.number<std::uint8_t>() % 4 == 0) {
            rings->drain_after_death(callback);
        } else {
            rings->poll(callback);
        }
        fuzz::require(bytes <= 2 * total_bytes, "a call reads each ring once, or twice in parts");
        fuzz::require(rings->fullest() >= 0 && rings->fullest() <= 2, "fullest is a share");
        for (unsigned i = 0; i < rings->rings(); ++i)
            static_cast<void>(rings->lost(i));
    }
    fuzz::require(rings->corrupt_rings() <= rings->rings(), "corrupt rings are rings");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    hostile_region region(in);
    read_all(region, in);
    return 0;
}
