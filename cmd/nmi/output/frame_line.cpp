// SPDX-License-Identifier: MIT
//
// See frame_line.hpp.
#include <nmi/output/frame_line.hpp>

#include <fmt/format.h>
#include <nmi/complaint.hpp>

namespace nmircu::command {

std::string frame_line(std::size_t number, const function_name& name) {
    const std::string text =
        fmt::format("  {:>4}  {}", fmt::format("#{}", number), one_line(name.function));
    const bool says_it = name.object.empty() || name.function.starts_with('[') ||
                         name.function.starts_with(name.object);
    return says_it ? text + "\n" : fmt::format("{}  ({})\n", text, one_line(name.object));
}

}  // namespace nmircu::command
