// SPDX-License-Identifier: MIT
//
// Property: a program with the agent in it cannot tell: its descriptors, environment, signal masks,
// exit status and children are those it would have without; it starts when the command lets it,
// ends when the command has read everything, and neither hangs when the command is gone.
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/program.hpp"

namespace {

using namespace test;
using ::testing::Contains;
using ::testing::HasSubstr;

TEST(agent_life, says_hello) {
    program target;
    EXPECT_EQ(target.ask({"hello"}),
              (message{"ok", nmircu::agent::version_text, std::to_string(target.pid())}));
}

TEST(agent_life, waits_before_main_until_start) {
    program target(channel::held);
    target.order("alive");
    EXPECT_EQ(target.run_channel().ask({"hello"})[0], "ok");
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "auto"}), is_ok());
    // All of this was before main; only now can it answer.
    EXPECT_FALSE(target.maps("third_party.so"));
    EXPECT_EQ(target.run_channel().ask({"start"}), message{"ok"});
    EXPECT_EQ(target.answer(), "yes");
}

TEST(agent_life, starts_when_the_channel_is_closed) {
    program target(channel::held);
    target.run_channel().hang_up();
    EXPECT_EQ(target.tell("alive"), "yes");
    EXPECT_EQ(target.ask({"hello"})[0], "ok");  // and stays reachable
    target.order("return 5");
    EXPECT_EQ(target.wait(), 5);
}

TEST(agent_life, starts_when_the_channel_talks_nonsense) {
    program target(channel::held);
    target.run_channel().send_bytes(std::string(64, '\xff'));
    EXPECT_EQ(target.tell("alive"), "yes");
}

TEST(agent_life, waits_at_its_exit_until_finish) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "auto", "tag=3"}), is_ok());
    EXPECT_EQ(target.tell("burn 1"), "burning");
    ASSERT_TRUE(target.wait_for_calls("witness"));
    const std::string socket = target.socket_path();
    target.order("return 3");
    EXPECT_EQ(target.run_channel().receive(), message{"exiting"});
    // Still there, with everything counted and mapped; the source is shown as it was.
    const status_lines last(target.run_channel().ask({"status"}));
    EXPECT_GT(last.number("handler", status_lines::calls, "witness"), 0u);
    EXPECT_NE(last.line("source")[0], "none");
    EXPECT_TRUE(target.maps("witness.so"));
    EXPECT_EQ(target.run_channel().ask({"finish"}), message{"ok"});
    EXPECT_EQ(target.wait(), 3);
    EXPECT_FALSE(std::filesystem::exists(socket));
}

TEST(agent_life, ends_when_the_command_dies_at_its_exit) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    target.order("return 4");
    EXPECT_EQ(target.run_channel().receive(), message{"exiting"});
    target.run_channel().hang_up();
    EXPECT_EQ(target.wait(), 4);
}

TEST(agent_life, ends_in_time_when_the_command_says_nothing) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    target.order("return 6");
    EXPECT_EQ(target.run_channel().receive(), message{"exiting"});
    EXPECT_EQ(target.wait(), 6);  // after finish_deadline_ms
}

TEST(agent_life, ends_at_once_without_a_channel) {
    program target;
    EXPECT_THAT(target.ask({"load", WITNESS, "1000", "auto"}), is_ok());
    EXPECT_EQ(target.tell("burn 2"), "burning");
    ASSERT_TRUE(target.wait_for_calls("witness"));
    const std::string socket = target.socket_path();
    EXPECT_TRUE(std::filesystem::exists(socket));
    target.order("exit 8");  // while its threads are being interrupted
    EXPECT_EQ(target.wait(), 8);
    EXPECT_FALSE(std::filesystem::exists(socket));
}

TEST(agent_life, finish_from_a_stranger_is_refused) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_THAT(target.ask({"finish"}), is_refused(failure::malformed, "finish"));
}

TEST(agent_life, the_program_goes_on_when_the_command_dies) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "auto"}), is_ok());
    target.run_channel().hang_up();
    EXPECT_EQ(target.tell("burn 1"), "burning");
    EXPECT_TRUE(target.wait_for_calls("witness"));
    EXPECT_THAT(target.ask({"unload", "witness"}), is_ok());
    target.order("return 2");
    EXPECT_EQ(target.wait(), 2);
}

TEST(agent_life, leaves_descriptors_alone) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_EQ(target.tell("lowest_fd"), "3");
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "auto"}), is_ok());
    target.tell("burn 2");
    ASSERT_TRUE(target.wait_for_calls("witness"));
    EXPECT_EQ(target.tell("lowest_fd"), "3");
    std::vector<std::string> numbers;
    const std::string folder = "/proc/" + std::to_string(target.pid()) + "/fd";
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        numbers.push_back(std::filesystem::read_symlink(entry));
    EXPECT_THAT(numbers, Not(Contains(HasSubstr("nmi"))));
    EXPECT_THAT(numbers, Not(Contains(HasSubstr("perf_event"))));
    EXPECT_THAT(numbers, Not(Contains(HasSubstr("socket"))));
}

