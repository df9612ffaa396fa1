// SPDX-License-Identifier: MIT
//
// Asks the dynamic loader where we are and /proc/self/smaps what of that is in memory.
#include <agent/footprint.hpp>

#include <link.h>

#include <cinttypes>
#include <cstdio>
#include <memory>

namespace nmircu::agent {
namespace {

struct range {
    std::uintptr_t begin = 0, end = 0;
};

int find_own(dl_phdr_info* info, std::size_t, void* out) {
    range found;
    bool is_own = false;
    const auto here = reinterpret_cast<std::uintptr_t>(&find_own);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD) continue;
        const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
        const std::uintptr_t end = begin + segment.p_memsz;
        if (found.end == 0) found.begin = begin;
        found.end = end;
        is_own = is_own || (here >= begin && here < end);
    }
    if (!is_own) return 0;
    *static_cast<range*>(out) = found;
    return 1;
}

}  // namespace

footprint own_footprint() {
    range own;
    footprint sum;
    dl_iterate_phdr(find_own, &own);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/smaps", "re"),
                                                               std::fclose);
    if (!file || own.end == 0) return sum;
    char line[512];
    bool inside = false;
    while (std::fgets(line, sizeof line, file.get()) != nullptr) {
        std::uint64_t begin = 0, end = 0, kilobytes = 0;
        if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2) {
            inside = begin < own.end && end > own.begin;
            if (inside) sum.mapped_bytes += end - begin;
        } else if (inside && std::sscanf(line, "Private_Dirty: %" SCNu64, &kilobytes) == 1) {
            sum.resident_bytes += kilobytes << 10;
        }
    }
    return sum;
}

}  // namespace nmircu::agent
