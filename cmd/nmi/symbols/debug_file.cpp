// SPDX-License-Identifier: MIT
//
// Where gdb looks for debug files, too ("Debugging Information in Separate Files"); see
// debug_file.hpp.
#include <nmi/symbols/debug_file.hpp>

#include <filesystem>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <fmt/format.h>
#include <nmi/symbols/byte_cursor.hpp>

namespace nmircu::command {
namespace {

constexpr off_t most_checked_bytes = 2ll << 30;

std::unique_ptr<elf_file> open_by_build_id(const std::string& root, const std::string& build_id) {
    if (build_id.size() < 3) return nullptr;
    std::unique_ptr<elf_file> file = elf_file::open(
        fmt::format("{}/.build-id/{}/{}.debug", root, build_id.substr(0, 2), build_id.substr(2)));
    return file && file->build_id() == build_id ? std::move(file) : nullptr;
}

struct debug_link {
    std::string name;
    std::uint32_t checksum;
};

// A name, NUL, zeros up to a multiple of four, the CRC of the file it names.
std::optional<debug_link> link_of(const elf_file& object) {
    for (const elf_file::section& section : object.sections()) {
        if (section.name != ".gnu_debuglink" || section.header.sh_size > 4096) continue;
        const Elf_Data* data = elf_rawdata(section.handle, nullptr);
        if (data == nullptr || data->d_buf == nullptr) return std::nullopt;
        const std::string_view text(static_cast<const char*>(data->d_buf), data->d_size);
        const std::string name(text.substr(0, text.find('\0')));
        const std::size_t at = (name.size() + 4) & ~std::size_t{3};
        // It is to be a file's name, not a way through the file system.
        if (name.empty() || name.find('/') != std::string::npos || at + 4 != text.size())
            return std::nullopt;
        byte_cursor bytes({static_cast<const std::uint8_t*>(data->d_buf) + at, 4});
        return debug_link{name, static_cast<std::uint32_t>(bytes.fixed(4))};
    }
    return std::nullopt;
}

bool has_checksum(int file, std::uint32_t wanted) {
    std::vector<unsigned char> buffer(1 << 20);
    uLong sum = crc32(0, nullptr, 0);
    for (off_t at = 0;;) {
        const ssize_t read = pread(file, buffer.data(), buffer.size(), at);
        if (read < 0) return false;
        if (read == 0) return sum == wanted;
        sum = crc32(sum, buffer.data(), static_cast<uInt>(read));
        at += read;
    }
}

std::unique_ptr<elf_file> open_linked(const std::string& path, const debug_link& link,
                                      const std::string& build_id) {
    unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat found;
    if (!file || fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode) ||
        found.st_size > most_checked_bytes || !has_checksum(file.get(), link.checksum)) {
        return nullptr;
    }
    std::unique_ptr<elf_file> opened = elf_file::open(std::move(file));
    if (!opened) return nullptr;
    const std::string id = opened->build_id();
    return id.empty() || build_id.empty() || id == build_id ? std::move(opened) : nullptr;
}

}  // namespace

std::unique_ptr<elf_file> find_debug_file(const elf_file& object, const std::string& path,
                                          const std::string& root) {
    const std::string build_id = object.build_id();
    if (std::unique_ptr<elf_file> file = open_by_build_id(root, build_id)) return file;
    const std::optional<debug_link> link = link_of(object);
    if (!link) return nullptr;
    const std::string folder = std::filesystem::path(path).parent_path();
    for (const std::string& candidate :
         {fmt::format("{}/{}", folder, link->name), fmt::format("{}/.debug/{}", folder, link->name),
          fmt::format("{}{}/{}", root, folder, link->name)}) {
        // The object's own file may be called that as well; it has another checksum.
        if (std::unique_ptr<elf_file> file = open_linked(candidate, *link, build_id)) return file;
    }
    return nullptr;
}

}  // namespace nmircu::command
