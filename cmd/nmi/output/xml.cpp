// SPDX-License-Identifier: MIT
//
// Escaping for XML; see xml.hpp.
#include <nmi/output/xml.hpp>

#include <cstdint>

#include <nmi/output/utf8.hpp>

namespace nmircu::command {
namespace {

// The length of the character at the front if it is one XML allows, else 0.
std::size_t character_bytes(std::string_view text) {
    const utf8_character first = first_character(text);
    const std::uint32_t code = first.code;
    const bool control = code < 0x20 && code != '\n' && code != '\t';
    return control || code == 0xfffe || code == 0xffff ? 0 : first.bytes;
}

}  // namespace

std::string xml_text(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = character_bytes(text);
        switch (text[0]) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += length == 0 ? std::string_view("?") : text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

}  // namespace nmircu::command
