// SPDX-License-Identifier: MIT
//
// Fields out of untrusted bytes; see wire.hpp.
#include <nmi/pprof/wire.hpp>

namespace nmircu::command::wire {
namespace {

enum type : unsigned { varint_type = 0, fixed64_type = 1, bytes_type = 2, fixed32_type = 5 };

bool fixed(std::string_view& from, unsigned bytes, std::uint64_t& value) {
    if (from.size() < bytes) return false;
    value = 0;
    for (unsigned i = 0; i < bytes; ++i)
        value |= std::uint64_t{static_cast<unsigned char>(from[i])} << 8 * i;
    from.remove_prefix(bytes);
    return true;
}

}  // namespace

bool reader::varint(std::string_view& from, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(from.front());
        from.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

bool reader::next() {
    if (!good_ || rest_.empty()) return false;
    number_ = 0;
    bytes_ = {};
    std::uint64_t key = 0;
    good_ = varint(rest_, key) && key >> 3 != 0 && key >> 32 == 0;
    if (!good_) return false;
    field_ = static_cast<unsigned>(key >> 3);
    is_bytes_ = (key & 7) == bytes_type;
    switch (key & 7) {
        case varint_type:
            return good_ = varint(rest_, number_);
        case fixed64_type:
            return good_ = fixed(rest_, 8, number_);
        case fixed32_type:
            return good_ = fixed(rest_, 4, number_);
        case bytes_type: {
            std::uint64_t size = 0;
            good_ = varint(rest_, size) && size <= rest_.size();
            if (!good_) return false;
            bytes_ = rest_.substr(0, static_cast<std::size_t>(size));
            rest_.remove_prefix(bytes_.size());
            return true;
        }
        default:  // groups are long gone
            return good_ = false;
    }
}

}  // namespace nmircu::command::wire
