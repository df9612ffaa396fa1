// SPDX-License-Identifier: MIT
//
// Memory that a module of the target's shares, as the agent hands it out: read-only here, and of a
// size that the target cannot take back. What is in it the target may change at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <nmi/unique_fd.hpp>

namespace nmircu::command {

class handed_memory {
  public:
    // Null: `why` says in one phrase what is wrong with the file.
    static std::unique_ptr<handed_memory> open(const unique_fd& file, std::size_t least_bytes,
                                               std::string& why);
    handed_memory(const handed_memory&) = delete;
    handed_memory& operator=(const handed_memory&) = delete;
    ~handed_memory();

    [[nodiscard]] const std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    // Another one for other memory.
    [[nodiscard]] std::uint64_t inode() const { return inode_; }

  private:
    handed_memory(const std::byte* data, std::size_t bytes, std::uint64_t inode)
        : data_(data), bytes_(bytes), inode_(inode) {}

    const std::byte* data_;
    std::size_t bytes_;
    std::uint64_t inode_;
};

template <class Value>
Value read_once(const Value& from) {
    return __atomic_load_n(&from, __ATOMIC_RELAXED);  // another process may be writing it
}

}  // namespace nmircu::command
