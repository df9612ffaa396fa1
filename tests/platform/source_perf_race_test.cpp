// SPDX-License-Identifier: MIT
//
// Property: a thread created while the perf source starts ends up with exactly one event, whether
// its creator had an event by then or not.
//
// This program replaces thread_list.cpp by a listing that creates a thread at a chosen moment.
#include <dirent.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <optional>
#include <vector>

#include "hits.hpp"
#include "platform/linux/thread_list.hpp"

namespace {

// Called by the thread that starts the source, as the n-th listing begins or ends (n from 1).
std::function<void(int)> before_listing;
std::function<void(int)> after_listing;
int listings = 0;

}  // namespace

namespace nmircu::platform {

std::vector<int> list_threads() {
    ++listings;
    if (before_listing) before_listing(listings);
    std::vector<int> threads;
    DIR* directory = ::opendir("/proc/self/task");
    while (const dirent* entry = ::readdir(directory)) {
        if (const int id = std::atoi(entry->d_name)) threads.push_back(id);
    }
    ::closedir(directory);
    std::sort(threads.begin(), threads.end());
    if (after_listing) after_listing(listings);
    return threads;
}

std::vector<int> hidden_threads() {
    return {};
}

std::optional<std::uint64_t> blocked_signals(int) {
    return 0;
}

}  // namespace nmircu::platform

namespace {

using namespace test;

class source_perf_race : public counting {
  protected:
    void SetUp() override {
        const std::string failure = start(source_kind::perf);
        stop_source();
        if (!failure.empty()) GTEST_SKIP() << failure;
    }
    ~source_perf_race() override {
        before_listing = nullptr;
        after_listing = nullptr;
    }
    // Creates `thread` with all signals deliverable: the caller blocks them meanwhile.
    template <class Body>
    static void create(std::thread& thread, Body body) {
        thread = std::thread([body] {
            sigset_t none;
            sigemptyset(&none);
            pthread_sigmask(SIG_SETMASK, &none, nullptr);
            body();
        });
    }
};

void rescan_and_burn(int times) {
    for (int i = 0; i < times; ++i) {
        EXPECT_TRUE(burn_until_hit());
        rescan_threads();
    }
}

TEST_F(source_perf_race, the_second_event_of_a_thread_that_inherited_one_is_closed) {
    listings = 0;
    std::thread child;
    signpost out_of_step;
    // The first listing's threads, this one among them, have their events now.
    before_listing = [&](int n) {
        if (n != 2) return;
        create(child, [&] {
            // Two events in step would be one signal.
            const std::uint64_t end = cpu_ns() + 300'000;
            EXPECT_TRUE(burn_until([&] { return cpu_ns() >= end; }));
            out_of_step.set();
            EXPECT_TRUE(burn_until([] { return current_source().duplicates > 0; }));
            EXPECT_TRUE(burn_until_hit());
            // Has both events, too.
            std::thread grandchild([] { rescan_and_burn(4); });
            rescan_and_burn(4);
            grandchild.join();
            // How many scans it takes depends on how the two events fall; that it ends does not.
            // Never closed, the second event is refused for ever, and the test runs out of time.
            std::uint64_t settled = 0;
            do {
                settled = current_source().duplicates;
                rescan_and_burn(4);
                std::thread([] { rescan_and_burn(4); }).join();
            } while (settled != current_source().duplicates);
        });
        out_of_step.wait();
    };
    ASSERT_EQ("", start(source_kind::perf));
    child.join();
    EXPECT_TRUE(burn_until_hit());
}

TEST_F(source_perf_race, the_only_event_of_a_thread_that_inherited_none_is_kept) {
    listings = 0;
    std::thread child;
    after_listing = [&](int n) {
        if (n != 1) return;
        create(child, [] {
            rescan_and_burn(4);
            std::thread([] { rescan_and_burn(4); }).join();
        });
    };
    ASSERT_EQ("", start(source_kind::perf));
    child.join();
    EXPECT_EQ(0u, current_source().duplicates);
}

}  // namespace
