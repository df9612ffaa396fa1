// SPDX-License-Identifier: MIT
//
// Asks the dynamic loader where we are and /proc/self/pagemap what of that is in memory: smaps
// would walk all of a program's page tables, which takes seconds where there is much memory.
#include <agent/footprint.hpp>

#include <fcntl.h>
#include <link.h>
#include <unistd.h>

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

using file_handle = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// Pages that are in memory and no file's: this process's own, and those of zeros that it only read.
std::uint64_t private_bytes(int pagemap, std::uint64_t begin, std::uint64_t end) {
    constexpr std::uint64_t is_present = std::uint64_t{1} << 63, is_file = std::uint64_t{1} << 61;
    const auto page_bytes = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    std::uint64_t sum = 0;
    for (std::uint64_t page = begin / page_bytes; page < end / page_bytes; ++page) {
        std::uint64_t entry = 0;
        const auto offset = static_cast<off_t>(page * sizeof entry);
        if (pread(pagemap, &entry, sizeof entry, offset) != sizeof entry) return sum;
        if ((entry & is_present) != 0 && (entry & is_file) == 0) sum += page_bytes;
    }
    return sum;
}

}  // namespace

footprint own_footprint() {
    range own;
    footprint sum;
    dl_iterate_phdr(find_own, &own);
    const file_handle maps(std::fopen("/proc/self/maps", "re"), std::fclose);
    if (!maps || own.end == 0) return sum;
    const int pages = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    char line[512];
    while (std::fgets(line, sizeof line, maps.get()) != nullptr) {
        std::uint64_t begin = 0, end = 0;
        if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &begin, &end) != 2) continue;
        if (begin >= own.end || end <= own.begin) continue;
        sum.mapped_bytes += end - begin;
        sum.resident_bytes += private_bytes(pages, begin, end);
    }
    if (pages >= 0) close(pages);
    return sum;
}

}  // namespace nmircu::agent
