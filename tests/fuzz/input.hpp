// SPDX-License-Identifier: MIT
//
// A fuzzer's bytes as a row of decisions: numbers and texts are taken from the front until nothing
// is left; from then on everything is zero and empty. And how a target says that a promise is
// broken.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace fuzz {

class input {
  public:
    input(const std::uint8_t* data, std::size_t size) : at_(data), left_(size) {}

    [[nodiscard]] bool empty() const { return left_ == 0; }
    template <class Number>
    Number number() {
        Number value{};
        const std::size_t bytes = std::min(sizeof value, left_);
        if (bytes != 0) std::memcpy(&value, at_, bytes);
        skip(bytes);
        return value;
    }
    // At most `most` bytes.
    std::string text(std::size_t most) {
        const std::size_t bytes = std::min(most, left_);
        if (bytes == 0) return {};
        std::string taken(reinterpret_cast<const char*>(at_), bytes);
        skip(bytes);
        return taken;
    }
    std::string rest() { return text(left_); }

  private:
    void skip(std::size_t bytes) {
        at_ += bytes;
        left_ -= bytes;
    }
    const std::uint8_t* at_;
    std::size_t left_;
};

inline void require(bool holds, const char* promise) {
    if (holds) return;
    std::fprintf(stderr, "broken: %s\n", promise);
    std::abort();
}

}  // namespace fuzz
