// SPDX-License-Identifier: MIT
//
// Property: a profile shows what a program does, for programs of which that is known: shares of
// functions and threads, short-lived threads with their names, loops that block signals, sleeping
// against running; and to look at a sleeping thread does not disturb it. Every tolerance is at
// least four standard deviations of the samples it is asked of.
#include <agent/protocol.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <nmircu/module.h>
#include <nmi/profile/repeats.hpp>
#include <nmi/profile/sample.hpp>
#include <ring/reader.hpp>

#undef TARGET
#define TARGET SHARES_TARGET
#include "agent/program.hpp"

namespace {

using namespace test;
namespace nmi = nmircu::command;

// Sums of weights.
struct seen_thread {
    double all = 0, off_cpu = 0;
    std::map<char, double> work;  // 'a', 'b', 'c'; '?': elsewhere
    std::string name;
};

class profile_shares : public testing::Test {
  protected:
    void load(message arguments, const char* source, const char* rate = "1000") {
        message request{"load", PROFILER, rate, source};
        request.insert(request.end(), arguments.begin(), arguments.end());
        ASSERT_THAT(target.ask(request), is_ok());
        peer one = target.connect();
        ASSERT_THAT(one.ask({"rings"}), is_ok());
        std::string why;
        rings_ = nmircu::ring::reader::open(one.take_file().get(), why);
        ASSERT_TRUE(rings_) << why;
        std::istringstream words(target.tell("where"));
        for (std::uint64_t& bound : bounds_)
            words >> bound;
        poll();
        threads.clear();
        records = 0;
    }

    void poll() {
        settle(repeats_.begin_round());
        rings_->poll([&](const nmircu::ring::record& found) { take(found); });
    }
    // Polls until that many samples and at least `milliseconds` have come.
    void collect(std::uint64_t least_records, int milliseconds) {
        using clock = std::chrono::steady_clock;
        const auto begin = clock::now();
        for (;;) {
            poll();
            const auto passed = clock::now() - begin;
            if (records >= least_records && passed >= std::chrono::milliseconds(milliseconds))
                break;
            ASSERT_LT(passed, std::chrono::milliseconds(patience_ms)) << records << " records";
            ::poll(nullptr, 0, 10);
        }
        ::poll(nullptr, 0, 150);  // repeats are told ten times a second
        poll();
        settle(repeats_.finish());
    }

    double share_of_work(char which) const {
        double part = 0, all = 0;
        for (const auto& [id, thread] : threads) {
            all += thread.all;
            const auto found = thread.work.find(which);
            if (found != thread.work.end()) part += found->second;
        }
        return part / all;
    }
    struct moment {
        double run, wait, now;
    };
    moment times(std::uint32_t id) {
        std::istringstream words(target.tell("times " + std::to_string(id)));
        moment out{};
        words >> out.run >> out.wait >> out.now;
        return out;
    }
    // Of the samples that a thread took between its two moments: asking takes time, more for some.
    double weight_between(std::uint32_t id, const moment& begin, const moment& end) const {
        double sum = 0;
        for (const timed& one : timed_) {
            if (one.thread != id) continue;
            const auto at = static_cast<double>(one.time_ns);
            if (at > begin.now && at <= end.now) sum += one.weight;
        }
        return sum;
    }
    std::uint32_t start(const std::string& what) {
        return static_cast<std::uint32_t>(std::stoul(target.tell(what)));
    }

    program target;
    std::map<std::uint32_t, seen_thread> threads;
    std::uint64_t records = 0;

