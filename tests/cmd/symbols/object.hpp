// SPDX-License-Identifier: MIT
//
// A folder for files of a test, and an object's symbols as places that a symbolizer can be asked
// about.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>

#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command::test {

class temporary_folder {
  public:
    temporary_folder() {
        char name[] = "/tmp/nmi-symbols-XXXXXX";
        path_ = mkdtemp(name);
        std::filesystem::permissions(path_, std::filesystem::perms(0755));
    }
    ~temporary_folder() { std::filesystem::remove_all(path_); }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline void shell(const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

// Where in the file a symbol of its .symtab or .dynsym is.
inline std::uint64_t offset_of(const std::string& path, const std::string& name) {
    const auto file = elf_file::open(path);
    for (const elf_file::section& section : file->sections()) {
        if (section.header.sh_type != SHT_SYMTAB && section.header.sh_type != SHT_DYNSYM) continue;
        Elf_Data* data = elf_getdata(section.handle, nullptr);
        GElf_Sym symbol;
        for (int i = 0; gelf_getsym(data, i, &symbol) != nullptr; ++i) {
            const char* text = elf_strptr(file->handle(), section.header.sh_link, symbol.st_name);
            if (text == nullptr || name != text) continue;
            for (const elf_segment& segment : file->segments()) {
                if (segment.executable && symbol.st_value >= segment.address &&
                    symbol.st_value - segment.address < segment.file_bytes) {
                    return symbol.st_value - segment.address + segment.file_offset;
                }
            }
        }
    }
    ADD_FAILURE() << name << " is not in " << path;
    return 0;
}

// A symbolizer for one object.
struct one_object {
    one_object(const std::string& path, const std::string& debug_root) {
        objects.push_back({path, 0, 1, unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))});
        names = std::make_unique<symbolizer>(objects, debug_root);
    }
    std::string name(std::uint64_t offset) { return names->name({0, offset}).function; }
    std::vector<mapped_object> objects;
    std::unique_ptr<symbolizer> names;
};

}  // namespace nmircu::command::test
