// SPDX-License-Identifier: MIT
//
// Property: the reclaimer thread exists only once something was retired, has its name, takes no
// signal of the program's, and does not wake while there is nothing to do.
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

#include "../support/in_child.hpp"

namespace {

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// The id of the thread with that name, 0 if there is none.
int thread_named(const std::string& name) {
    DIR* const folder = opendir("/proc/self/task");
    int found = 0;
    while (const dirent* entry = readdir(folder)) {
        if (read_file(std::string("/proc/self/task/") + entry->d_name + "/comm") == name + "\n") {
            found = std::atoi(entry->d_name);
        }
    }
    closedir(folder);
    return found;
}

std::string status_of(int thread, const std::string& key) {
    const std::string text = read_file("/proc/self/task/" + std::to_string(thread) + "/status");
    const auto at = text.find(key + ":\t");
    if (at == std::string::npos) return {};
    const auto from = at + key.size() + 2;
    return text.substr(from, text.find('\n', from) - from);
}

constexpr const char* name = "nmircu-reclaim";

// Each in a process of its own: the thread, once started, stays.
TEST(reclaimer, is_not_there_before_anything_is_retired) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  nmircu::rcu_synchronize();
                  { std::scoped_lock section(nmircu::rcu_default_domain()); }
                  nmircu::rcu_barrier();
                  return thread_named(name) == 0 ? 0 : 1;
              }),
              0);
}

TEST(reclaimer, comes_with_the_first_retirement) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  nmircu::rcu_retire(new int);
                  while (thread_named(name) == 0)
                      std::this_thread::yield();
                  return 0;
              }),
              0);
}

TEST(reclaimer, comes_with_the_interrupt_whose_handlers_may_retire) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  if (nmircu::nmi_attach() != 0) return 1;
                  while (thread_named(name) == 0)
                      std::this_thread::yield();
                  return 0;
              }),
              0);
}

TEST(reclaimer, is_started_by_a_thread_after_a_handler_has_retired) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  static nmircu::rcu_head head;
                  static std::atomic<bool> called{false};
                  nmircu::nmi_enter();
                  nmircu::rcu_call(head, [](nmircu::rcu_head*) { called.store(true); });
                  nmircu::nmi_exit();
                  if (thread_named(name) != 0) return 1;
                  nmircu::rcu_synchronize();
                  while (!called.load())
                      std::this_thread::yield();
                  return thread_named(name) != 0 ? 0 : 2;
              }),
              0);
}

TEST(reclaimer, takes_no_signal_of_the_programs) {
    ASSERT_TRUE(nmircu::rcu_start_reclaimer());
    int thread = 0;
    while ((thread = thread_named(name)) == 0)
        std::this_thread::yield();
    const auto blocked = std::stoull(status_of(thread, "SigBlk"), nullptr, 16);
    for (int signal : {SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGCHLD, SIGPROF, SIGRTMIN + 3}) {
        EXPECT_TRUE(blocked >> (signal - 1) & 1) << signal;
    }
}

TEST(reclaimer, sleeps_without_waking_while_there_is_nothing_to_do) {
    ASSERT_TRUE(nmircu::rcu_start_reclaimer());
    nmircu::rcu_barrier();
    int thread = 0;
    while ((thread = thread_named(name)) == 0)
        std::this_thread::yield();
    // It is asleep for good once it has not run for a while, many times the time it gathers for.
    std::string before, after;
    do {
        before = status_of(thread, "voluntary_ctxt_switches");
        usleep(200'000);
        after = status_of(thread, "voluntary_ctxt_switches");
    } while (before != after);
    // And it wakes for the next one.
    std::atomic<bool> called{false};
    nmircu::rcu_retire(&called, [](std::atomic<bool>* flag) { flag->store(true); });
    while (!called.load())
        std::this_thread::yield();
    while (status_of(thread, "voluntary_ctxt_switches") == after)
        std::this_thread::yield();
}

}  // namespace
