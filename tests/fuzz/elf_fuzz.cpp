// SPDX-License-Identifier: MIT
//
// Property: whatever a program has mapped as an object, it is read: names and unwinding rows are
// found or not, in bounded time, and no row lies outside of what it was asked for. Any rules and
// expressions end. (Source lines are not here: they are libdw's, and asked for only in files that
// are trusted.)
//
// Input: first byte 0: a program of unwinding rules, and a stack; 1: a mangled name; else: an ELF
// file.
#include <nmi/symbols/debug_file.hpp>
#include <nmi/symbols/demangle.hpp>
#include <nmi/symbols/module_file.hpp>
#include <nmi/symbols/symbol_table.hpp>
#include <nmi/unwind/expression.hpp>
#include <nmi/unwind/frame_table.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "input.hpp"

namespace {

using namespace nmircu::command;

void run_rules(fuzz::input in) {
    frame_common common;
    common.code_alignment = in.number<std::uint8_t>();
    common.data_alignment = in.number<std::int8_t>();
    const std::string initial = in.text(in.number<std::uint8_t>());
    const std::string program = in.text(in.number<std::uint8_t>());
    const auto bytes = [](const std::string& text) {
        return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    };
    common.program = bytes(initial);
    const frame_entry entry{0x1000, 0x1100, 0, bytes(program)};
    const std::string stack = in.text(256);
    register_values registers;
    for (unsigned i = 0; i < 17; ++i)
        registers.set(i, 0x7000 + in.number<std::uint8_t>());
    const stack_slice slice{{}, 0x7000, std::as_bytes(std::span(stack))};
    for (std::uint64_t at = entry.begin; at < entry.end; at += 7) {
        const std::optional<frame_row> row = row_at(common, entry, at);
        if (!row) continue;
        fuzz::require(row->begin <= at && at < row->end, "a row covers what was asked for");
        evaluate(row->frame_address.expression, registers, slice, std::nullopt);
        for (const register_rule& rule : row->registers)
            evaluate(rule.expression, registers, slice, 0x7000);
    }
}

void read_names(const elf_file& file, const std::string& path) {
    const std::unique_ptr<elf_file> debug = find_debug_file(file, path, "/nonexistent");
    const symbol_table symbols(file, debug.get());
    for (const function_bounds& bounds : frame_bounds(file)) {
        const auto found = symbols.find(bounds.begin);
        fuzz::require(found && found->begin <= bounds.begin, "a function covers its own begin");
        demangle(found->name);
    }
    wrong_with_module_file(path);
}

void read_rows(std::unique_ptr<elf_file> file) {
    const frame_entries entries = read_frame_entries(*file);
    frame_table table(std::move(file));
    for (const frame_entry& entry : entries.entries) {
        for (const std::uint64_t at : {entry.begin, entry.end - 1}) {
            const frame_row* const row = table.find(at);
            if (row == nullptr) continue;
            fuzz::require(row->begin <= at && at < row->end, "a row covers what was asked for");
        }
    }
}

void read_file(const std::string& bytes) {
    const int file = memfd_create("fuzzed", MFD_CLOEXEC);
    if (write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
        const std::string path = "/proc/self/fd/" + std::to_string(file);
        if (const auto opened = elf_file::open(path)) {
            static_cast<void>(opened->interpreter());
            read_names(*opened, path);
            read_rows(elf_file::open(path));
        }
    }
    close(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    switch (in.number<std::uint8_t>()) {
        case 0:
            run_rules(in);
            break;
        case 1:
            demangle(in.rest());
            break;
        default:
            read_file(in.rest());
    }
    return 0;
}
