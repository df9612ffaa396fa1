// SPDX-License-Identifier: MIT
//
// What debug builds compare around a handler's call; see handler_check.hpp.
#include "interrupt/handler_check.hpp"

#include <nmircu/platform/port.hpp>

#include "platform/text.hpp"

namespace nmircu::interrupt {

namespace {

void name_address(platform::text_line<>& line, const char* what, const void* address) noexcept {
    if (address != nullptr) line << "; its last " << what << " was called at " << address;
}

}  // namespace

void handler_check::remember() noexcept {
    section_ = detail::section_of(self_);
    nmi_depth_ = self_.nmi_depth;
    irq_mask_ = self_.irq_mask;
    outer_name_ = self_.called_name;
    outer_function_ = self_.called_function;
    outer_locked_at_ = self_.locked_at;
    outer_unlocked_at_ = self_.unlocked_at;
}

void handler_check::put_back() noexcept {
    self_.called_name = outer_name_;
    self_.called_function = outer_function_;
    self_.locked_at = outer_locked_at_;
    self_.unlocked_at = outer_unlocked_at_;
}

void handler_check::note(const detail::named_code& code) noexcept {
    self_.called_name = code.name;
    self_.called_function = code.function;
    // What is there afterwards, the handler has done.
    self_.locked_at = nullptr;
    self_.unlocked_at = nullptr;
}

void handler_check::compare() noexcept {
    const std::uint64_t section = detail::section_of(self_);
    const bool as_masked = self_.irq_mask == irq_mask_;
    if (section == section_ && self_.nmi_depth == nmi_depth_ && as_masked) [[likely]]
        return;
    platform::text_line line;
    line << "nmircu: handler " << self_.called_name << " (" << self_.called_function << ") ";
    if (self_.nmi_depth != nmi_depth_) {
        line << "returned after calling nmi_enter and nmi_exit, but not in pairs";
    } else if (!as_masked) {
        line << "returned after calling local_irq_save and local_irq_restore, but not in pairs";
    } else if (section > section_) {
        line << "returned inside a read-side critical section that it entered and has not left";
        name_address(line, "lock", self_.locked_at);
    } else {
        line << "returned after leaving a read-side critical section that it had not entered";
        name_address(line, "unlock", self_.unlocked_at);
    }
    platform::port::panic(line.c_str());
}

void require_nmi(const char* what, const void* caller) noexcept {
    if (platform::this_reader().nmi_depth != 0) return;
    platform::text_line line;
    line << "nmircu: " << what << " called at " << caller << " on thread "
         << platform::port::current_thread() << ", which has not called nmi_enter";
    platform::port::panic(line.c_str());
}

}  // namespace nmircu::interrupt
