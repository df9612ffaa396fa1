// SPDX-License-Identifier: MIT
//
// Whether code could have called from a place: what tells a return address from a number that
// merely looks like one. Where functions keep no frame pointer, a walk along frame pointers picks
// up such numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace nmircu::command {

inline constexpr std::size_t longest_call = 8;

// `before`: the bytes in front of a would-be return address, up to longest_call of them.
// `machine`: e_machine of the object. True for machines whose code is not known here.
bool ends_with_call(unsigned machine, std::span<const std::uint8_t> before);

}  // namespace nmircu::command
