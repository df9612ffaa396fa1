// SPDX-License-Identifier: MIT
//
// Property: each line of a status reply reaches its place in the value, the table and the JSON, and
// a line that makes no sense takes nothing else with it.
#include <nmi/target/status_reply.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <nmi/complaint.hpp>
#include <nmi/output/status_json.hpp>
#include <nmi/output/table.hpp>

namespace nmircu::command {
namespace {

const agent::message example{
    "agent\t1\t4711",
    "source\ttimer\t1000\t4\t1\t7\tperf: not permitted",
    "unreachable\t4712\tblocks\tx",
    "cpus\t0\t2\t3",
    "nmi\t1000\t0\t2345",
    "handler\tprofiler\t4\t/lib/profiler.so\t3400\t3300\t200\t240000\t45000\t1000\t0\t2300",
    "retired\told\t1\t/tmp/o.so\t5\t5\t0\t0\t0\t5\t0\t0",
    "unknown\t3",
    "forwarded\t2",
    "lost\t1\t0\t4",
    "grace\t9\t2300\t18100",
};

TEST(status_reply, every_line_is_understood) {
    const program_status status = read_status(example);
    EXPECT_EQ(status.version, "1");
    EXPECT_EQ(status.pid, 4711u);
    EXPECT_EQ(status.source.kind, "timer");
    EXPECT_EQ(status.source.rate_hz, 1000u);
    EXPECT_EQ(status.source.threads, 4u);
    EXPECT_EQ(status.source.unreachable, 1u);
    EXPECT_EQ(status.source.overruns, 7u);
    EXPECT_EQ(status.source.reason, "perf: not permitted");
    ASSERT_EQ(status.unreachable.size(), 1u);
    EXPECT_EQ(status.unreachable[0].tid, 4712u);
    EXPECT_EQ(status.unreachable[0].reason, "blocks");
    EXPECT_EQ(status.cpus, (counts{0, 2, 3}));
    EXPECT_EQ(sum(status.nmis), 3345u);
    ASSERT_EQ(status.handlers.size(), 2u);
    EXPECT_EQ(status.handlers[0].path, "/lib/profiler.so");
    EXPECT_EQ(status.handlers[0].generation, 4u);
    EXPECT_EQ(status.handlers[0].calls, 3400u);
    EXPECT_EQ(status.handlers[0].handled, 3300u);
    EXPECT_DOUBLE_EQ(status.handlers[0].mean_ns(), 1200);
    EXPECT_EQ(status.handlers[0].handled_by_cpu, (counts{1000, 0, 2300}));
    EXPECT_FALSE(status.handlers[0].retired);
    EXPECT_TRUE(status.handlers[1].retired);
    EXPECT_DOUBLE_EQ(status.handlers[1].mean_ns(), 0);
    EXPECT_EQ(status.unknown, 3u);
    EXPECT_EQ(status.forwarded, 2u);
    EXPECT_EQ(status.lost, (counts{1, 0, 4}));
    EXPECT_EQ(status.grace_periods, 9u);
    EXPECT_EQ(status.grace_median_ns, 2300u);
    EXPECT_EQ(status.grace_longest_ns, 18100u);
}

TEST(status_reply, nonsense_takes_nothing_with_it) {
    agent::message lines = example;
    lines.insert(lines.begin() + 2, {"", "\t\t", "handler", "whatever\tx", "unknown\tmany"});
    const program_status status = read_status(lines);
    EXPECT_EQ(status.handlers.size(), 3u);
    EXPECT_EQ(status.unknown, 3u);
    interrupt_table(status);
    interrupt_table(read_status({}));
}

TEST(status_reply, control_characters_do_not_reach_the_terminal) {
    const program_status status = read_status({"handler\ta\033[2Jb\t1\tp\n\t1"});
    EXPECT_EQ(status.handlers[0].name, "a [2Jb");
    EXPECT_EQ(status.handlers[0].path, "p ");
    // C1, the line separator, what turns the direction of writing, and what is no UTF-8.
    EXPECT_EQ(one_line("a\xc2\x9b"
                       "2Jb\xe2\x80\xa8"
                       "c\xe2\x80\xae"
                       "d\x9b\xff\xc3"),
              "a 2Jb c d???");
    EXPECT_EQ(one_line("µs…"), "µs…");
}

TEST(table, has_a_row_per_handler_and_a_column_per_busy_cpu) {
    const std::string table = interrupt_table(read_status(example));
    EXPECT_EQ(table,
              "                      CPU0       CPU3       NMIs       mean    longest\n"
              "  profiler           1,000      2,300      3,300    1.20 µs    45.0 µs  swapped 3×\n"
              "  old                    5          0          5          -          -  unloaded\n"
              "  all NMIs           1,000      2,345      3,345\n"
              "  unknown NMIs                                 3\n"
              "  forwarded                                    2\n"
              "  lost records           1          4          5\n"
              "  overruns                                     7\n"
              "  grace periods                                9    2.30 µs    18.1 µs  median, "
              "longest\n");
}

TEST(table, says_how_much_came_since) {
    program_status later = read_status(example);
    const program_status before = later;
    later.nmis[0] += 500;
    later.handlers[0].handled += 250;
    const std::string table = interrupt_table(later, {&before, 0.5});
    EXPECT_THAT(table, testing::HasSubstr("NMIs   a second       mean"));
    EXPECT_THAT(table, testing::HasSubstr("3,550        500    1.20"));
    EXPECT_THAT(table, testing::HasSubstr("3,845      1,000\n"));
    EXPECT_THAT(table,
                testing::HasSubstr("grace periods                                9          0"));
}

TEST(table, lists_who_is_not_reached) {
    program_status status = read_status(example);
    status.unreachable[0].name = "worker";
    status.source.unreachable = 3;
    EXPECT_EQ(unreachable_table(status),
              "not reachable\n     4712  worker  blocks\n  and 2 more\n");
    EXPECT_EQ(unreachable_table({}), "");
}

TEST(table, a_source_is_one_line) {
    EXPECT_EQ(
        source_text(read_status(example).source),
        "source: timer at 1,000 Hz of CPU time per thread, 4 threads covered, 1 not reachable "
        "(perf: not permitted)");
    EXPECT_EQ(source_text({}), "source: none is running");
}

TEST(status_json, holds_the_same_figures) {
    const auto document = nlohmann::json::parse(status_json(read_status(example)));
    EXPECT_EQ(document["pid"], 4711);
    EXPECT_EQ(document["source"]["reason"], "perf: not permitted");
    EXPECT_EQ(document["handlers"][0]["mean_ns"], 1200.0);
    EXPECT_EQ(document["handlers"][0]["loaded"], true);
    EXPECT_EQ(document["handlers"][1]["loaded"], false);
    EXPECT_EQ(document["grace_periods"]["longest_ns"], 18100);
    EXPECT_EQ(document["lost_records_by_cpu"][2], 4);
}

TEST(status_json, survives_bytes_that_are_no_utf8) {
    EXPECT_NO_THROW(status_json(read_status({"handler\t\xff\xfe\t1\t\xc3"})));
}

}  // namespace
}  // namespace nmircu::command
