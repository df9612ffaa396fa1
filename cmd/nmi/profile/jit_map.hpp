// SPDX-License-Identifier: MIT
//
// Functions that a program compiles while it runs (V8, the JVM, LuaJIT, ...) and tells of in
// /tmp/perf-PID.map, one "BEGIN SIZE NAME" a line, appended to as it goes. The file is read as the
// program sees it, with its own idea of its number; only if the program's user owns it. What is
// said last of an address counts. Thread context.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace nmircu::command {

class jit_map {
  public:
    // More than this of a file is not read.
    static constexpr std::uint64_t most_bytes = 128 << 20;
    static constexpr std::size_t longest_name = 1024;

    explicit jit_map(int pid) : pid_(pid) {}

    // Reads what was added since the last time.
    void refresh();
    // More lines, the last of which may be unfinished; for tests.
    void add(std::string_view text);

    // Null if no function is known to be there.
    [[nodiscard]] const std::string* find(std::uint64_t address) const;
    [[nodiscard]] std::size_t size() const { return functions_.size(); }

  private:
    struct function {
        std::uint64_t end;
        std::string name;
    };
    void add_line(std::string_view line);
    void insert(std::uint64_t begin, std::uint64_t end, std::string_view name);
    void read(int file, std::uint64_t size);

    int pid_;
    ino_t inode_ = 0;
    std::uint64_t taken_ = 0;                      // bytes of the file
    std::string unfinished_;                       // line
    std::map<std::uint64_t, function> functions_;  // by begin; disjoint
};

}  // namespace nmircu::command
