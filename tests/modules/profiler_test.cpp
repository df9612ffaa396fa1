// SPDX-License-Identifier: MIT
//
// Property: the profiler's samples say where a thread was and who had called it there, no deeper
// than asked for and with the cut marked; and it refuses every argument it does not know.
#include <nmircu/module.h>

#include <algorithm>
#include <cstddef>

#include <ring/reader.hpp>

#include "agent/program.hpp"

namespace {

using namespace test;
using nmircu::ring::reader;

// struct nmi_sample up to its addresses.
struct sample_head {
    std::uint64_t time_ns;
    std::uint32_t thread_id;
    std::uint32_t cpu;
    std::uint32_t address_count;
    std::uint32_t flags;
};
static_assert(sizeof(sample_head) == offsetof(nmi_sample, addresses));

// Its flags without what was merged.
std::uint32_t kind_of(const sample_head& head) {
    return head.flags & 0xffff;
}

struct sample {
    sample_head head;
    std::vector<std::uint64_t> addresses;
};

class profiler : public testing::Test {
  protected:
    message load(message arguments) {
        message request{"load", PROFILER, "1000", "auto"};
        request.insert(request.end(), arguments.begin(), arguments.end());
        return target.ask(request);
    }
    void open_rings() {
        peer one = target.connect();
        ASSERT_THAT(one.ask({"rings"}), is_ok());
        std::string why;
        rings = reader::open(one.take_file().get(), why);
        ASSERT_TRUE(rings) << why;
    }
    std::vector<sample> read_samples() {
        std::vector<sample> samples;
        rings->poll([&](const nmircu::ring::record& found) {
            if (found.kind == NMI_RECORD_THREAD_NAME) return;
            ASSERT_EQ(found.kind, unsigned(NMI_RECORD_SAMPLE));
            sample one{};
            ASSERT_GE(found.payload.size(), sizeof one.head);
            std::memcpy(&one.head, found.payload.data(), sizeof one.head);
            ASSERT_GE(one.head.address_count, 1u);
            ASSERT_GE(found.payload.size(), sizeof one.head + 8 * one.head.address_count);
            one.addresses.resize(one.head.address_count);
            std::memcpy(one.addresses.data(), found.payload.data() + sizeof one.head,
                        8 * one.head.address_count);
            samples.push_back(one);
        });
        return samples;
    }
    // `more` samples or more, by the thread that burns.
    std::vector<sample> take_samples(std::uint64_t more = 30) {
        read_samples();
        EXPECT_TRUE(target.wait_for_calls("profiler", more));
        return read_samples();
    }

    program target;
    std::unique_ptr<reader> rings;
};

struct extent {
    std::uint64_t begin, end;
    bool contains(std::uint64_t address) const { return address >= begin && address < end; }
};

TEST_F(profiler, says_where_and_from_where) {
    std::istringstream words(target.tell("where"));
    extent burn_some{}, recurse{};
    words >> burn_some.begin >> burn_some.end >> recurse.begin >> recurse.end;
    ASSERT_LT(burn_some.begin, burn_some.end);
    ASSERT_LT(recurse.begin, recurse.end);
    ASSERT_EQ(target.tell("burn_deep 10"), "burning");
    ASSERT_THAT(load({}), is_ok());
    open_rings();
    const std::vector<sample> samples = take_samples(100);
    ASSERT_GE(samples.size(), 100u);
    std::size_t whole = 0;
    std::uint64_t last_ns = 0;
    for (const sample& one : samples) {
        EXPECT_GE(one.head.time_ns, last_ns);
        EXPECT_EQ(kind_of(one.head), 0u);
        EXPECT_LT(one.head.cpu, 1024u);
        const bool burning = burn_some.contains(one.addresses[0]);
        const auto callers = std::count_if(one.addresses.begin(), one.addresses.end(),
                                           [&](std::uint64_t a) { return recurse.contains(a); });
        // Interrupted in a prologue a function hides its caller; in the loop it does not.
        if (burning && callers == 11) ++whole;
    }
    EXPECT_GE(whole, samples.size() / 2);
}

TEST_F(profiler, goes_no_deeper_than_asked_and_marks_the_cut) {
    ASSERT_EQ(target.tell("burn_deep 400"), "burning");
    ASSERT_THAT(load({"depth=5"}), is_ok());
    open_rings();
    const auto deepest = [&] {
        sample deep{};
        for (const sample& one : take_samples()) {
            if (one.head.address_count > deep.head.address_count) deep = one;
            if (kind_of(one.head) == 0) continue;
            EXPECT_EQ(kind_of(one.head), NMI_SAMPLE_TRUNCATED);
        }
        return deep.head;
    };
    struct {
        const char* argument;
        std::uint32_t addresses;
    } const cut[] = {{"depth=5", 5}, {"depth=1", 1}, {"depth=128", 128}, {"depth=129", 129}};
    for (const auto& one : cut) {
        ASSERT_THAT(target.ask({"swap", "profiler", PROFILER, one.argument}), is_ok());
        const sample_head head = deepest();
        EXPECT_EQ(head.address_count, one.addresses) << one.argument;
        EXPECT_EQ(kind_of(head), NMI_SAMPLE_TRUNCATED) << one.argument;
    }
    ASSERT_THAT(target.ask({"swap", "profiler", PROFILER, "depth=1024"}), is_ok());
    const sample_head head = deepest();
    EXPECT_GE(head.address_count, 401u);
    EXPECT_LT(head.address_count, 450u);
    EXPECT_EQ(kind_of(head), 0u);
}

TEST_F(profiler, refuses_what_it_does_not_know) {
    for (const char* value : {"0", "1025", "99999999999999999999", "-1", "12x", "x", "", " 5"}) {
        EXPECT_THAT(load({std::string("depth=") + value}),
                    is_refused(failure::module_refused,
                               std::string("depth is a number from 1 to 1024, not ") + value))
            << value;
    }
    EXPECT_THAT(load({"depth=5", "colour=red"}),
                is_refused(failure::module_refused,
                           "the keys are mode, depth, stack and idle, not colour"));
    EXPECT_THAT(load({"mode=cpus"}),
                is_refused(failure::module_refused, "mode is cpu, wall or offcpu, not cpus"));
    EXPECT_THAT(load({"stack=32769"}), is_refused(failure::module_refused,
                                                  "stack is a number from 0 to 32768, not 32769"));
    EXPECT_THAT(load({"idle=2"}), is_refused(failure::module_refused, "idle is 0 or 1, not 2"));
    EXPECT_THAT(load({std::string(3000, 'k') + "=v"}),
                is_refused(failure::module_refused, "the keys are mode"));
    EXPECT_FALSE(target.maps("profiler.so"));
}

}  // namespace
