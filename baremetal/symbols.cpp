// SPDX-License-Identifier: MIT
//
// Names of functions, from a table that the build makes of the image's own symbols (symbols.cmake):
// addresses in rising order, and for each the offset of its name. Any context.
#include <cstdint>

#include <nmircu/platform/port.hpp>

#include "platform/text.hpp"

extern "C" {
extern const std::uint32_t nmircu_symbol_count;
extern const std::uint32_t nmircu_symbol_addresses[];
extern const std::uint32_t nmircu_symbol_names[];
extern const char nmircu_symbol_texts[];
extern const unsigned char text_begin[], text_end[];
}

namespace nmircu::platform {

void port::name_code(const void* address, char* out, std::size_t bytes) noexcept {
    out[0] = '\0';
    if (address < text_begin || address >= text_end) return;
    const auto wanted = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(address));
    std::uint32_t low = 0, high = nmircu_symbol_count;
    while (low < high) {
        const std::uint32_t middle = (low + high) / 2;
        if (nmircu_symbol_addresses[middle] <= wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) return;
    text_line line;
    line << nmircu_symbol_texts + nmircu_symbol_names[low - 1] << "+"
         << std::uint64_t{wanted - nmircu_symbol_addresses[low - 1]};
    std::size_t i = 0;
    for (; i + 1 < bytes && line.c_str()[i] != '\0'; ++i)
        out[i] = line.c_str()[i];
    out[i] = '\0';
}

}  // namespace nmircu::platform
