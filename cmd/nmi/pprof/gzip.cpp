// SPDX-License-Identifier: MIT
//
// gzip by zlib; see gzip.hpp.
#include <nmi/pprof/gzip.hpp>

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

namespace nmircu::command {
namespace {

constexpr int gzip_window_bits = 15 + 16;  // zlib.h: 16 more for a gzip header
constexpr int memory_level = 8;
constexpr std::size_t piece_bytes = std::size_t{64} << 10;

// zlib counts in `unsigned`.
uInt bite(std::size_t bytes) {
    return static_cast<uInt>(std::min<std::size_t>(bytes, std::numeric_limits<uInt>::max()));
}

Bytef* input(std::string_view text) {
    return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

struct inflater {
    z_stream stream{};
    inflater() {
        if (inflateInit2(&stream, gzip_window_bits) != Z_OK) throw std::bad_alloc();
    }
    ~inflater() { inflateEnd(&stream); }
    inflater(const inflater&) = delete;
    inflater& operator=(const inflater&) = delete;
};

}  // namespace

bool is_gzip(std::string_view bytes) {
    return bytes.starts_with("\x1f\x8b");
}

std::string gzip(std::string_view text) {
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_window_bits, memory_level,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::bad_alloc();
    }
    std::string result;
    char piece[piece_bytes];
    int state = Z_OK;
    while (state != Z_STREAM_END) {
        stream.next_in = input(text);
        const uInt given = bite(text.size());
        stream.avail_in = given;
        stream.next_out = reinterpret_cast<Bytef*>(piece);
        stream.avail_out = sizeof piece;
        state = deflate(&stream, given == text.size() ? Z_FINISH : Z_NO_FLUSH);
        text.remove_prefix(given - stream.avail_in);
        result.append(piece, sizeof piece - stream.avail_out);
    }
    deflateEnd(&stream);
    return result;
}

std::optional<std::string> gunzip(std::string_view bytes, std::size_t most_bytes,
                                  std::string& why) {
    inflater whole;
    z_stream& stream = whole.stream;
    std::string result;
    char piece[piece_bytes];
    for (;;) {
        stream.next_in = input(bytes);
        const uInt given = bite(bytes.size());
        stream.avail_in = given;
        stream.next_out = reinterpret_cast<Bytef*>(piece);
        stream.avail_out = sizeof piece;
        const int state = inflate(&stream, Z_NO_FLUSH);
        bytes.remove_prefix(given - stream.avail_in);
        const std::size_t got = sizeof piece - stream.avail_out;
        if (got > most_bytes - result.size()) {
            why = "it is too large once uncompressed";
            return std::nullopt;
        }
        result.append(piece, got);
        if (state == Z_STREAM_END && bytes.empty()) return result;
        if (state == Z_STREAM_END) {  // files may be joined
            if (inflateReset(&stream) == Z_OK) continue;
        }
        if (state != Z_OK || (got == 0 && bytes.empty())) {
            why =
                bytes.empty() ? "its compressed data is cut off" : "its compressed data is damaged";
            return std::nullopt;
        }
    }
}

}  // namespace nmircu::command
