// SPDX-License-Identifier: MIT
//
// A frame of a stack as a line of text, for dumps and alarms. Thread context.
#pragma once

#include <cstddef>
#include <string>

#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command {

// "    #3  name  (object)\n". Names are the program's, and of jitted code whatever it wrote: fit
// for a terminal here.
std::string frame_line(std::size_t number, const function_name& name);

}  // namespace nmircu::command
