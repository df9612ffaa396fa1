// SPDX-License-Identifier: MIT
//
// The handler that a thread is inside, in a line for people. Freestanding; any context.
#pragma once

#include <cstddef>

#include <nmircu/detail/reader_state.hpp>

#include "platform/text.hpp"

namespace nmircu::platform {

// ", in handler NAME (ADDRESS)", or nothing.
template <std::size_t Bytes>
void name_handler(text_line<Bytes>& line, const detail::reader_state& self) noexcept {
    // Of the two, the one that is there also after the handler was left by longjmp.
    if (self.called_name != nullptr) {
        line << ", in handler " << self.called_name << " (" << self.called_function << ")";
    } else if (self.handler != nullptr) {
        const detail::named_code& code = *self.handler->code;
        line << ", in handler " << code.name << " (" << code.function << ")";
    }
}

}  // namespace nmircu::platform
