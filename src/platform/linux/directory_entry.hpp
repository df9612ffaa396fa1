// SPDX-License-Identifier: MIT
//
// What getdents64 fills its buffer with, one after another. glibc declares it only as
// `struct dirent64`.
#pragma once

#include <cstdint>

namespace nmircu::platform {

struct directory_entry {
    std::uint64_t inode;
    std::int64_t next;
    unsigned short bytes;  // to the next one
    unsigned char type;
    char name[];
};

}  // namespace nmircu::platform
