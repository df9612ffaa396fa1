// SPDX-License-Identifier: MIT
//
// Names for places in code: opens each object when it is first asked about, finds the function that
// covers the place, demangles. Never the name of a function that does not cover it, nor one out of
// a file that is another build than the code. Thread context.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nmi/profile/memory_map.hpp>
#include <nmi/symbols/demangle.hpp>
#include <nmi/symbols/source_lines.hpp>
#include <nmi/symbols/symbol_table.hpp>

namespace nmircu::command {

struct function_name {
    std::string function;  // "lzma_mf_bt4_find", "liblzma.so.5.4.1+0x12340", "[unknown]",
                           // "[anon 0x7f0000001000]", "[libx.so (replaced)]"
    std::string object;    // file name of what it is in; empty if unknown
    friend auto operator<=>(const function_name&, const function_name&) = default;
};

class symbolizer {
  public:
    // `objects` must not change or go while this is used. Debug files are looked for below
    // `debug_root` by build-id.
    explicit symbolizer(const std::vector<mapped_object>& objects,
                        std::string debug_root = "/usr/lib/debug");
    // The same, and functions made at run time by what the program told of them.
    explicit symbolizer(const memory_map& map) : symbolizer(map.objects()) { jit_ = &map.jit(); }
    symbolizer(const symbolizer&) = delete;
    symbolizer& operator=(const symbolizer&) = delete;
    ~symbolizer();

    const function_name& name(const code_place& place);

    // The same with source lines where there is debug information: functions that the compiler has
    // inlined there, innermost first, and last the one whose code it is. At least one; without
    // debug information it has `name`'s function and no file. Functions are demangled.
    const std::vector<line_in_source>& lines(const code_place& place);

    // Objects of which there is another build at their path by now, as far as they were asked
    // about.
    [[nodiscard]] std::vector<std::string> replaced() const;

    // Whether an outer frame of a stack is one: `place` is the last byte of a call instruction.
    // True where that cannot be told.
    bool is_call(const code_place& place);

  private:
    struct opened_object;
    opened_object& open(std::uint32_t object);
    source_lines* lines_of(std::uint32_t object);
    function_name find(const code_place& place);
    std::vector<line_in_source> find_lines(const code_place& place);
    bool find_call(const code_place& place);

    const std::vector<mapped_object>& objects_;
    std::string debug_root_;
    const jit_map* jit_ = nullptr;
    std::map<std::uint32_t, std::unique_ptr<opened_object>> opened_;
    std::map<code_place, function_name> names_;
    std::map<code_place, std::vector<line_in_source>> lines_;
    std::map<code_place, bool> calls_;
};

}  // namespace nmircu::command
