// SPDX-License-Identifier: MIT
//
// The wire format of protocol buffers, as far as profile.proto needs it: fields that are numbers,
// and fields that are bytes. Source: protobuf.dev, "Encoding". Reading never goes past the end and
// trusts nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nmircu::command::wire {

class writer {
  public:
    // A number that is 0 is left out, as proto3 does.
    void number(unsigned field, std::uint64_t value) {
        if (value == 0) return;
        varint(field << 3);
        varint(value);
    }
    void number(unsigned field, std::int64_t value) {
        number(field, static_cast<std::uint64_t>(value));
    }
    void bytes(unsigned field, std::string_view text) {
        varint(field << 3 | 2);
        varint(text.size());
        out_.append(text);
    }
    // Repeated numbers in one field.
    template <class Numbers>
    void packed(unsigned field, const Numbers& values) {
        writer inside;
        for (const auto value : values)
            inside.varint(static_cast<std::uint64_t>(value));
        bytes(field, inside.out_);
    }
    [[nodiscard]] const std::string& out() const { return out_; }

  private:
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7)
            out_ += static_cast<char>(value | 0x80);
        out_ += static_cast<char>(value);
    }
    std::string out_;
};

// The fields of one message, one after the other:
//
//     for (reader fields(text); fields.next();) ...
//     if (!fields.good()) it was damaged
class reader {
  public:
    explicit reader(std::string_view text) : rest_(text) {}

    // False at the end, or where it is damaged.
    bool next();
    [[nodiscard]] bool good() const { return good_; }

    [[nodiscard]] unsigned field() const { return field_; }
    [[nodiscard]] bool is_bytes() const { return is_bytes_; }
    // Of a number; of bytes: 0.
    [[nodiscard]] std::uint64_t number() const { return number_; }
    // Of bytes; of a number: empty.
    [[nodiscard]] std::string_view bytes() const { return bytes_; }

    // Calls `take` with every number of a repeated field, packed or not. False: it was damaged.
    template <class Take>
    bool each_number(const Take& take) const {
        if (!is_bytes_) {
            take(number_);
            return true;
        }
        std::string_view packed = bytes_;
        while (!packed.empty()) {
            std::uint64_t value = 0;
            if (!varint(packed, value)) return false;
            take(value);
        }
        return true;
    }

  private:
    static bool varint(std::string_view& from, std::uint64_t& value);

    std::string_view rest_;
    unsigned field_ = 0;
    bool is_bytes_ = false;
    bool good_ = true;
    std::uint64_t number_ = 0;
    std::string_view bytes_;
};

}  // namespace nmircu::command::wire
