// SPDX-License-Identifier: MIT
//
// The functions of one ELF object by address: named ones from its symbol tables (its own and those
// of a separate debug file), nameless ones from the bounds in .eh_frame. Addresses are those of the
// file (p_vaddr). An address gets a name only if the function covers it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {

struct function_bounds {
    std::uint64_t begin, end;
    friend auto operator<=>(const function_bounds&, const function_bounds&) = default;
};

// The functions .eh_frame describes, sorted. Empty if it has none or it is damaged.
std::vector<function_bounds> frame_bounds(const elf_file& file);

class symbol_table {
  public:
    // `debug` may be null.
    symbol_table(const elf_file& file, const elf_file* debug);

    struct function {
        std::string name;  // as in the symbol table, mangled; empty: bounds only
        std::uint64_t begin;
    };
    [[nodiscard]] std::optional<function> find(std::uint64_t address) const;
    [[nodiscard]] std::size_t size() const { return symbols_.size(); }

  private:
    struct symbol {
        std::uint64_t begin, end;
        std::uint64_t furthest_end;  // of this and all before it
        unsigned rank;               // of the names of one function the lowest is taken
        std::string name;
    };
    void read(const elf_file& file);
    void read_dynamic(const elf_file& file);
    void add(const GElf_Sym& entry, const char* name);
    [[nodiscard]] const function_bounds* bounds_at(std::uint64_t address) const;
    void sort();

    std::vector<function_bounds> bounds_;
    std::vector<symbol> symbols_;
};

}  // namespace nmircu::command
