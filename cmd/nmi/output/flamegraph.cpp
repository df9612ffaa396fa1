// SPDX-License-Identifier: MIT
//
// Boxes into SVG; see flamegraph.hpp. The script lays the boxes out again for the window's width,
// so the numbers it shares with this file (class names, data attributes) are listed in
// flamegraph_script.cpp.
#include <nmi/output/flamegraph.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <nmi/output/flame_tree.hpp>
#include <nmi/output/numbers.hpp>
#include <nmi/output/xml.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t most_boxes = 30000;
constexpr double page_width = 1200;  // until the script knows better
constexpr double margin = 12;
constexpr double head_height = 74;
constexpr double foot_height = 14;
constexpr double row_height = 18;
constexpr double character_width = 6.9;
constexpr double heading_character_width = 9.7;
constexpr double tools_width = 330;

std::uint32_t hash(std::string_view text) {
    std::uint32_t value = 2166136261u;
    for (const char c : text)
        value = (value ^ static_cast<unsigned char>(c)) * 16777619u;
    return value ^ value >> 15;
}

// Hue by object, so that a library's functions stand together; lightness by function.
std::string colour(const flame_box& box) {
    if (box.level == 0) return "#d5d9e0";
    if (box.name.object.empty() && box.name.function == "[unknown]") return "#cfcfcf";
    if (box.name.object.empty())
        return fmt::format("hsl(212,38%,{}%)", 76 + hash(box.name.function) % 8);
    const std::uint32_t warm = hash(box.name.object) % 62;  // red to yellow
    return fmt::format("hsl({},{}%,{}%)", warm, 80 - warm / 4, 64 + hash(box.name.function) % 12);
}

std::string label(const std::string& name, double width, double character = character_width) {
    const auto room = static_cast<std::size_t>(std::max(0.0, (width - 6) / character));
    if (room < 3) return {};
    if (columns(name) <= room) return name;
    std::string kept;
    std::size_t used = 0;
    for (const char c : name) {
        if ((static_cast<unsigned char>(c) & 0xc0) != 0x80 && ++used == room) break;
        kept += c;
    }
    return kept + "…";
}

std::string draw(const flame_box& box, std::uint64_t all, std::uint32_t deepest) {
    const double scale =
        (page_width - 2 * margin) / static_cast<double>(std::max<std::uint64_t>(all, 1));
    const double x = margin + static_cast<double>(box.left) * scale;
    const double y = head_height + (deepest - box.level) * row_height;
    const double width = static_cast<double>(box.samples) * scale;
    const std::string where = box.name.object.empty() ? "" : box.name.object + " · ";
    return fmt::format(
        "<g class=\"box\" data-l=\"{}\" data-n=\"{}\" data-d=\"{}\"><title>{}\n{}{} samples · {}"
        "</title><rect x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"/>"
        "<text x=\"{:.2f}\" y=\"{}\">{}</text></g>\n",
        box.left, box.samples, box.level, xml_text(box.name.function), xml_text(where),
        grouped(box.samples), percent(box.samples, all), x, y, width, row_height - 1, colour(box),
        x + 3, y + 13, xml_text(label(box.name.function, width)));
}

std::string open_document(const flame_heading& heading, double height) {
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\">\n"
        "<style>{2}</style>\n"
        "<rect id=\"page\" width=\"100%\" height=\"100%\"/>\n"
        "<text id=\"command\" x=\"{3}\" y=\"26\" data-full=\"{4}\">{6}</text>\n"
        "<text id=\"subtitle\" x=\"{3}\" y=\"45\">{5}</text>\n"
        "<text id=\"detail\" x=\"{3}\" y=\"64\"> </text>\n",
        page_width, height, flamegraph_style, margin, xml_text(heading.command),
        xml_text(heading.subtitle),
        xml_text(label(heading.command, page_width - 2 * margin - tools_width,
                       heading_character_width)));
}

std::string close_document() {
    return fmt::format(
        "<foreignObject id=\"tools\" x=\"{0}\" y=\"10\" width=\"{3}\" height=\"28\">"
        "<form xmlns=\"http://www.w3.org/1999/xhtml\"><button type=\"button\">reset zoom</button>"
        "<input type=\"search\" placeholder=\"search: press /\" size=\"20\"/></form>"
        "</foreignObject>\n"
        "<text id=\"matched\" x=\"{1}\" y=\"64\" text-anchor=\"end\"> </text>\n"
        "<script><![CDATA[{2}]]></script>\n</svg>\n",
        page_width - margin - tools_width, page_width - margin, flamegraph_script, tools_width);
}

}  // namespace

std::string flamegraph(const stack_counts& stacks, const flame_heading& heading) {
    const std::vector<flame_box> boxes = flame_boxes(stacks, most_boxes);
    std::uint32_t deepest = 0;
    for (const flame_box& box : boxes)
        deepest = std::max(deepest, box.level);
    std::string svg =
        open_document(heading, head_height + (deepest + 1) * row_height + foot_height);
    for (const flame_box& box : boxes)
        svg += draw(box, boxes[0].samples, deepest);
    return svg + close_document();
}

}  // namespace nmircu::command
