// SPDX-License-Identifier: MIT
//
// Reading numbers out of untrusted bytes: never past the end, and after the first failure only
// zeros. Little-endian, as every machine we read tables of.
#pragma once

#include <cstdint>
#include <span>

namespace nmircu::command {

class byte_cursor {
  public:
    explicit byte_cursor(std::span<const std::uint8_t> bytes)
        : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] bool done() const { return at_ == end_ || !good_; }
    [[nodiscard]] const std::uint8_t* at() const { return at_; }
    [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

    // `count` (0..8) bytes as a number.
    std::uint64_t fixed(unsigned count) {
        if (!take(count)) return 0;
        std::uint64_t value = 0;
        for (unsigned i = 0; i < count; ++i)
            value |= std::uint64_t{at_[i]} << 8 * i;
        at_ += count;
        return value;
    }
    std::int64_t fixed_signed(unsigned count) {
        const std::uint64_t value = fixed(count);
        if (count == 0 || count >= 8) return static_cast<std::int64_t>(value);
        const std::uint64_t sign = 1ull << (8 * count - 1);
        return static_cast<std::int64_t>((value ^ sign) - sign);
    }
    std::uint8_t byte() { return static_cast<std::uint8_t>(fixed(1)); }
    std::uint64_t uleb() {
        unsigned bits = 0;
        return leb(bits);
    }
    std::int64_t sleb() {
        unsigned bits = 0;
        std::uint64_t value = leb(bits);
        if (bits > 0 && bits < 64 && (value >> (bits - 1) & 1) != 0) value |= ~0ull << bits;
        return static_cast<std::int64_t>(value);
    }
    std::span<const std::uint8_t> bytes(std::uint64_t count) {
        if (!take(count)) return {};
        const std::uint8_t* begin = at_;
        at_ += count;
        return {begin, static_cast<std::size_t>(count)};
    }
    // From where it is, forwards or backwards, inside `whole`.
    void jump(std::int64_t distance, std::span<const std::uint8_t> whole) {
        const std::int64_t place = at_ - whole.data();
        const auto size = static_cast<std::int64_t>(whole.size());
        if (distance < -place || distance > size - place) {
            good_ = false;
        } else {
            at_ += distance;
        }
    }

  private:
    bool take(std::uint64_t count) {
        good_ = good_ && count <= left();
        return good_;
    }
    std::uint64_t leb(unsigned& bits) {
        std::uint64_t value = 0;
        for (;;) {
            const std::uint8_t next = byte();
            if (!good_) return 0;
            if (bits < 64) value |= std::uint64_t{next & 0x7fu} << bits;
            bits = bits < 64 ? bits + 7 : bits;
            if ((next & 0x80) == 0) return value;
        }
    }

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    bool good_ = true;
};

}  // namespace nmircu::command
