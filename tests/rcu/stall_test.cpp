// SPDX-License-Identifier: MIT
//
// Property: a grace period that waits longer than the limit says for whom: every thread that is
// inside an old section is named with what it is doing, whatever it is doing, nobody else is, and
// nothing that it does is disturbed; and it says so when it is over.
//
// STALL_TEST_FORBID_LOOKS=1 runs the same where threads cannot be looked at from outside.
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

#include "../interrupt/raise.hpp"
#include "platform/linux/ask_threads.hpp"
#include "rcu/engine.hpp"

namespace {

using nmircu::rcu_default_domain;
using nmircu::rcu_sight;
using nmircu::rcu_stall_report;
using nmircu::rcu_stalled_reader;

constexpr std::uint64_t limit_ms = 50;

bool looks_are_forbidden() {
    return std::getenv("STALL_TEST_FORBID_LOOKS") != nullptr;
}

// A report with its readers.
struct told {
    rcu_stall_report report;
    std::vector<rcu_stalled_reader> readers;

    const rcu_stalled_reader* find(unsigned thread) const {
        for (const auto& reader : readers) {
            if (reader.thread == thread) return &reader;
        }
        return nullptr;
    }
    bool has(rcu_sight sight) const {
        for (const auto& reader : readers) {
            if (reader.sight == sight) return true;
        }
        return false;
    }
};

// All reports, as a handler gets them.
class stall_log {
  public:
    stall_log() {
        nmircu::rcu_set_stall_limit(limit_ms);
        nmircu::rcu_set_stall_handler(add, this);
    }
    ~stall_log() {
        nmircu::rcu_set_stall_handler(nullptr, nullptr);
        nmircu::rcu_synchronize();
        nmircu::rcu_set_stall_limit(10'000);
    }
    // The first report, of those from the n-th on, in which nobody is silent: on a busy machine a
    // thread may need longer for its answer than a report waits.
    told wait_for(std::size_t n) {
        return wait_until([&](const told& one, std::size_t number) {
            return number >= n && !one.has(rcu_sight::silent);
        });
    }
    template <class Condition>
    told wait_until(Condition condition) {
        std::unique_lock lock(mutex_);
        for (std::size_t number = 0;; ++number) {
            changed_.wait(lock, [&] { return reports_.size() > number; });
            if (condition(reports_[number], number)) return reports_[number];
        }
    }
    std::vector<told> all() {
        std::scoped_lock lock(mutex_);
        return reports_;
    }

  private:
    static void add(const rcu_stall_report& report, void* cookie) {
        auto& log = *static_cast<stall_log*>(cookie);
        std::scoped_lock lock(log.mutex_);
        log.reports_.push_back({report, {report.reader, report.reader + report.readers}});
        log.changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<told> reports_;
};

// What is written to standard error in its life.
class captured_stderr {
  public:
    captured_stderr() : file_(memfd_create("stderr", 0)), before_(dup(STDERR_FILENO)) {
        dup2(file_, STDERR_FILENO);
    }
    ~captured_stderr() {
        dup2(before_, STDERR_FILENO);
        close(before_);
        close(file_);
    }
    std::string text() const {
        std::string out(1 << 16, '\0');
        const ssize_t length = pread(file_, out.data(), out.size(), 0);
        out.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
        return out;
    }
    void wait_for(const char* part) const {
        while (text().find(part) == std::string::npos)
            std::this_thread::yield();
    }

  private:
    int file_, before_;
};

// A thread that does something inside a section until told to leave it.
class reader_thread {
  public:
    explicit reader_thread(std::function<void(reader_thread&)> body) {
        thread_ = std::thread([this, body = std::move(body)] {
            pthread_setname_np(pthread_self(), "stalled");
            id_ = static_cast<unsigned>(gettid());
            body(*this);
        });
        while (!inside_.load(std::memory_order_acquire))
            std::this_thread::yield();
    }
    ~reader_thread() {
        leave();
        if (thread_.joinable()) thread_.join();
    }
    void leave() { leave_.store(true, std::memory_order_release); }
    void join() { thread_.join(); }
    unsigned id() const { return id_; }
    const void* entered_at() const { return entered_at_; }

    // For the body, inside the section.
    void spin() {
        arrive();
        while (!told_to_leave()) {
        }
    }
    void arrive() {
        entered_at_ = nmircu::platform::this_reader().entered_at;
        inside_.store(true, std::memory_order_release);
    }
    bool told_to_leave() const { return leave_.load(std::memory_order_acquire); }

  private:
    std::atomic<bool> inside_{false}, leave_{false};
    unsigned id_ = 0;
    const void* entered_at_ = nullptr;
    std::thread thread_;
};

void spin_in_section(reader_thread& self) {
    std::scoped_lock section(rcu_default_domain());
    self.spin();
}

std::thread updater() {
    return std::thread([] { nmircu::rcu_synchronize(); });
}

void expect_named(const told& stall, const reader_thread& reader) {
    const rcu_stalled_reader* const named = stall.find(reader.id());
    ASSERT_NE(named, nullptr);
    EXPECT_STREQ(named->name, "stalled");
    EXPECT_EQ(named->entered_at, reader.entered_at());
    EXPECT_NE(named->sight, rcu_sight::silent);
    EXPECT_GE(named->cpu, 0);
}

TEST(stall, names_a_running_reader_and_says_when_it_is_over) {
    stall_log log;
    reader_thread reader(spin_in_section);
    std::thread waiting = updater();
    const told first =
        log.wait_until([](const told& one, std::size_t) { return one.has(rcu_sight::answered); });
    reader.leave();
    waiting.join();
    EXPECT_FALSE(first.report.over);
    EXPECT_TRUE(first.report.complete);
    EXPECT_GE(first.report.waited_ns, limit_ms * 1'000'000);
    EXPECT_EQ(first.report.sections, 1u);
    EXPECT_EQ(first.report.orphans, 0u);
    EXPECT_EQ(first.readers.size(), 1u);
    expect_named(first, reader);
    EXPECT_EQ(first.readers[0].nesting, 1u);
    EXPECT_EQ(first.readers[0].handlers, 0u);
    EXPECT_EQ(first.readers[0].sight, rcu_sight::answered);
    EXPECT_NE(first.readers[0].interrupted_at, nullptr);
    const told last = log.all().back();
    EXPECT_TRUE(last.report.over);
    EXPECT_TRUE(last.readers.empty());
    EXPECT_EQ(last.report.started_ns, first.report.started_ns);
    EXPECT_GT(last.report.waited_ns, first.report.waited_ns);
}

TEST(stall, is_not_reported_before_the_limit) {
    stall_log log;
    nmircu::rcu_set_stall_limit(0);
    reader_thread reader(spin_in_section);
    std::thread waiting = updater();
    while (nmircu::detail::default_domain.waiting.load(std::memory_order_relaxed) == 0)
        std::this_thread::yield();
    reader.leave();
    waiting.join();
    EXPECT_TRUE(log.all().empty());
}

TEST(stall, is_reported_again_after_each_further_limit) {
    stall_log log;
    reader_thread reader(spin_in_section);
    std::thread waiting = updater();
    const told third = log.wait_for(2);
    reader.leave();
    waiting.join();
    const auto all = log.all();
    for (unsigned i = 1; i < 3; ++i) {
        EXPECT_GE(all[i].report.waited_ns, all[i - 1].report.waited_ns + limit_ms * 1'000'000);
        expect_named(all[i], reader);
    }
    std::size_t ends = 0;
    for (const told& one : all)
        ends += one.report.over;
    EXPECT_EQ(ends, 1u);
}

TEST(stall, a_sleeping_reader_is_seen_and_not_woken) {
    if (looks_are_forbidden()) GTEST_SKIP() << "then it must be woken";
    stall_log log;
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    int polled = -1;
    reader_thread reader([&](reader_thread& self) {
        std::scoped_lock section(rcu_default_domain());
        self.arrive();
        pollfd wanted{pipes[0], POLLIN, 0};
        polled = poll(&wanted, 1, -1);  // a signal would end it with EINTR
    });
    std::thread waiting = updater();
    const told stall = log.wait_for(1);
    ASSERT_EQ(write(pipes[1], "x", 1), 1);
    waiting.join();
    reader.join();
    EXPECT_EQ(polled, 1);
    expect_named(stall, reader);
    EXPECT_EQ(stall.readers[0].sight, rcu_sight::seen);
    EXPECT_EQ(stall.readers[0].state, 'S');
    close(pipes[0]);
    close(pipes[1]);
}

TEST(stall, names_every_reader_and_nobody_else) {
    stall_log log;
    std::atomic<bool> stop{false};
    // Neither who reads all the time nor who does not read is named.
    std::thread passing([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            std::scoped_lock section(rcu_default_domain());
        }
    });
    reader_thread first(spin_in_section), second([](reader_thread&self) {
        std::scoped_lock outer(rcu_default_domain());
        std::scoped_lock inner(rcu_default_domain());
        self.spin();
    });
    std::thread waiting = updater();
    // The passing reader may have been inside with the phase it had loaded before the flip.
    const told stall = log.wait_for(2);
    first.leave();
    second.leave();
    waiting.join();
    stop.store(true, std::memory_order_relaxed);
    passing.join();
    EXPECT_GE(stall.report.sections, 2u);
    EXPECT_EQ(stall.report.orphans, 0u);
    expect_named(stall, first);
    expect_named(stall, second);
    EXPECT_EQ(stall.find(first.id())->nesting, 1u);
    EXPECT_EQ(stall.find(second.id())->nesting, 2u);
    EXPECT_EQ(stall.readers.size(), 2u);
}

TEST(stall, a_reader_that_came_later_is_not_named) {
    stall_log log;
    reader_thread old(spin_in_section);
    std::thread waiting = updater();
    log.wait_for(0);
    reader_thread later(spin_in_section);
    const std::size_t so_far = log.all().size();
    const told stall = log.wait_for(so_far + 1);
    old.leave();
    waiting.join();
    expect_named(stall, old);
    EXPECT_EQ(stall.find(later.id()), nullptr);
    EXPECT_EQ(stall.report.sections, 1u);
}

// More than the questions that can be under way, and than a report has room for.
TEST(stall, counts_the_readers_beyond_the_sixteenth) {
    constexpr unsigned many = nmircu::platform::most_questions + 6;
    stall_log log;
    std::vector<std::unique_ptr<reader_thread>> readers;
    for (unsigned i = 0; i < many; ++i) {
        readers.push_back(std::make_unique<reader_thread>([](reader_thread& self) {
            std::scoped_lock section(rcu_default_domain());
            self.arrive();
            while (!self.told_to_leave())
                usleep(1000);
        }));
    }
    std::thread waiting = updater();
    const told stall = log.wait_for(0);
    for (auto& reader : readers)
        reader->leave();
    waiting.join();
    EXPECT_EQ(stall.report.sections, many);
    EXPECT_EQ(stall.report.readers, 16u);
    EXPECT_EQ(stall.report.more, many - 16);
    EXPECT_EQ(stall.report.orphans, 0u);
    for (const rcu_stalled_reader& reader : stall.readers)
        EXPECT_NE(reader.sight, rcu_sight::silent);
}

TEST(stall, names_a_reader_that_blocks_every_signal) {
    stall_log log;
    reader_thread reader([](reader_thread& self) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, nullptr);
        std::scoped_lock section(rcu_default_domain());
        self.spin();
    });
    std::thread waiting = updater();
    const told stall = log.wait_until([](const told&, std::size_t) { return true; });
    reader.leave();
    waiting.join();
    const rcu_stalled_reader* const named = stall.find(reader.id());
    ASSERT_NE(named, nullptr);
    EXPECT_EQ(stall.report.orphans, 0u);
    if (looks_are_forbidden()) {
        EXPECT_EQ(named->sight, rcu_sight::silent);
        EXPECT_STREQ(named->silence, "it blocks SIGSTKFLT");
    } else {
        EXPECT_EQ(named->sight, rcu_sight::seen);
        EXPECT_EQ(stall.readers.size(), 1u);
        expect_named(stall, reader);
    }
}

