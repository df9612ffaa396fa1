// SPDX-License-Identifier: MIT
//
// Mapping what was handed out; see handed_memory.hpp.
#include <nmi/target/handed_memory.hpp>

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace nmircu::command {

std::unique_ptr<handed_memory> handed_memory::open(const unique_fd& file, std::size_t least_bytes,
                                                   std::string& why) {
    struct stat found;
    const int seals = fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(file.get(), &found) != 0) {
        why = "what it sent is no memory file that keeps its size";
        return nullptr;
    }
    const auto bytes = static_cast<std::size_t>(found.st_size);
    if (bytes < least_bytes) {
        why = "its memory is too short";
        return nullptr;
    }
    void* const memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) {
        why = std::strerror(errno);
        return nullptr;
    }
    return std::unique_ptr<handed_memory>(
        new handed_memory(static_cast<const std::byte*>(memory), bytes, found.st_ino));
}

handed_memory::~handed_memory() {
    munmap(const_cast<std::byte*>(data_), bytes_);
}

}  // namespace nmircu::command
