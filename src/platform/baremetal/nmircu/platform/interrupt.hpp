// SPDX-License-Identifier: MIT
//
// What a dispatcher asks the platform about the interrupt it is in. Context: nmi.
#pragma once

#include <nmircu/nmi.hpp>

namespace nmircu::platform {

// local: raised by nmi_raise, or by a timer of ours. external: all others. An NMI does not say
// where it comes from, so if both kinds arrive as one, it is local.
inline constexpr unsigned regs_type_word = 16;  // of struct pt_regs
[[nodiscard]] inline nmi_type interrupt_type(const pt_regs* regs) noexcept {
    const auto* const words = reinterpret_cast<const std::uint64_t*>(regs);
    return nmi_type{static_cast<std::uint8_t>(words[regs_type_word])};
}

// Nobody had the vector before.
[[nodiscard]] inline bool hand_to_previous_owner(pt_regs*) noexcept {
    return false;
}

}  // namespace nmircu::platform
