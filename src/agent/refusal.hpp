// SPDX-License-Identifier: MIT
//
// Why something was not done: what `error` replies are made of.
#pragma once

#include <string>

#include <agent/protocol.hpp>

namespace nmircu::agent {

struct refusal {
    failure code;
    std::string text;  // what was tried and what stopped it
    std::string hint;  // what to try
};

// One line: replies and status lines are made of fields without control characters.
inline std::string one_line(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < ' ') c = ' ';
    }
    return text;
}

inline message error_reply(const refusal& why) {
    return {"error", std::to_string(static_cast<unsigned>(why.code)), one_line(why.text),
            one_line(why.hint)};
}

}  // namespace nmircu::agent