// Ends a section that no thread is inside any more.
void leave_for(std::uint32_t phase) {
    nmircu::detail::default_domain.shared.exit[phase].fetch_add(1, std::memory_order_release);
}

std::uint32_t own_phase() {
    return nmircu::detail::phase_of(nmircu::platform::this_reader().section);
}

TEST(stall, a_thread_that_died_inside_is_counted) {
    stall_log log;
    std::uint32_t phase = 0;
    reader_thread dead([&](reader_thread& self) {
        rcu_default_domain().lock();
        phase = own_phase();
        self.arrive();
    });
    dead.join();
    reader_thread alive(spin_in_section);
    std::thread waiting = updater();
    const told stall = log.wait_for(0);
    leave_for(phase);
    alive.leave();
    waiting.join();
    EXPECT_EQ(stall.report.sections, 2u);
    EXPECT_EQ(stall.report.orphans, 1u);
    EXPECT_EQ(stall.readers.size(), 1u);
    expect_named(stall, alive);
}

jmp_buf out_of_section;

TEST(stall, a_section_left_by_longjmp_is_open) {
    stall_log log;
    reader_thread reader([](reader_thread& self) {
        if (setjmp(out_of_section) == 0) {
            rcu_default_domain().lock();
            longjmp(out_of_section, 1);
        }
        self.spin();
        rcu_default_domain().unlock();
    });
    std::thread waiting = updater();
    const told stall = log.wait_for(0);
    reader.leave();
    waiting.join();
    expect_named(stall, reader);
}

