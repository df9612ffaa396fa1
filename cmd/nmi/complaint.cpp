// SPDX-License-Identifier: MIT
//
// One line for people; see complaint.hpp.
#include <nmi/complaint.hpp>

#include <cstdio>

namespace nmircu::command {

std::string one_line(std::string_view text) {
    std::string line(text);
    for (char& c : line) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    return line;
}

void say(std::string_view text) {
    const std::string line = "nmi: " + one_line(text) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace nmircu::command
