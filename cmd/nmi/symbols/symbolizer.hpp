// SPDX-License-Identifier: MIT
//
// Names for places in code: opens each object when it is first asked about, finds the function that
// covers the place, demangles. Never the name of a function that does not cover it.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nmi/profile/memory_map.hpp>
#include <nmi/symbols/symbol_table.hpp>

namespace nmircu::command {

struct function_name {
    std::string function;  // "lzma_mf_bt4_find", "liblzma.so.5.4.1+0x12340", "[unknown]"
    std::string object;    // file name of what it is in; empty if unknown
    friend auto operator<=>(const function_name&, const function_name&) = default;
};

class symbolizer {
  public:
    // `objects` must not change or go while this is used. Debug files are looked for below
    // `debug_root` by build-id.
    explicit symbolizer(const std::vector<mapped_object>& objects,
                        std::string debug_root = "/usr/lib/debug");
    symbolizer(const symbolizer&) = delete;
    symbolizer& operator=(const symbolizer&) = delete;
    ~symbolizer();

    const function_name& name(const code_place& place);

    // Whether an outer frame of a stack is one: `place` is the last byte of a call instruction.
    // True where that cannot be told.
    bool is_call(const code_place& place);

  private:
    struct opened_object;
    opened_object& open(std::uint32_t object);
    function_name find(const code_place& place);
    bool find_call(const code_place& place);

    const std::vector<mapped_object>& objects_;
    std::string debug_root_;
    std::map<std::uint32_t, std::unique_ptr<opened_object>> opened_;
    std::map<code_place, function_name> names_;
    std::map<code_place, bool> calls_;
};

// The C++ name behind a mangled one; anything else as it is.
std::string demangle(const std::string& name);

}  // namespace nmircu::command