// Handlers that spin, one inside the other.
std::atomic<const reader_thread*> spinning{nullptr};
std::atomic<bool> spins{false};

int spin_in_handler(void*, nmircu::pt_regs*, int) {
    const reader_thread* const reader = spinning.load(std::memory_order_acquire);
    if (!nmircu::in_nmi() || reader == nullptr) return 1;
    spins.store(true, std::memory_order_release);
    while (!reader->told_to_leave()) {
    }
    return 1;
}
thread_local bool nested = false;
int nest_in_handler(void*, nmircu::pt_regs* regs, int) {
    if (nested) return 1;
    nested = true;
    nmircu::do_nmi(regs, 0);
    return 1;
}

// The reader's thread takes an NMI and stays in it.
void take_nmi(reader_thread& self) {
    spins.store(false, std::memory_order_relaxed);
    spinning.store(&self, std::memory_order_release);
    self.arrive();
    raise_here();
    spinning.store(nullptr, std::memory_order_release);
}
void wait_until_it_spins() {
    while (!spins.exchange(false, std::memory_order_acq_rel))
        std::this_thread::yield();
}

TEST(stall, a_handler_that_does_not_return_is_named_to_who_removes_it) {
    if (looks_are_forbidden()) GTEST_SKIP() << "it blocks every signal, and is listed as that";
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    nmircu::nmi_handler outer, inner;
    ASSERT_EQ(outer.add(nmircu::nmi_type::local, "outer", nest_in_handler, nullptr),
              nmircu::nmi_error::none);
    ASSERT_EQ(inner.add(nmircu::nmi_type::local, "inner", spin_in_handler, nullptr),
              nmircu::nmi_error::none);
    stall_log log;
    reader_thread reader(take_nmi);
    wait_until_it_spins();
    std::thread waiting([&] { ASSERT_EQ(inner.remove(), nmircu::nmi_error::none); });
    const told stall = log.wait_for(0);
    reader.leave();
    waiting.join();
    ASSERT_EQ(stall.readers.size(), 1u);
    const rcu_stalled_reader& named = stall.readers[0];
    EXPECT_EQ(named.thread, reader.id());
    EXPECT_EQ(named.nmi_depth, 2u);
    ASSERT_EQ(named.handlers, 2u);
    EXPECT_STREQ(named.handler[0].name, "inner");
    EXPECT_EQ(named.handler[0].function, reinterpret_cast<const void*>(spin_in_handler));
    EXPECT_STREQ(named.handler[1].name, "outer");
    EXPECT_EQ(named.handler[1].function, reinterpret_cast<const void*>(nest_in_handler));
}

