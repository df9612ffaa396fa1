// SPDX-License-Identifier: MIT
//
// What is said of a caller who would wait for himself, before the program stops. Any context.
#include "platform/text.hpp"
#include "rcu/engine.hpp"

namespace nmircu::rcu {

void require_outside_sections(const detail::reader_state& self, const char* what,
                              const void* caller, const char* instead) noexcept {
    if (detail::section_of(self) < detail::one_section) return;
    platform::text_line line;
    line << "nmircu: " << what << " called at " << caller
         << " inside a read-side critical section entered at " << self.entered_at;
    if (self.handler != nullptr) {
        line << ", in handler " << self.handler->name << " (" << self.handler->function << ")";
    }
    line << "; it would wait for itself. " << instead;
    port::panic(line.c_str());
}

}  // namespace nmircu::rcu
