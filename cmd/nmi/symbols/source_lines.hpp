// SPDX-License-Identifier: MIT
//
// Source lines of an object that has debug information (DWARF, through libdw), with the functions
// that were inlined there. Addresses are those of the file. libdw reads past the end of damaged
// debug information in many places (a string without its NUL, for one), so that of a file that
// neither root nor our own user owns is not looked at: names of a stranger's program come from
// symbol tables and unwinding tables only. Of what is looked at, amounts are bounded, and recursion
// is not left to libdw. Thread context.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <elfutils/libdw.h>

#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {

// A function and where in it the code is; of all but the innermost, where the next inner one was
// inlined or called.
struct line_in_source {
    std::string function;  // mangled, as in the debug information; empty if that does not say
    std::string file;      // empty if unknown
    unsigned line = 0;     // 0 if unknown
    friend auto operator<=>(const line_in_source&, const line_in_source&) = default;
};

class source_lines {
  public:
    // Null if the file has no debug information, or more than is reasonable, or is a stranger's.
    static std::unique_ptr<source_lines> open(std::unique_ptr<elf_file> file);
    ~source_lines();
    source_lines(const source_lines&) = delete;
    source_lines& operator=(const source_lines&) = delete;

    // Innermost first: inlined functions, then the one whose code it is. Empty if nothing is known.
    std::vector<line_in_source> find(std::uint64_t address);

  private:
    // Code of a compilation unit, or of a function in one.
    struct extent {
        std::uint64_t begin, end;
        Dwarf_Off entry;  // of the unit, or the function
    };
    source_lines(std::unique_ptr<elf_file> file, Dwarf* dwarf);

    void read_units();
    const std::vector<extent>& functions_of(Dwarf_Off unit);
    std::vector<Dwarf_Die> scopes(Dwarf_Off unit, std::uint64_t address);
    bool may_read_lines(Dwarf_Die unit);

    std::unique_ptr<elf_file> file_;
    Dwarf* dwarf_;
    std::vector<extent> units_;                           // by begin
    std::map<Dwarf_Off, std::vector<extent>> functions_;  // by unit
};

}  // namespace nmircu::command
