// SPDX-License-Identifier: MIT
//
// Property: at every single instruction of a program without frame pointers (libc, linkage tables,
// the dynamic linker and the vdso included) the unwound stack is exactly that of the calls that
// have been made and not returned from; a walk ends and says how, whatever it is given.
#include <nmi/unwind/slice_unwinder.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <nmi/symbols/call_site.hpp>
#include <nmi/symbols/symbolizer.hpp>
#include <nmi/unwind/registers.hpp>

#include "stopped_program.hpp"

namespace nmircu::command {
namespace {

using test::stopped_program;
namespace fs = std::filesystem;
constexpr unsigned stack_register = 7;
constexpr unsigned instruction_register = 16;

struct unwinding_of {
    explicit unwinding_of(stopped_program& target) : program(target), map(target.pid()) {
        map.refresh();
    }
    walk_end walk(std::size_t bytes = 65536) {
        slice = program.take(bytes);
        if (map.find(slice.registers[instruction_register]).object == code_place::no_object)
            map.refresh();
        addresses.clear();
        return unwinder.unwind(slice, map, addresses);
    }
    std::vector<std::string> names() {
        symbolizer symbols(map.objects());
        std::vector<std::string> found;
        for (std::size_t i = 0; i < addresses.size(); ++i)
            found.push_back(symbols.name(map.find(addresses[i] - (i > 0 ? 1 : 0))).function);
        return found;
    }
    std::string text() {
        std::string all;
        for (const std::string& name : names())
            all += name + " < ";
        return all;
    }
    stopped_program& program;
    memory_map map;
    slice_unwinder unwinder;
    stack_slice slice{};
    std::vector<std::uint64_t> addresses;
};

// The return addresses that are on the stack, from the call and return instructions that were run.
class shadow_stack {
  public:
    explicit shadow_stack(std::vector<std::uint64_t> outer) : returns_(std::move(outer)) {}

    // `before`, `after`: the step's registers; `top`: the word on the stack after it.
    void step(std::span<const std::uint64_t> before, std::span<const std::uint64_t> after,
              std::uint64_t code, std::uint64_t top) {
        const auto bytes = reinterpret_cast<const std::uint8_t*>(&code);
        const std::size_t prefixes = bytes[0] == 0xf2 || bytes[0] == 0xf3 ? 1 : 0;
        const std::uint8_t opcode = bytes[prefixes];
        const bool pushed = after[stack_register] == before[stack_register] - 8;
        const std::uint64_t length = top - before[instruction_register];
        if (pushed && (opcode == 0xe8 || opcode == 0xff || opcode == 0x41) && length >= 2 &&
            length <= 8 && top != after[instruction_register]) {
            returns_.insert(returns_.begin(), top);
        } else if (opcode == 0xc3 || opcode == 0xc2) {
            returns_.erase(returns_.begin());
        }
    }
    [[nodiscard]] const std::vector<std::uint64_t>& returns() const { return returns_; }