int spin_in_callback(nmircu::pt_regs* regs, int cpu) {
    return spin_in_handler(nullptr, regs, cpu);
}

TEST(stall, the_callback_is_named_too) {
    if (looks_are_forbidden()) GTEST_SKIP() << "it blocks every signal, and is listed as that";
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    nmircu::set_nmi_callback(spin_in_callback);
    stall_log log;
    reader_thread reader(take_nmi);
    wait_until_it_spins();
    nmircu::unset_nmi_callback();
    std::thread waiting = updater();
    const told stall = log.wait_for(0);
    reader.leave();
    waiting.join();
    ASSERT_EQ(stall.readers.size(), 1u);
    ASSERT_EQ(stall.readers[0].handlers, 1u);
    EXPECT_STREQ(stall.readers[0].handler[0].name, "nmi callback");
    EXPECT_EQ(stall.readers[0].handler[0].function,
              reinterpret_cast<const void*>(spin_in_callback));
}

std::uint64_t all_nmis() {
    std::uint64_t count = 0;
    for (int cpu = 0; cpu < 1024; ++cpu)
        count += nmircu::nmi_count(cpu);
    return count;
}

TEST(stall, a_question_is_no_nmi) {
    const std::uint64_t before = all_nmis();
    const std::uint64_t forwarded = nmircu::nmi_forwarded_count();
    stall_log log;
    reader_thread reader(spin_in_section);
    std::thread waiting = updater();
    log.wait_until([](const told& one, std::size_t) { return one.has(rcu_sight::answered); });
    reader.leave();
    waiting.join();
    EXPECT_EQ(all_nmis(), before);
    EXPECT_EQ(nmircu::nmi_forwarded_count(), forwarded);
}