  private:
    struct where {
        std::uint32_t thread;
        char work;
    };
    struct timed {
        std::uint32_t thread;
        std::uint64_t time_ns;
        double weight;
    };
    void count(const where& at, double weight, bool off_cpu) {
        seen_thread& thread = threads[at.thread];
        thread.all += weight;
        thread.work[at.work] += weight;
        if (off_cpu) thread.off_cpu += weight;
    }
    char work_at(std::uint64_t address) const {
        for (int i = 0; i < 3; ++i) {
            if (address >= bounds_[2 * i] && address < bounds_[2 * i + 1])
                return static_cast<char>('a' + i);
        }
        return '?';
    }
    char work_of(std::span<const std::uint64_t> addresses) const {
        for (const std::uint64_t address : addresses) {
            if (const char work = work_at(address); work != '?') return work;
        }
        return '?';
    }
    void take(const nmircu::ring::record& found) {
        if (const auto name = nmi::read_thread_name(found.payload);
            found.kind == NMI_RECORD_THREAD_NAME && name) {
            threads[name->thread_id].name = name->name;
            names.insert(std::string(name->name));
        }
        if (const auto one = nmi::read_repeat(found.payload);
            found.kind == NMI_RECORD_REPEAT && one)
            repeats_.repeated(*one);
        if (found.kind != NMI_RECORD_SAMPLE) return;
        const auto one = nmi::read_sample(found.payload);
        ASSERT_TRUE(one);
        ++records;
        places_.push_back({one->thread_id, work_of(one->addresses)});
        count(places_.back(), one->weight, one->off_cpu);
        timed_.push_back({one->thread_id, one->time_ns, double(one->weight)});
        repeats_.sampled(one->thread_id, one->time_ns,
                         static_cast<std::uint32_t>(places_.size() - 1));
    }
    void settle(const std::vector<nmi::repeats::settled>& settled) {
        for (const auto& one : settled)
            count(places_[one.which], one.count, one.off_cpu);
    }

    std::unique_ptr<nmircu::ring::reader> rings_;
    nmi::repeats repeats_;
    std::vector<where> places_;
    std::vector<timed> timed_;
    std::uint64_t bounds_[6] = {};

