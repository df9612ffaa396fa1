// SPDX-License-Identifier: MIT
//
// Property: a dump as text has each stack once, with all of its threads, the most common first, and
// everybody who did not answer with the reason.
#include <nmi/backtrace/dump.hpp>

#include <gtest/gtest.h>

namespace {

using namespace nmircu::command;

dumped_thread waiting(int thread, const std::string& function) {
    dumped_thread one;
    one.state = {thread, "worker", 'S', "futex_do_wait", "futex", false};
    one.answered = true;
    one.held_ns = 2500;
    one.frames = {{0x10, {"futex_wait", "libc.so.6"}}, {0x20, {function, "server"}}};
    return one;
}

TEST(BacktraceText, EqualStacksAreOneGroup) {
    process_dump dump{42, "server", false, {}, 0};
    dump.threads = {waiting(1, "alone"), waiting(2, "many"), waiting(3, "many")};
    dump.threads[2].state.name = "other";
    dumped_thread silent;
    silent.state = {4, "deaf", 'D', "", "read", false};
    silent.reason = "it is in uninterruptible sleep";
    dump.threads.push_back(silent);
    EXPECT_EQ(dump_text(dump),
              "server (42): 4 threads, 3 answered; each was held up for 2.50 µs, at most 2.50 µs\n"
              "\n"
              "2 threads:\n"
              "  other, sleeping in futex (futex_do_wait): 3\n"
              "  worker, sleeping in futex (futex_do_wait): 2\n"
              "    #0  futex_wait  (libc.so.6)\n"
              "    #1  many  (server)\n"
              "\n"
              "1 thread:\n"
              "  worker, sleeping in futex (futex_do_wait): 1\n"
              "    #0  futex_wait  (libc.so.6)\n"
              "    #1  alone  (server)\n"
              "\n"
              "1 thread did not answer:\n"
              "  deaf, in uninterruptible sleep in read: it is in uninterruptible sleep: 4\n");
}

// Jitted code is called what the program wrote into a file.
TEST(BacktraceText, NamesDoNotReachTheTerminalAsTheyAre) {
    process_dump dump{42, "server", false, {waiting(1, "\033]0;title\007\n#1  fake")}, 0};
    dump.threads[0].frames[1].name.object = "lib\033[2J.so";
    const std::string text = dump_text(dump);
    EXPECT_NE(text.find("    #1   ]0;title  #1  fake  (lib [2J.so)\n"), std::string::npos) << text;
    EXPECT_EQ(text.find_first_of("\033\007"), std::string::npos);
}

TEST(BacktraceText, JsonHasEveryThread) {
    process_dump dump{42, "server", true, {waiting(1, "bad\xff name")}, 7};
    const std::string text = dump_json(dump);
    EXPECT_NE(text.find("\"attached_for_this\": true"), std::string::npos);
    EXPECT_NE(text.find("\"malformed_answers\": 7"), std::string::npos);
    EXPECT_NE(text.find("\"thread_id\": 1"), std::string::npos);
    EXPECT_NE(text.find("futex_wait"), std::string::npos);
}

}  // namespace
