// SPDX-License-Identifier: MIT
//
// Where functions begin and end according to their unwinding tables; see symbol_table.hpp.
#include <nmi/symbols/symbol_table.hpp>

#include <algorithm>

#include <nmi/symbols/frame_entries.hpp>

namespace nmircu::command {

std::vector<function_bounds> frame_bounds(const elf_file& file) {
    std::vector<function_bounds> found;
    for (const frame_entry& entry : read_frame_entries(file).entries)
        found.push_back({entry.begin, entry.end});
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace nmircu::command