TEST(stall, is_told_on_stderr_in_lines) {
    nmircu::rcu_set_stall_limit(limit_ms);
    std::string text;
    unsigned id;
    {
        captured_stderr output;
        reader_thread reader(spin_in_section);
        id = reader.id();
        std::thread waiting = updater();
        output.wait_for("), now at 0x");
        reader.leave();
        waiting.join();
        text = output.text();
    }
    nmircu::rcu_set_stall_limit(10'000);
    EXPECT_THAT(text,
                testing::ContainsRegex(
                    "nmircu: a grace period started [0-9]+\\.[0-9] s ago still waits for thread " +
                    std::to_string(id) +
                    " \"stalled\" on CPU [0-9]+, state R: inside a read-side critical "
                    "section entered at 0x[0-9a-f]+ \\(rcu_stall_test\\+0x[0-9a-f]+\\), now "
                    "at 0x[0-9a-f]+ \\("));
    EXPECT_THAT(text, testing::ContainsRegex("nmircu: the grace period reported before is over "
                                             "after [0-9]+\\.[0-9] s\n"));
}

// The dynamic linker's lock and standard error's; what finds the address or prints must need
// neither.
int stall_inside(dl_phdr_info*, std::size_t, void* reader) {
    flockfile(stderr);
    spin_in_section(*static_cast<reader_thread*>(reader));
    funlockfile(stderr);
    return 1;
}

TEST(stall, is_told_while_the_reader_holds_locks_of_libc) {
    nmircu::rcu_set_stall_limit(limit_ms);
    std::string text;
    {
        captured_stderr output;
        reader_thread reader([](reader_thread& self) { dl_iterate_phdr(stall_inside, &self); });
        std::thread waiting = updater();
        output.wait_for("\n");
        reader.leave();
        waiting.join();
        text = output.text();
    }
    nmircu::rcu_set_stall_limit(10'000);
    EXPECT_THAT(text, testing::HasSubstr("\"stalled\""));
}

void synchronize_in_stall_handler(const rcu_stall_report&, void*) {
    nmircu::rcu_synchronize();
}

TEST(stall_misuse, a_handler_that_waits_for_a_grace_period_is_refused) {
    // Afresh: the child starts a thread.
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            nmircu::rcu_set_stall_limit(limit_ms);
            nmircu::rcu_set_stall_handler(synchronize_in_stall_handler, nullptr);
            reader_thread reader(spin_in_section);
            nmircu::rcu_synchronize();
        },
        "nmircu: rcu_synchronize called at 0x[0-9a-f]+ while this thread waits for a grace period");
}

// Before any thread: a filter as a container installs it.
[[gnu::constructor]] void forbid_looks() {
    if (!looks_are_forbidden()) return;
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(process_vm_readv), 0) != 0 ||
        seccomp_load(filter) != 0) {
        std::fputs("cannot install a seccomp filter\n", stderr);
        _exit(3);
    }
    seccomp_release(filter);
}

}  // namespace
