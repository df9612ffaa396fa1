// SPDX-License-Identifier: MIT
//
// Folded stacks; see folded.hpp.
#include <nmi/output/folded.hpp>

#include <nmi/complaint.hpp>

namespace nmircu::command {

std::string folded(const stack_counts& stacks) {
    std::string text;
    for (const auto& [stack, samples] : stacks) {
        for (const function_name& frame : stack) {
            if (&frame != &stack.front()) text += ';';
            std::string plain = one_line(frame.function);
            for (char& c : plain) {
                if (c == ';') c = ':';  // the separator
            }
            text += plain;
        }
        text += ' ' + std::to_string(samples) + '\n';
    }
    return text;
}

std::string folded_note(const std::string& note) {
    return note.empty() ? "" : "# " + one_line(note) + " (nmi)\n";
}

}  // namespace nmircu::command
