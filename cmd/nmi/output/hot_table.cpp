// SPDX-License-Identifier: MIT
//
// The hottest functions; see hot_table.hpp.
#include <nmi/output/hot_table.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <nmi/complaint.hpp>
#include <nmi/output/numbers.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t figures_width = 2 + 8 + 2 + 9 + 2 + 8 + 2;

// UTF-8 cut to `width` columns.
std::string cut(const std::string& text, std::size_t width) {
    if (columns(text) <= width) return text;
    std::string kept;
    std::size_t used = 0;
    for (const char c : text) {
        const bool begins = (static_cast<unsigned char>(c) & 0xc0) != 0x80;
        if (begins && ++used >= width) break;
        kept += c;
    }
    return kept + "…";
}

}  // namespace

std::string hot_table(const std::vector<hot_function>& functions, std::uint64_t samples,
                      std::size_t most, std::size_t width) {
    std::string text;
    const std::size_t room = std::max<std::size_t>(width, figures_width + 20) - figures_width;
    for (const hot_function& hot : functions) {
        if (most-- == 0 || hot.self == 0) break;
        // A nameless function already says which object it is in.
        const bool says_object = hot.name.object.empty() ||
                                 hot.name.function.find(hot.name.object) == 0 ||
                                 hot.name.function.starts_with('[');
        const std::string suffix = says_object ? "" : "  " + hot.name.object;
        const std::size_t left = room > columns(suffix) + 20 ? room - columns(suffix) : room;
        text += "  " + pad_left(percent(hot.self, samples), 8) + "  " +
                pad_left(grouped(hot.self), 9) + "  " + pad_left(percent(hot.total, samples), 8) +
                "  " + cut(one_line(hot.name.function), left) + (left < room ? suffix : "") + "\n";
    }
    if (text.empty()) return text;
    return "  " + pad_left("self", 8) + "  " + pad_left("samples", 9) + "  " +
           pad_left("total", 8) + "  function\n" + text;
}

}  // namespace nmircu::command
