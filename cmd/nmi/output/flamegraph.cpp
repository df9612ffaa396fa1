// SPDX-License-Identifier: MIT
//
// Boxes into SVG; see flamegraph.hpp. The script lays the boxes out again for the window's width,
// so the numbers it shares with this file (class names, data attributes) are listed in
// flamegraph_script.cpp.
#include <nmi/output/flamegraph.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>
#include <vector>

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
constexpr double note_height = 15;
constexpr std::size_t note_columns = 165;
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

// How a box looks and what it says, besides its name.
struct look {
    std::string colour;
    std::string figures;
};

std::string draw(const flame_box& box, const look& how, std::uint64_t all, std::uint32_t deepest) {
    const double scale =
        (page_width - 2 * margin) / static_cast<double>(std::max<std::uint64_t>(all, 1));
    const double x = margin + static_cast<double>(box.left) * scale;
    const double y = head_height + (deepest - box.level) * row_height;
    const double width = static_cast<double>(box.samples) * scale;
    const std::string where = box.name.object.empty() ? "" : box.name.object + " · ";
    return fmt::format(
        "<g class=\"box\" data-l=\"{}\" data-n=\"{}\" data-d=\"{}\"><title>{}\n{}{}"
        "</title><rect x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"/>"
        "<text x=\"{:.2f}\" y=\"{}\">{}</text></g>\n",
        box.left, box.samples, box.level, xml_text(box.name.function), xml_text(where),
        xml_text(how.figures), x, y, width, row_height - 1, how.colour, x + 3, y + 13,
        xml_text(label(box.name.function, width)));
}

std::string open_document(const flame_heading& heading, double height) {
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
        "data-unit=\"{7}\">\n"
        "<style>{2}</style>\n"
        "<rect id=\"page\" width=\"100%\" height=\"100%\"/>\n"
        "<text id=\"command\" x=\"{3}\" y=\"26\" data-full=\"{4}\">{6}</text>\n"
        "<text id=\"subtitle\" x=\"{3}\" y=\"45\">{5}</text>\n"
        "<text id=\"detail\" x=\"{3}\" y=\"64\"> </text>\n",
        page_width, height, flamegraph_style, margin, xml_text(heading.command),
        xml_text(heading.subtitle),
        xml_text(
            label(heading.command, page_width - 2 * margin - tools_width, heading_character_width)),
        xml_text(heading.unit));
}

// In as many lines as it takes, cut between words; a newline is kept.
std::vector<std::string> lines_of(std::string_view notes) {
    constexpr std::string_view separator = " · ";
    std::vector<std::string> lines;
    bool fresh = true;
    while (!notes.empty()) {
        const std::size_t end = std::min({notes.find(separator), notes.find('\n'), notes.size()});
        const std::string part(notes.substr(0, end));
        if (fresh || columns(lines.back()) + columns(part) + 3 > note_columns) {
            lines.push_back(part);
        } else {
            lines.back() += std::string(separator) + part;
        }
        fresh = end < notes.size() && notes[end] == '\n';
        notes.remove_prefix(std::min(end + (fresh ? 1 : separator.size()), notes.size()));
    }
    return lines;
}

std::string draw_notes(const std::vector<std::string>& lines, double y) {
    std::string text;
    for (const std::string& line : lines) {
        text += fmt::format("<text class=\"note\" x=\"{}\" y=\"{}\">{}</text>\n", margin, y,
                            xml_text(line));
        y += note_height;
    }
    return text;
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

template <class Look>
std::string draw_all(const std::vector<flame_box>& boxes, const flame_heading& heading,
                     const Look& look_of, const std::function<std::string(double)>& legend = {}) {
    std::uint32_t deepest = 0;
    for (const flame_box& box : boxes)
        deepest = std::max(deepest, box.level);
    const std::vector<std::string> notes = lines_of(heading.notes);
    const double foot = head_height + (deepest + 1) * row_height + foot_height;
    const double notes_at = legend ? foot + 2 * note_height : foot + 4;
    std::string svg =
        open_document(heading, notes_at + static_cast<double>(notes.size()) * note_height);
    for (const flame_box& box : boxes)
        svg += draw(box, look_of(box), boxes[0].samples, deepest);
    if (legend) svg += legend(foot + 4);
    return svg + draw_notes(notes, notes_at) + close_document();
}

double points(std::uint64_t parts) {
    return 100 * static_cast<double>(parts) / static_cast<double>(share_parts);
}

double growth(const flame_box& box) {  // in points
    return points(box.samples - box.before) - points(box.before);
}

// White where nothing changed. The root of the share, so that small changes are seen, too.
std::string difference_colour(double change, double largest) {
    const double part = largest > 0 ? std::sqrt(std::min(std::abs(change) / largest, 1.0)) : 0;
    if (part < 0.02) return "#eceae4";
    return fmt::format("hsl({},{:.0f}%,{:.0f}%)", change > 0 ? 8 : 212, 40 + 45 * part,
                       92 - 34 * part);
}

std::string draw_legend(double largest, double y) {
    std::string text = "<g id=\"legend\">";
    double x = margin;
    for (int step = -4; step <= 4; ++step) {
        const double change = step / 4.0 * std::abs(step / 4.0) * largest;
        text += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"22\" height=\"12\" fill=\"{}\"/>", x,
                            y - 10, difference_colour(change, largest));
        x += 22;
    }
    return text + fmt::format(
                      "<text x=\"{}\" y=\"{}\">blue shrank, red grew, by up to {:.2f} "
                      "points · width: mean of both</text></g>\n",
                      x + 8, y, largest);
}

}  // namespace

std::string flamegraph(const stack_counts& stacks, const flame_heading& heading) {
    const std::vector<flame_box> boxes = flame_boxes(stacks, most_boxes);
    return draw_all(boxes, heading, [&](const flame_box& box) {
        return look{colour(box), fmt::format("{} {} · {}", grouped(box.samples), heading.unit,
                                             percent(box.samples, boxes[0].samples))};
    });
}

std::string differential_flamegraph(const stack_counts& before, const stack_counts& after,
                                    const flame_heading& heading) {
    const std::vector<flame_box> boxes = flame_boxes(before, after, most_boxes);
    double largest = 0;
    for (const flame_box& box : boxes) {
        if (box.level != 0) largest = std::max(largest, std::abs(growth(box)));
    }
    const auto look_of = [&](const flame_box& box) {
        return look{difference_colour(box.level == 0 ? 0 : growth(box), largest),
                    fmt::format("{:.2f}% → {:.2f}% ({:+.2f} points)", points(box.before),
                                points(box.samples - box.before), growth(box))};
    };
    return draw_all(boxes, heading, look_of, [&](double y) { return draw_legend(largest, y); });
}

// Without the XML declaration the drawing may stand in a page.
std::string html_page(const std::string& svg, const std::string& title) {
    return fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{}</title>\n"
        "<style>body {{ margin: 0; background: #fbfaf7; }} svg {{ display: block; "
        "}}</style></head>\n"
        "<body>\n{}</body>\n</html>\n",
        xml_text(title), std::string_view(svg).substr(svg.find("<svg")));
}

}  // namespace nmircu::command
