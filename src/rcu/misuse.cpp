// SPDX-License-Identifier: MIT
//
// What is said of a caller who would wait for himself, or who breaks another rule, before the
// program stops. Each message names where the function was called, and the other end. Any context.
#include <nmircu/detail/misuse.hpp>

#include "platform/handler_name.hpp"
#include "platform/text.hpp"
#include "rcu/engine.hpp"

namespace nmircu::rcu {

namespace {

using platform::text_line;

// Whether the function that entered the section has returned or was jumped out of: its frame lies
// below this one, further than a call or two of library code. Stacks grow down; what is far away is
// another stack.
bool entering_frame_is_gone(const detail::reader_state& self) noexcept {
    constexpr std::uintptr_t nearest = 512, furthest = std::uintptr_t{8} << 20;
    if (self.entered_frame == nullptr || self.entered_frame_at != self.entered_at) return false;
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const auto there = reinterpret_cast<std::uintptr_t>(self.entered_frame);
    return there < here && here - there > nearest && here - there < furthest;
}

void refuse_updater(const char* what, const void* caller) noexcept {
    text_line line;
    line
        << "nmircu: " << what << " called at " << caller
        << " while this thread waits for a grace period already, in a stall handler or in a signal "
           "handler that interrupted the wait; it would wait for itself. Call it from another "
           "thread";
    port::panic(line.c_str());
}

}  // namespace

void require_outside_sections(const detail::reader_state& self, const char* what,
                              const void* caller, const char* instead) noexcept {
    if (detail::section_of(self) < detail::one_section) {
        if (self.is_updater != 0) refuse_updater(what, caller);
        return;
    }
    text_line line;
    line << "nmircu: " << what << " called at " << caller
         << " inside a read-side critical section entered at " << self.entered_at;
    platform::name_handler(line, self);
    line << "; it would wait for itself. " << instead;
    if (entering_frame_is_gone(self)) {
        line << ". (The function that entered it is not active any more: it returned without "
                "leaving the section, or longjmp went past it)";
    }
    port::panic(line.c_str());
}

}  // namespace nmircu::rcu

namespace nmircu::detail {

using platform::port;
using platform::text_line;

void report_unlock(const reader_state& self, const void* caller) noexcept {
    text_line line;
    line << "nmircu: unlock called at " << caller << " on thread " << port::current_thread()
         << ", which is inside no read-side critical section";
    if (self.entered_at == nullptr) {
        line << " and has never entered one";
    } else {
        line << "; its last one was entered at " << self.entered_at;
    }
    if (self.unlocked_at != nullptr) line << " and its last unlock called at " << self.unlocked_at;
    line << ". A section is left once, by the thread that entered it";
    port::panic(line.c_str());
}

void report_nesting(const reader_state& self, const void* caller) noexcept {
    text_line line;
    line << "nmircu: lock called at " << caller
         << " inside 65536 nested read-side critical sections, the outermost entered at "
         << self.entered_at
         << "; that many do not nest. A lock without unlock in a loop, or "
            "sections left by longjmp?";
    port::panic(line.c_str());
}

void report_unmask(const void* caller) noexcept {
    text_line line;
    line << "nmircu: local_irq_restore called at " << caller << " on thread "
         << port::current_thread()
         << ", which has no IRQs masked. Each local_irq_save is undone once, on its own thread";
    port::panic(line.c_str());
}

void report_null(const char* what, const void* caller) noexcept {
    text_line line;
    line << "nmircu: " << what << " called at " << caller << " with a null function";
    port::panic(line.c_str());
}

void report_null_object(const void* caller) noexcept {
    text_line line;
    line << "nmircu: retire called at " << caller
         << " on a null pointer; of the functions that retire, only rcu_retire takes one";
    port::panic(line.c_str());
}

void report_retired_twice(const void* object, const void* first, const void* second) noexcept {
    text_line line;
    line << "nmircu: the object at " << object << " retired at " << second;
    if (first == nullptr) {
        line << " is retired already. To learn where, compile the program without NDEBUG";
    } else {
        line << " has been retired at " << first << " already";
    }
    line << "; it would be reclaimed twice";
    port::panic(line.c_str());
}

void require_no_section(const char* what, const void* caller) noexcept {
    rcu::require_outside_sections(platform::this_reader(), what, caller, "Leave the section first");
}

void require_no_handler(const char* what, const void* caller) noexcept {
    const reader_state& self = platform::this_reader();
    if (self.nmi_depth == 0 && self.irq_depth == 0) return;
    text_line line;
    line << "nmircu: " << what << " called at " << caller << " inside an "
         << (self.nmi_depth != 0 ? "NMI" : "IRQ");
    platform::name_handler(line, self);
    line << "; it locks, allocates or blocks, and is for threads outside handlers only";
    port::panic(line.c_str());
}

}  // namespace nmircu::detail