  protected:
    std::set<std::string> names;
};

TEST_F(profile_shares, of_functions_70_20_10) {
    start("split");
    load({}, "auto", "4000");
    collect(2000, 500);
    EXPECT_NEAR(share_of_work('a'), 0.7, 0.05);
    EXPECT_NEAR(share_of_work('b'), 0.2, 0.05);
    EXPECT_NEAR(share_of_work('c'), 0.1, 0.05);
}

// Far beyond the tick: the weights alone make up for what could not be delivered.
TEST_F(profile_shares, with_timers_beyond_their_tick) {
    const std::uint32_t id = start("split");
    load({}, "timer", "4000");
    const moment before = times(id);
    collect(250, 1000);
    const moment after = times(id);
    poll();
    const double expected = (after.run - before.run) / 250e3;
    EXPECT_NEAR(weight_between(id, before, after), expected, 0.25 * expected);
    EXPECT_NEAR(share_of_work('a'), 0.7, 0.12);
}

TEST_F(profile_shares, of_sixteen_unequal_threads) {
    std::vector<std::uint32_t> ids;
    for (unsigned i = 1; i <= 16; ++i)
        ids.push_back(start("load " + std::to_string(i)));
    load({}, "auto", "4000");
    // A virtual CPU that is held up for 50 ms owes a thread all samples of that time but one.
    double worst = 1;
    for (int attempt = 0; attempt < 4 && worst > 0.05; ++attempt) {
        std::map<std::uint32_t, moment> before, after;
        for (const std::uint32_t id : ids)
            before[id] = times(id);
        collect(1500, 1500);
        for (const std::uint32_t id : ids)
            after[id] = times(id);
        poll();
        std::map<std::uint32_t, double> ran, sampled;
        double all_ran = 0, all_sampled = 0;
        for (const std::uint32_t id : ids) {
            all_ran += ran[id] = after[id].run - before[id].run;
            all_sampled += sampled[id] = weight_between(id, before[id], after[id]);
        }
        worst = 0;
        for (const std::uint32_t id : ids) {
            EXPECT_GT(sampled[id], 0) << "a thread was missed";
            worst = std::max(worst, std::abs(sampled[id] / all_sampled - ran[id] / all_ran));
        }
    }
    EXPECT_LE(worst, 0.05);
}

TEST_F(profile_shares, of_short_lived_threads_and_their_names) {
    const std::uint32_t steady = start("load 100");
    start("short");
    // Of a thread that ends between two ticks a timer says nothing.
    if (target.ask({"load", PROFILER, "4000", "perf"})[0] != "ok") GTEST_SKIP() << "no perf here";
    ASSERT_THAT(target.ask({"unload", "profiler"}), is_ok());
    load({}, "perf", "4000");
    const auto short_ns = [this] { return std::stod(target.tell("short_total")); };
    const double short_before = short_ns();
    const moment before = times(steady);
    collect(3000, 1000);
    const double in_short = short_ns() - short_before;
    const double in_steady = times(steady).run - before.run;
    EXPECT_NEAR(share_of_work('b'), in_short / (in_short + in_steady), 0.05);
    std::size_t short_names = 0;
    for (const std::string& name : names)
        short_names += name.rfind("short-", 0) == 0;
    EXPECT_GE(short_names, 50u);
}

TEST_F(profile_shares, of_a_loop_with_signals_blocked) {
    start("masks");
    // Timers: what expires meanwhile is merged into the signal that comes at the end, so the whole
    // is right, though it is where the signals were let in again.
    const std::uint32_t other = start("load 100");
    load({}, "timer", "1000");
    const moment before = times(other);
    collect(250, 1500);
    const moment after = times(other);
    poll();
    const double expected = (after.run - before.run) / 1e6;
    EXPECT_NEAR(weight_between(other, before, after), expected, 0.3 * expected);
    double of_masks = 0;
    for (const auto& [id, thread] : threads) {
        if (id != other) of_masks += thread.all;
    }
    EXPECT_NEAR(of_masks / (of_masks + threads[other].all), 0.5, 0.15);
}

TEST_F(profile_shares, of_a_thread_that_sleeps_three_quarters) {
    const std::uint32_t id = start("load 25");
    load({"mode=wall"}, "wall");
    const moment before = times(id);
    collect(100, 2000);
    const moment after = times(id);
    const double wall = after.now - before.now;
    const double run = (after.run - before.run) / wall, wait = (after.wait - before.wait) / wall;
    const seen_thread& thread = threads[id];
    // Waiting for a CPU counts to the sleep if it comes after one, else to what was preempted.
    EXPECT_GT(thread.off_cpu / thread.all, 1 - run - wait - 0.08);
    EXPECT_LT(thread.off_cpu / thread.all, 1 - run + 0.08);
    // Every tick is accounted for, those of the 150 ms more that the samples take included.
    EXPECT_NEAR(thread.all, wall / 1e6, 0.15 * wall / 1e6);
    EXPECT_LT(static_cast<double>(records), 0.8 * thread.all) << "repeats, not signals";
}

TEST_F(profile_shares, off_cpu_alone) {
    const std::uint32_t busy = start("load 100"), id = start("load 25");
    load({"mode=offcpu"}, "wall");
    collect(50, 1000);
    EXPECT_LT(threads[busy].all, 0.1 * threads[id].all);
    EXPECT_GT(threads[id].all, 300);
    EXPECT_EQ(threads[id].off_cpu, threads[id].all);
}

TEST_F(profile_shares, sleeping_threads_are_interrupted_once_a_block) {
    const std::uint32_t ids[] = {start("naps"), start("polls"), start("futexes")};
    load({"mode=wall", "idle=1"}, "wall");
    const auto count = [this] {
        std::istringstream words(target.tell("eintr"));
        std::pair<double, double> out;
        words >> out.first >> out.second;
        return out;
    };
    const auto before = count();
    collect(6, 1500);
    const auto after = count();
    for (const std::uint32_t id : ids) {
        EXPECT_GT(threads[id].all, 1000) << "each tick counts";
        EXPECT_GT(threads[id].off_cpu, 0.9 * threads[id].all);
    }
    EXPECT_LE(after.first - before.first, after.second - before.second + 3);
}

TEST_F(profile_shares, idle_threads_are_left_alone_unless_wanted) {
    const auto main_thread = static_cast<std::uint32_t>(target.pid());
    const std::uint32_t busy = start("load 20");
    load({"mode=wall"}, "wall");
    collect(100, 1500);
    EXPECT_GT(threads[busy].all, 1000);
    EXPECT_LT(threads[main_thread].all, 1300) << "it has not run for most of the time";
    threads.clear();
    collect(0, 1200);
    EXPECT_EQ(threads[main_thread].all, 0);
}

}  // namespace
