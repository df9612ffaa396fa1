// SPDX-License-Identifier: MIT
//
// Memory of a module that a command may read: a memory file that nobody can write to but through
// the mapping made here, and that can neither shrink nor grow. Control thread, for it has the
// agent's descriptors; the memory itself is the whole process's.
#pragma once

#include <cstdint>

namespace nmircu::agent {

class shared_memory {
  public:
    static constexpr std::uint64_t most_bytes = std::uint64_t{1} << 30;

    shared_memory() = default;
    shared_memory(const shared_memory&) = delete;
    shared_memory& operator=(const shared_memory&) = delete;
    ~shared_memory() { release(); }

    // Null: refused, or there is some already.
    void* create(std::uint64_t bytes);
    // Nobody in the process uses it any more. Idempotent.
    void release();
    // In the child of a fork, which has the memory and not the file.
    void forked() { file_ = -1; }
    // To be handed out; -1: none.
    [[nodiscard]] int file() const { return file_; }

  private:
    int file_ = -1;
    void* memory_ = nullptr;
    std::uint64_t bytes_ = 0;
};

}  // namespace nmircu::agent