TEST(agent_life, survives_a_program_that_closes_everything) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "auto"}), is_ok());
    EXPECT_EQ(target.tell("close_all"), "closed");
    EXPECT_EQ(target.tell("burn 2"), "burning");
    EXPECT_TRUE(target.wait_for_calls("witness"));
    EXPECT_THAT(target.ask({"swap", "witness", WITNESS}), is_ok());
    EXPECT_TRUE(target.wait_for_calls("witness"));
    EXPECT_THAT(target.run_channel().ask({"unload", "witness"}), is_ok());
    target.order("return 0");
    EXPECT_EQ(target.run_channel().receive(), message{"exiting"});
    target.run_channel().send({"finish"});
    EXPECT_EQ(target.wait(), 0);
}

TEST(agent_life, leaves_nothing_in_the_environment) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_EQ(target.tell("own_env"), "clean");
    EXPECT_EQ(target.tell("spawn_env"), "0");
}

TEST(agent_life, keeps_what_else_is_preloaded) {
    program target(channel::none, std::string(" ") + THIRD_PARTY + ":/not/there.so");
    EXPECT_EQ(target.tell("own_env"), std::string("LD_PRELOAD=") + THIRD_PARTY + ":/not/there.so");
}

TEST(agent_life, finds_its_entry_by_the_name_of_its_file) {
    // The dynamic loader replaces $LIB, so the entry is not the path it loaded.
    program target(channel::none, std::string(":/no/such/$LIB/nmi-agent.so:") + THIRD_PARTY);
    EXPECT_EQ(target.tell("own_env"), std::string("LD_PRELOAD=") + THIRD_PARTY);
}

TEST(agent_life, leaves_signal_masks_alone) {
    program target;
    EXPECT_EQ(target.tell("own_mask"), "none");
}

// The masks of the agent's own threads in process `pid`, and how many threads there are beside
// them.
struct thread_masks {
    std::vector<std::string> own;
    int others = 0;
};
thread_masks masks_of_threads(int pid) {
    thread_masks found;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
        std::ifstream name_file(task.path() / "comm");
        std::string name;
        std::getline(name_file, name);
        if (name != "nmi-agent" && name != "nmi-worker") {
            ++found.others;
            continue;
        }
        std::ifstream status(task.path() / "status");
        found.own.emplace_back(std::istreambuf_iterator<char>(status),
                               std::istreambuf_iterator<char>{});
    }
    return found;
}

TEST(agent_life, its_own_threads_block_every_signal) {
    program target;
    // A thread takes its name with its first breath, which may come after the program's main.
    thread_masks found = masks_of_threads(target.pid());
    while (found.own.size() != 2)
        found = masks_of_threads(target.pid());
    for (const std::string& status : found.own) {
        // All but the two that cannot be and the two that are libc's.
        EXPECT_THAT(status, HasSubstr("SigBlk:\tfffffffe7ffbfeff"));
    }
    EXPECT_EQ(found.others, 1);  // the program's
}

TEST(agent_life, an_inherited_number_that_is_no_socket_is_ignored) {
    for (const char* number : {"0", "4711", "-1", "x", "", "99999999999999999999"}) {
        setenv(nmircu::agent::channel_variable, number, 1);
        program target;
        unsetenv(nmircu::agent::channel_variable);
        EXPECT_EQ(target.tell("alive"), "yes") << number;
        EXPECT_EQ(target.ask({"hello"})[0], "ok") << number;
    }
}

TEST(agent_life, exec_hangs_up_and_the_new_program_is_alone) {
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "auto"}), is_ok());
    target.tell("burn 1");
    ASSERT_TRUE(target.wait_for_calls("witness"));
    target.order("exec /bin/cat");
    EXPECT_TRUE(target.run_channel().is_closed());
    EXPECT_EQ(target.tell("miaow"), "miaow");
    EXPECT_FALSE(target.maps("nmi-agent.so"));
    target.close_input();
    EXPECT_EQ(target.wait(), 0);
}

// Where the agent cannot have a table of its own, its descriptors stand out of the way.
class agent_life_shared_table : public testing::Test {
  protected:
    // A look at the threads, fifty times a second, takes low numbers for a moment.
    std::string lowest_fd() {
        std::string lowest;
        for (int tries = 0; tries < 100 && lowest != "3"; ++tries)
            lowest = target.tell("lowest_fd");
        return lowest;
    }

    program target{channel::held, "", [] { refuse_system_call(SYS_close_range); }};
};

