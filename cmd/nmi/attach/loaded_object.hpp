// SPDX-License-Identifier: MIT
//
// A shared object inside a process, by the file that is mapped there: addresses of its symbols, and
// of bytes in its code. Thread context.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <nmi/attach/process_facts.hpp>
#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {

class loaded_object {
  public:
    // The file name of one of the objects that are mapped begins like one of `names`.
    static bool is_mapped(int pid, std::span<const char* const> names);
    // The one whose file name does; null: it is not mapped, or its file is gone.
    static std::unique_ptr<loaded_object> find(const process_facts& facts,
                                               std::span<const char* const> names);

    // The address of a symbol it exports; 0: none.
    [[nodiscard]] std::uint64_t symbol(const char* name) const;
    // Where these bytes are in its code; 0: nowhere.
    [[nodiscard]] std::uint64_t code(std::span<const unsigned char> bytes) const;

  private:
    loaded_object(std::unique_ptr<elf_file> file, std::uint64_t bias)
        : file_(std::move(file)), bias_(bias) {}

    std::unique_ptr<elf_file> file_;
    std::uint64_t bias_;  // from the file's addresses to the process's
};

}  // namespace nmircu::command
