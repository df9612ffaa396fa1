// SPDX-License-Identifier: MIT
//
// The unwinding rows of one object, run once each and kept: a profile asks for the same few
// thousand again and again. Addresses are those of the file. Thread context.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>

#include <nmi/symbols/mapped_file.hpp>
#include <nmi/unwind/frame_row.hpp>

namespace nmircu::command {

class frame_table {
  public:
    // `file` may be null: there is nothing in the table then.
    explicit frame_table(std::unique_ptr<elf_file> file);

    // Null: nothing is known of that address, or what is known makes no sense. Valid until the next
    // call.
    const frame_row* find(std::uint64_t address);
    // Whether it is where programs begin: nobody called that code, and often it has no rules.
    [[nodiscard]] bool is_entry(std::uint64_t address) const {
        return entry_point_ != 0 && address - entry_point_ < longest_entry;
    }
    [[nodiscard]] const std::vector<elf_segment>& segments() const { return segments_; }

  private:
    static constexpr std::size_t most_rows = 20'000;
    static constexpr std::size_t recent_rows = 1024;
    static constexpr std::uint64_t longest_entry = 128;

    const frame_row* run(std::uint64_t address);
    [[nodiscard]] const frame_entry* entry_at(std::uint64_t address) const;

    std::unique_ptr<elf_file> file_;
    std::vector<elf_segment> segments_;
    std::uint64_t entry_point_ = 0;
    frame_entries entries_;
    std::map<std::uint64_t, frame_row> rows_;  // by begin
    struct recent {
        std::uint64_t address = ~0ull;
        const frame_row* row = nullptr;
    };
    std::array<recent, recent_rows> recent_;
};

}  // namespace nmircu::command