TEST_F(agent_life_shared_table, works_all_the_same) {
    EXPECT_EQ(target.run_channel().ask({"start"}), message{"ok"});
    EXPECT_EQ(target.tell("lowest_fd"), "3");
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "auto"}), is_ok());
    target.tell("burn 2");
    EXPECT_TRUE(target.wait_for_calls("witness"));
    EXPECT_THAT(target.ask({"swap", "witness", WITNESS}), is_ok());
    EXPECT_TRUE(target.wait_for_calls("witness"));
    EXPECT_EQ(lowest_fd(), "3");
    EXPECT_EQ(target.tell("fork"), "7");
    EXPECT_THAT(target.ask({"unload", "witness"}), is_ok());
    target.order("return 3");
    EXPECT_EQ(target.run_channel().receive(), message{"exiting"});
    EXPECT_EQ(target.run_channel().ask({"finish"}), message{"ok"});
    EXPECT_EQ(target.wait(), 3);
}

TEST_F(agent_life_shared_table, a_child_holds_nothing_of_ours) {
    target.run_channel().ask({"start"});
    const std::string child = target.tell("fork_and_keep");
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + child + "/fd"))
        files.push_back(std::filesystem::read_symlink(entry));
    EXPECT_THAT(files, Not(Contains(HasSubstr("socket"))));
    EXPECT_THAT(files, Not(Contains(HasSubstr("nmi-rings"))));
    EXPECT_THAT(files, Not(Contains(HasSubstr("signalfd"))));
    kill(std::atoi(child.c_str()), SIGKILL);
}

TEST_F(agent_life_shared_table, a_program_that_closes_everything_goes_on_without_us) {
    target.run_channel().ask({"start"});
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "timer"}), is_ok());
    EXPECT_EQ(target.tell("close_all"), "closed");
    EXPECT_EQ(target.tell("burn 2"), "burning");
    EXPECT_TRUE(target.run_channel().is_closed());
    EXPECT_EQ(target.tell("lowest_fd"), "3");
    target.order("return 9");
    EXPECT_EQ(target.wait(), 9);
}

TEST(agent_life, a_program_may_give_up_its_user) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can";
    program target(channel::held);
    target.run_channel().ask({"start"});
    EXPECT_THAT(target.run_channel().ask({"load", WITNESS, "1000", "timer"}), is_ok());
    EXPECT_EQ(target.tell("set_user 65534"), "set");  // libc makes all threads, ours too, do it
    target.tell("burn 1");
    EXPECT_TRUE(target.wait_for_calls("witness"));
    EXPECT_THAT(target.run_channel().ask({"unload", "witness"}), is_ok());
}

// Leaves a socket where the agent of this process will want its own.
int occupy_own_path() {
    std::string why;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    nmircu::agent::socket_path(getpid(), why).copy(address.sun_path, sizeof address.sun_path - 1);
    unlink(address.sun_path);  // of an earlier process of this number, killed
    const int squatter = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(squatter, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) _exit(126);
    return squatter;
}

TEST(agent_life, a_stale_socket_is_replaced) {
    program target(channel::none, "", [] { close(occupy_own_path()); });
    EXPECT_EQ(target.ask({"hello"})[0], "ok");
}

TEST(agent_life, a_socket_that_somebody_answers_is_not_taken_away) {
    // As of a process with the same number in another PID namespace.
    program target(channel::held, "", [] { listen(occupy_own_path(), 5); });
    EXPECT_EQ(target.run_channel().ask({"hello"})[0], "ok");
    peer elsewhere = target.connect();
    ASSERT_TRUE(elsewhere.connected());
    elsewhere.send({"hello"});
    EXPECT_FALSE(elsewhere.receive(100));
    target.run_channel().ask({"start"});
    target.order("return 0");
    EXPECT_EQ(target.run_channel().receive(), message{"exiting"});
    target.run_channel().send({"finish"});
    EXPECT_EQ(target.wait(), 0);
    EXPECT_TRUE(std::filesystem::exists(target.socket_path()));
}

TEST(agent_life, killed_it_leaves_a_socket_that_nobody_answers) {
    program target;
    kill(target.pid(), SIGKILL);
    EXPECT_EQ(target.wait(), 128 + SIGKILL);
    EXPECT_FALSE(target.connect().connected());
}

TEST(agent_life, a_directory_that_others_may_enter_is_not_used) {
    scratch folder;
    ASSERT_EQ(mkdir((folder / "nmi").c_str(), 0755), 0);
    setenv("XDG_RUNTIME_DIR", (folder / "").c_str(), 1);
    {
        program target;
        EXPECT_EQ(target.tell("alive"), "yes");
        EXPECT_TRUE(std::filesystem::is_empty(folder / "nmi"));
    }
    ASSERT_EQ(chmod((folder / "nmi").c_str(), 0700), 0);
    {
        program target;
        EXPECT_EQ(target.ask({"hello"})[0], "ok");
        EXPECT_FALSE(std::filesystem::is_empty(folder / "nmi"));
    }
    unsetenv("XDG_RUNTIME_DIR");
}

}  // namespace
