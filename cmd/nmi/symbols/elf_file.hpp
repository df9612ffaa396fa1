// SPDX-License-Identifier: MIT
//
// An ELF file, opened with libelf: the little that the rest of symbols/ and launch/ need of it, as
// values. A damaged file yields empty answers, never a crash. Thread context.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gelf.h>

#include <nmi/unique_fd.hpp>

namespace nmircu::command {

struct elf_segment {
    std::uint64_t file_offset, address, file_bytes;
    bool executable;
};

class elf_file {
  public:
    // Null if the file cannot be opened or is no ELF object.
    static std::unique_ptr<elf_file> open(const std::string& path);
    static std::unique_ptr<elf_file> open(unique_fd file);
    // An image in memory that outlives the object: the vdso.
    static std::unique_ptr<elf_file> in_memory(std::span<char> image);

    elf_file(const elf_file&) = delete;
    elf_file& operator=(const elf_file&) = delete;
    ~elf_file();

    // Whether it belongs to root or to our own user, and not everybody may write to it.
    [[nodiscard]] bool is_trusted() const;

    [[nodiscard]] Elf* handle() const { return elf_; }
    [[nodiscard]] const GElf_Ehdr& header() const { return header_; }
    [[nodiscard]] int elf_class() const { return gelf_getclass(elf_); }

    [[nodiscard]] std::vector<GElf_Phdr> program_headers() const;
    // Bytes at a place in the file; empty if they are not all there. They live as long as the file
    // is open.
    [[nodiscard]] std::span<const char> bytes(std::uint64_t offset, std::uint64_t size) const;
    // The same, by the address that the program headers give them; fewer if fewer are there.
    [[nodiscard]] std::span<const char> bytes_at(std::uint64_t address, std::uint64_t most) const;

    // PT_LOAD segments.
    [[nodiscard]] std::vector<elf_segment> segments() const;
    // The dynamic loader it asks for (PT_INTERP); empty if none.
    [[nodiscard]] std::string interpreter() const;
    // GNU build-id in lower-case hexadecimal; empty if none.
    [[nodiscard]] std::string build_id() const;

    struct section {
        Elf_Scn* handle;
        GElf_Shdr header;
        std::string name;
    };
    [[nodiscard]] std::vector<section> sections() const;

  private:
    elf_file(unique_fd file, Elf* elf) : file_(std::move(file)), elf_(elf) {}
    static std::unique_ptr<elf_file> adopt(unique_fd file, Elf* elf);

    unique_fd file_;
    Elf* elf_;
    GElf_Ehdr header_{};
};

// Decompresses a compressed section in place. False if that fails or would take more than
// `most_bytes`.
bool decompress(const elf_file::section& section, std::uint64_t most_bytes);

}  // namespace nmircu::command