  private:
    std::vector<std::uint64_t> returns_;
};

TEST(slice_unwinder, is_exact_at_every_instruction) {
    stopped_program program({UNWIND_STEPS});
    ASSERT_TRUE(program.resume(PTRACE_CONT));  // to the first breakpoint
    ASSERT_EQ(program.signal(), SIGTRAP);
    unwinding_of stack(program);
    ASSERT_EQ(stack.walk(), walk_end::outermost) << stack.text();
    shadow_stack truth({stack.addresses.begin() + 1, stack.addresses.end()});

    std::size_t steps = 0, wrong = 0, deepest = 0;
    std::array<std::uint64_t, 17> before{};
    std::uint64_t code = 0;
    for (;;) {
        std::copy_n(stack.slice.registers.begin(), before.size(), before.begin());
        code = program.word(before[instruction_register]);
        if ((code & 0xff) == 0xcc) break;  // the second breakpoint
        ASSERT_TRUE(program.resume(PTRACE_SINGLESTEP));
        ASSERT_EQ(program.signal(), SIGTRAP);
        const walk_end end = stack.walk();
        truth.step(before, stack.slice.registers, code,
                   stack.slice.read(stack.slice.stack_pointer, 8).value_or(0));
        ++steps;
        deepest = std::max(deepest, stack.addresses.size());
        const std::span found(stack.addresses);
        if (end != walk_end::outermost || !std::ranges::equal(found.subspan(1), truth.returns())) {
            if (++wrong <= 5) {
                ADD_FAILURE() << "step " << steps << ": " << name_of(end) << ": " << stack.text()
                              << fmt::format("; {:x} instead of {:x}", fmt::join(found, " "),
                                             fmt::join(truth.returns(), " "));
            }
        }
    }
    EXPECT_EQ(wrong, 0u) << "of " << steps;
    EXPECT_GT(steps, 5'000u);
    EXPECT_GT(deepest, 14u);
    RecordProperty("steps", static_cast<int>(steps));
}

TEST(slice_unwinder, goes_through_signal_frames_to_the_interrupted_instruction) {
    stopped_program program({UNWIND_STEPS});
    ASSERT_TRUE(program.resume(PTRACE_CONT));
    unwinding_of stack(program);
    unsigned signals = 0;
    for (unsigned step = 0;; ++step) {
        ASSERT_EQ(stack.walk(), walk_end::outermost) << stack.text();
        const std::uint64_t interrupted = stack.slice.registers[instruction_register];
        if (step > 0 && (program.word(interrupted) & 0xff) == 0xcc) break;
        if (step % 97 == 5) {
            std::vector<std::uint64_t> truth = stack.addresses;
            ++truth[0];  // as if it were a return address
            ASSERT_TRUE(program.resume(PTRACE_CONT, SIGUSR1));
            ASSERT_EQ(program.signal(), SIGTRAP);  // in the handler
            ASSERT_EQ(stack.walk(), walk_end::outermost) << stack.text();
            ASSERT_GT(stack.addresses.size(), truth.size());
            EXPECT_EQ(stack.addresses.size(), truth.size() + 2);  // handler, restorer
            EXPECT_TRUE(std::ranges::equal(std::span(stack.addresses).last(truth.size()), truth))
                << stack.text();
            while (program.take(0).registers[instruction_register] != interrupted)
                ASSERT_TRUE(program.resume(PTRACE_SINGLESTEP));
            ++signals;
        }
        ASSERT_TRUE(program.resume(PTRACE_SINGLESTEP));
    }
    EXPECT_GT(signals, 40u);
}

TEST(slice_unwinder, says_when_the_copy_of_the_stack_was_too_short) {
    stopped_program program({UNWIND_STEPS});
    ASSERT_TRUE(program.resume(PTRACE_CONT));
    unwinding_of stack(program);
    for (unsigned step = 0; step < 300; ++step)
        ASSERT_TRUE(program.resume(PTRACE_SINGLESTEP));
    ASSERT_EQ(stack.walk(), walk_end::outermost);
    const std::vector<std::uint64_t> whole = stack.addresses;
    for (const std::size_t bytes : {0u, 8u, 40u, 104u}) {
        EXPECT_EQ(stack.walk(bytes), walk_end::beyond_slice) << bytes;
        ASSERT_LT(stack.addresses.size(), whole.size());
        EXPECT_TRUE(std::equal(stack.addresses.begin(), stack.addresses.end(), whole.begin()));
    }
    EXPECT_EQ(stack.unwinder.ended(walk_end::beyond_slice), 4u);
    EXPECT_EQ(stack.unwinder.failures(), "");
}

TEST(slice_unwinder, a_program_it_has_never_seen_is_unwound_wherever_it_stands) {
    const std::string folder = testing::TempDir();
    const std::string path = folder + "/nmi-unwind-" + std::to_string(getpid());
    {
        std::mt19937 random(1);
        std::ofstream file(path, std::ios::binary);
        for (int i = 0; i < 3'000'000; ++i)
            file.put("compressible"[random() % 12]);
    }
    stopped_program program({"xz", "-9", "-T1", "-k", "-f", path.c_str()});
    unwinding_of stack(program);
    unsigned complete = 0, samples = 0, deepest = 0;
    std::string last;
    while (samples < 200 && program.run_for(1000)) {
        stack.map.refresh();
        const walk_end end = stack.walk();
        ++samples;
        deepest = std::max(deepest, static_cast<unsigned>(stack.addresses.size()));
        if (end == walk_end::outermost)
            ++complete;
        else
            ADD_FAILURE() << name_of(end) << ": " << stack.text();
        last = stack.text();
    }
    fs::remove(path);
    fs::remove(path + ".xz");
    if (samples < 50) GTEST_SKIP() << "no xz here";
    EXPECT_EQ(complete, samples);
    EXPECT_GT(deepest, 6u);
}

TEST(slice_unwinder, tells_the_recorder_how_it_ended) {
    stopped_program program({UNWIND_STEPS});
    ASSERT_TRUE(program.resume(PTRACE_CONT));
    unwinding_of stack(program);
    stack_unwinder& unwinder = stack.unwinder;
    const auto ends = [&](std::size_t bytes, std::uint64_t instruction) {
        const stack_slice slice = program.take(bytes);
        std::vector<std::uint64_t> registers(slice.registers.begin(), slice.registers.end());
        if (instruction != 0) registers[instruction_register] = instruction;
        stack_sample sample{};
        sample.stack_pointer = slice.stack_pointer;
        sample.registers = registers;
        sample.stack = slice.stack;
        stack.addresses.clear();
        return unwinder.unwind(sample, stack.map, stack.addresses);
    };
    EXPECT_EQ(ends(65536, 0), unwinding::whole);
    EXPECT_EQ(ends(8, 0), unwinding::cut);
    EXPECT_EQ(ends(65536, 0x10), unwinding::failed);
    EXPECT_EQ(stack.addresses, std::vector<std::uint64_t>{0x10});
}

TEST(slice_unwinder, garbage_ends) {
    memory_map map(getpid());
    map.refresh();
    slice_unwinder unwinder;
    std::mt19937_64 random(7);
    std::vector<std::uint64_t> code;
    for (int i = 0; i < 100'000 && code.size() < 64; ++i) {
        const auto base = reinterpret_cast<std::uint64_t>(&std::fopen);
        const std::uint64_t address = base + random() % 0x20000;
        if (map.find(address).object != code_place::no_object) code.push_back(address);
    }
    std::vector<std::uint64_t> stack(512), registers(17), found;
    for (int round = 0; round < 3000; ++round) {
        const std::uint64_t at = 0x7fff00000000;
        for (auto* values : {&stack, &registers}) {
            for (std::uint64_t& value : *values) {
                const std::uint64_t choice = random();
                value = choice % 3 == 0   ? code[choice / 3 % code.size()]
                        : choice % 3 == 1 ? at + choice / 3 % 4096
                                          : choice;
            }
        }
        registers[stack_register] = at;
        found.clear();
        unwinder.unwind(stack_slice{registers, at, std::as_bytes(std::span(stack))}, map, found);
        EXPECT_GE(found.size(), 1u);
        EXPECT_LE(found.size(), slice_unwinder::most_frames);
    }
    EXPECT_NE(unwinder.failures(), "");
    found.clear();
    EXPECT_EQ(unwinder.unwind(stack_slice{{}, 0, {}}, map, found), walk_end::bad_rules);
}

}  // namespace
}  // namespace nmircu::command
