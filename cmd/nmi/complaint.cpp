// SPDX-License-Identifier: MIT
//
// One line for people; see complaint.hpp.
#include <nmi/complaint.hpp>

#include <algorithm>
#include <cstdio>

#include <nmi/output/utf8.hpp>

namespace nmircu::command {

std::string one_line(std::string_view text) {
    std::string line;
    while (!text.empty()) {
        const utf8_character next = first_character(text);
        if (next.bytes == 0) {
            line += '?';
        } else if (is_control(next.code)) {
            line += ' ';
        } else {
            line += text.substr(0, next.bytes);
        }
        text.remove_prefix(std::max<std::size_t>(next.bytes, 1));
    }
    return line;
}

void say(std::string_view text) {
    const std::string line = "nmi: " + one_line(text) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace nmircu::command
