// SPDX-License-Identifier: MIT
//
// Property: the rules for every function of real libraries are those that libdw finds; nonsense is
// refused, however long.
#include <nmi/unwind/frame_row.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <nmi/profile/memory_map.hpp>
#include <nmi/unwind/frame_table.hpp>

namespace nmircu::command {
namespace {

using kind = register_rule::kind;

// One rule as libdw tells it: the operations of a location.
struct told {
    std::vector<Dwarf_Op> operations;
    bool is_undefined = false, is_same = false;
};

told register_by_libdw(Dwarf_Frame* frame, int number) {
    Dwarf_Op room[3];
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    EXPECT_EQ(dwarf_frame_register(frame, number, room, &operations, &count), 0);
    if (count == 0) return {{}, operations == room, operations == nullptr};
    return {{operations, operations + count}};
}

// Whether libdw says the same of a register. Not compared: registers of which the tables say
// nothing (libdw then applies the machine's calling convention, we keep the value), and expressions
// beyond their number of operations.
bool agrees(const register_rule& ours, const told& theirs) {
    const std::size_t count = theirs.operations.size();
    switch (ours.how) {
        case kind::same:
            return theirs.is_same || theirs.is_undefined || count > 0;
        case kind::undefined:
            return theirs.is_undefined;
        case kind::at_offset:
            if (theirs.operations.empty() || theirs.operations[0].atom != DW_OP_call_frame_cfa)
                return false;
            return ours.value == 0 ? count == 1
                                   : count == 2 && theirs.operations[1].number ==
                                                       static_cast<std::uint64_t>(ours.value);
        case kind::at_expression:
        case kind::expression_itself:
            return count > 1;
        default:
            return count > 0;
    }
}

bool frame_address_agrees(const frame_address_rule& ours, Dwarf_Frame* frame) {
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    if (dwarf_frame_cfa(frame, &operations, &count) != 0) return false;
    if (!ours.expression.empty()) return count > 1;
    if (count != 1) return false;
    const Dwarf_Op& only = operations[0];
    const bool is_indexed = only.atom == DW_OP_bregx;
    const unsigned base =
        is_indexed ? static_cast<unsigned>(only.number) : unsigned{only.atom} - DW_OP_breg0;
    const auto offset = static_cast<std::int64_t>(is_indexed ? only.number2 : only.number);
    return base == ours.base_register && offset == ours.offset;
}

class every_entry : public testing::TestWithParam<const char*> {};

std::string file_of(const std::string& library) {
    memory_map map(getpid());
    map.refresh();
    for (const mapped_object& object : map.objects()) {
        if (object.path.find(library) != std::string::npos) return object.path;
    }
    return {};
}

TEST_P(every_entry, has_the_rules_that_libdw_finds) {
    const std::string path = file_of(GetParam());
    ASSERT_FALSE(path.empty());
    const auto file = elf_file::open(path);
    const auto for_libdw = elf_file::open(path);
    Dwarf_CFI* const cfi = dwarf_getcfi_elf(for_libdw->handle());
    ASSERT_NE(cfi, nullptr);
    const frame_entries tables = read_frame_entries(*file);
    ASSERT_GT(tables.entries.size(), 100u);
    unsigned rows = 0;
    for (const frame_entry& entry : tables.entries) {
        for (std::uint64_t at = entry.begin; at < entry.end && at < entry.begin + 3000;) {
            const auto row = row_at(tables.common[entry.common], entry, at);
            Dwarf_Frame* frame = nullptr;
            ASSERT_TRUE(row) << std::hex << at;
            ASSERT_EQ(dwarf_cfi_addrframe(cfi, at, &frame), 0) << std::hex << at;
            Dwarf_Addr begin = 0, end = 0;
            bool signal_frame = false;
            const int column = dwarf_frame_info(frame, &begin, &end, &signal_frame);
            EXPECT_EQ(row->return_column, static_cast<unsigned>(column));
            EXPECT_EQ(row->signal_frame, signal_frame);
            EXPECT_TRUE(at >= row->begin && at < row->end);
            EXPECT_TRUE(row->begin >= begin && row->end <= end) << std::hex << at;
            EXPECT_TRUE(frame_address_agrees(row->frame_address, frame)) << std::hex << at;
            for (int number = 0; number <= 16; ++number) {
                EXPECT_TRUE(agrees(row->registers[static_cast<unsigned>(number)],
                                   register_by_libdw(frame, number)))
                    << std::hex << at << " register " << std::dec << number;
            }
            std::free(frame);
            ++rows;
            if (HasFailure()) return;
            at = row->end;
        }
    }
    EXPECT_GT(rows, tables.entries.size());
    dwarf_cfi_end(cfi);
}

INSTANTIATE_TEST_SUITE_P(libraries, every_entry,
                         testing::Values("/libc.so", "/libelf", "/ld-linux"));

frame_entry entry_with(std::span<const std::uint8_t> program) {
    return {0x1000, 0x2000, 0, program};
}

TEST(frame_row, restoring_what_was_never_remembered_is_refused) {
    const std::uint8_t program[] = {DW_CFA_restore_state};
    EXPECT_FALSE(row_at({}, entry_with(program), 0x1800));
}

TEST(frame_row, remembering_without_end_is_refused) {
    const std::vector<std::uint8_t> program(100'000, DW_CFA_remember_state);
    EXPECT_FALSE(row_at({}, entry_with(program), 0x1800));
}

TEST(frame_row, a_program_that_breaks_off_is_refused) {
    const std::uint8_t program[] = {DW_CFA_def_cfa, 7, 0x80};
    EXPECT_FALSE(row_at({}, entry_with(program), 0x1800));
}

TEST(frame_row, registers_beyond_those_followed_are_passed_over) {
    const std::uint8_t program[] = {DW_CFA_offset_extended, 0xff, 0xff, 0xff, 0xff, 0x0f, 1,
                                    DW_CFA_def_cfa,         7,    16};
    const auto row = row_at({}, entry_with(program), 0x1800);
    ASSERT_TRUE(row);
    EXPECT_EQ(row->frame_address.offset, 16);
    EXPECT_EQ(row->changed, 0u);
}

}  // namespace
}  // namespace nmircu::command
