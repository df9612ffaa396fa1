// SPDX-License-Identifier: MIT
//
// Property: every thread of the program is interrupted, whoever created it, whatever mask it starts
// with, from its first moments to its last; and a fork leaves the parent's agent alone and the
// child without one.
#include <set>

#include <ring/reader.hpp>

#include "agent/program.hpp"

namespace {

using namespace test;
using nmircu::ring::reader;

class threads : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        const message reply = target.ask({"load", FAULTLESS, rate, GetParam()});
        if (code_of(reply) == static_cast<unsigned>(failure::source_failed)) {
            GTEST_SKIP() << reply[2];
        }
        ASSERT_THAT(target.ask({"unload", "faultless"}), is_ok());
    }
    // Loads the witness and opens the rings.
    void start() {
        ASSERT_THAT(target.ask({"load", WITNESS, rate, GetParam(), "tag=1"}), is_ok());
        peer one = target.connect();
        EXPECT_THAT(one.ask({"rings"}), is_ok());
        std::string why;
        rings = reader::open(one.take_file().get(), why);
        ASSERT_TRUE(rings) << why;
    }
    std::set<std::uint32_t> interrupted() {
        rings->poll([&](const nmircu::ring::record& found) {
            std::uint32_t words[2];
            std::memcpy(words, found.payload.data(), sizeof words);
            seen.insert(words[0]);
        });
        return seen;
    }
    // Until that many threads have been interrupted.
    [[nodiscard]] bool wait_for_threads(std::size_t count) {
        return target.wait_for([&](const status_lines&) { return interrupted().size() >= count; });
    }

    const char* rate = "1000";
    program target;
    std::unique_ptr<reader> rings;
    std::set<std::uint32_t> seen;
};

TEST_P(threads, those_that_were_there_before_and_those_that_come_later) {
    target.tell("burn 3");
    start();
    EXPECT_TRUE(wait_for_threads(3));
    target.tell("burn 3");
    EXPECT_TRUE(wait_for_threads(6));
}

TEST_P(threads, those_that_block_every_signal_before_they_start) {
    target.tell("burn_blocked");
    start();
    EXPECT_TRUE(wait_for_threads(1));
    target.tell("burn_blocked");
    EXPECT_TRUE(wait_for_threads(2));
    EXPECT_EQ(target.status().number("source", 3), 0u);  // nobody is unreachable
}

TEST_P(threads, those_that_block_every_signal_while_they_run) {
    start();
    EXPECT_EQ(target.tell("burn_blocking"), "burning");
    EXPECT_TRUE(wait_for_threads(1));
    EXPECT_EQ(target.status().number("source", 3), 0u);
}

TEST_P(threads, those_that_hold_every_signal_as_system_v_and_bsd_do) {
    start();
    EXPECT_EQ(target.tell("burn_holding"), "burning");
    EXPECT_TRUE(wait_for_threads(1));
    EXPECT_EQ(target.status().number("source", 3), 0u);
}

TEST_P(threads, of_a_program_that_uses_our_signals_as_system_v_does) {
    target.tell("burn 1");
    start();
    ASSERT_TRUE(wait_for_threads(1));
    EXPECT_EQ(target.tell("own_signals_sysv"), "own 6");
    target.tell("burn 1");
    EXPECT_TRUE(wait_for_threads(2));
}

TEST_P(threads, of_a_program_that_waits_for_every_signal) {
    // Before a source runs, whose signals would merge with those that are waited for.
    EXPECT_EQ(target.tell("wait_for_signals"), "own 2");
    target.tell("burn 1");
    start();
    EXPECT_TRUE(wait_for_threads(1));
}

TEST_P(threads, of_a_program_that_takes_our_signals_for_itself) {
    target.tell("burn 1");
    start();
    ASSERT_TRUE(wait_for_threads(1));
    EXPECT_EQ(target.tell("own_signals"), "own 3");
    target.tell("burn 1");
    EXPECT_TRUE(wait_for_threads(2));
    EXPECT_EQ(target.tell("own_signals_seen"), "3");  // none of ours
}

TEST_P(threads, those_that_a_library_creates) {
    start();
    EXPECT_EQ(target.tell(std::string("third_party ") + THIRD_PARTY), "burning");
    EXPECT_TRUE(wait_for_threads(1));
}

TEST_P(threads, short_lives_from_beginning_to_end) {
    // Threads begin, are interrupted and end, several thousand times, while handlers are exchanged.
    rate = "20000";
    start();
    for (int round = 0; round < 10; ++round) {
        EXPECT_EQ(target.tell("churn 300"), "churned");
        ASSERT_THAT(target.ask({"swap", "witness", WITNESS, "tag=2"}), is_ok());
        interrupted();
    }
    // Far more than the few that any rescan could have found alive.
    EXPECT_GT(seen.size(), std::string(GetParam()) == "perf" ? 100u : 3u);
    EXPECT_THAT(target.ask({"unload", "witness"}), is_ok());
    EXPECT_EQ(target.tell("alive"), "yes");
}

TEST_P(threads, the_agents_own_are_not) {
    target.tell("burn 1");
    start();
    ASSERT_TRUE(wait_for_threads(1));
    const status_lines now = target.status();
    EXPECT_EQ(now.number("source", 2), 2u);  // main and the one that burns
    EXPECT_EQ(now.number("source", 3), 0u);
    for (const std::uint32_t thread : interrupted()) {
        std::ifstream file("/proc/" + std::to_string(target.pid()) + "/task/" +
                           std::to_string(thread) + "/comm");
        std::string name;
        std::getline(file, name);
        EXPECT_EQ(name.find("nmi-"), std::string::npos) << name;
    }
}

TEST_P(threads, a_forked_child_has_no_agent_and_disturbs_none) {
    target.tell("burn 1");
    start();
    ASSERT_TRUE(wait_for_threads(1));
    EXPECT_EQ(target.tell("fork"), "7");  // the child ended by exit, with threads before
    EXPECT_TRUE(std::filesystem::exists(target.socket_path()));
    EXPECT_TRUE(target.wait_for_calls("witness"));

    // A child that stays holds nothing of ours, is not interrupted, and outlives the parent's
    // agent.
    const std::string child = target.tell("fork_and_keep");
    EXPECT_TRUE(target.wait_for_calls("witness"));
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + child + "/fd"))
        files.push_back(std::filesystem::read_symlink(entry));
    EXPECT_THAT(files, Not(testing::Contains(testing::HasSubstr("socket"))));
    EXPECT_THAT(files, Not(testing::Contains(testing::HasSubstr("nmi-rings"))));
    EXPECT_THAT(target.ask({"unload", "witness"}), is_ok());
    EXPECT_FALSE(target.maps("witness.so"));
    kill(std::atoi(child.c_str()), SIGKILL);
}

TEST_P(threads, forks_while_modules_come_and_go) {
    target.tell("burn 1");
    start();
    target.order("fork_many 60");
    peer one = target.connect();
    for (int round = 0; round < 60; ++round)
        ASSERT_THAT(one.ask({"swap", "witness", WITNESS, "tag=2"}), is_ok());
    EXPECT_EQ(target.answer(), "60");
    EXPECT_TRUE(target.wait_for_calls("witness"));
}

INSTANTIATE_TEST_SUITE_P(agent, threads, testing::Values("perf", "timer"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
