// SPDX-License-Identifier: MIT
//
// A ring region whose every byte a test may set: the writer as an adversary would be. Follows
// layout.hpp and shares no code with the real writer, so that the two cannot agree on a mistake.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ring/layout.hpp>

namespace nmircu::ring {

class region_fixture {
  public:
    explicit region_fixture(std::uint32_t cpus = 1, std::uint64_t ring_bytes = 64 << 10,
                            unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING) {
        header_ = {region_magic,
                   region_version,
                   cpus,
                   ring_bytes,
                   page_bytes,
                   page_bytes * (1 + std::uint64_t{cpus}),
                   0};
        header_.total_bytes = header_.data_at + cpus * ring_bytes;
        fd_ = memfd_create("test-rings", flags);
        if (ftruncate(fd_, static_cast<off_t>(header_.total_bytes)) != 0) std::abort();
        fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK);
        base_ = static_cast<std::byte*>(
            mmap(nullptr, header_.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
        publish(header_);
        for (std::uint32_t i = 0; i < cpus; ++i)
            new (&control(i)) ring_control{};
    }
    region_fixture(const region_fixture&) = delete;
    region_fixture& operator=(const region_fixture&) = delete;
    ~region_fixture() {
        munmap(base_, header_.total_bytes);
        close(fd_);
    }

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const region_header& header() const { return header_; }
    void publish(const region_header& header) { std::memcpy(base_, &header, sizeof header); }

    ring_control& control(std::uint32_t cpu) {
        return *reinterpret_cast<ring_control*>(base_ + header_.rings_at + cpu * page_bytes);
    }
    std::byte* data(std::uint32_t cpu, std::uint64_t position) {
        return base_ + header_.data_at + cpu * header_.ring_bytes +
               (position & (header_.ring_bytes - 1));
    }
    void set_word(std::uint32_t cpu, std::uint64_t position, std::uint64_t word) {
        std::memcpy(data(cpu, position), &word, sizeof word);
    }

    // Reserves room for `text` (after padding, if it would wrap) and returns its position.
    std::uint64_t reserve(std::uint32_t cpu, const std::string& text) {
        ring_control& ring = control(cpu);
        std::uint64_t at = ring.head.load(std::memory_order_relaxed);
        const std::uint64_t size = record_bytes(text);
        const std::uint64_t left = header_.ring_bytes - (at & (header_.ring_bytes - 1));
        if (left < size) {
            set_word(cpu, at, header_word(at, kind_padding, static_cast<std::uint32_t>(left)));
            at += left;
        }
        ring.head.store(at + size, std::memory_order_relaxed);
        std::memset(data(cpu, at) + header_bytes, 0, size - header_bytes);
        std::memcpy(data(cpu, at) + header_bytes, text.data(), text.size());
        return at;
    }
    void commit(std::uint32_t cpu, std::uint64_t at, std::uint32_t kind, const std::string& text) {
        set_word(cpu, at, header_word(at, kind, record_bytes(text)));
    }
    void write(std::uint32_t cpu, std::uint32_t kind, const std::string& text) {
        commit(cpu, reserve(cpu, text), kind, text);
    }

    static std::uint32_t record_bytes(const std::string& text) {
        return static_cast<std::uint32_t>(header_bytes + ((text.size() + 7) & ~std::size_t{7}));
    }

  private:
    int fd_ = -1;
    std::byte* base_ = nullptr;
    region_header header_{};
};

}  // namespace nmircu::ring
