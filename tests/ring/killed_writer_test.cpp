// SPDX-License-Identifier: MIT
//
// Property: a writer killed with SIGKILL at any instruction loses nothing it had committed, and
// leaves nothing that is handed over without having been committed.
#include <ring/writer.hpp>

#include <csignal>
#include <cstring>
#include <ctime>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ring/reader.hpp>

namespace nmircu::ring {
namespace {

constexpr std::uint32_t most_records = 1 << 20;

// What the writer tells beside the ring: a mark for every record after its commit has returned.
struct ledger {
    std::atomic<std::uint32_t> begun;
    std::atomic<std::uint8_t> committed[most_records];
};

struct entry {
    std::uint32_t number;
    std::uint32_t check;
};

constexpr std::uint32_t check_of(std::uint32_t number) {
    return number * 2654435761u ^ 0x5bd1e995u;
}

// Sizes differ, so that records end and laps begin everywhere.
void write_one(writer& out, ledger& told, std::uint32_t number, int nested) {
    void* record = out.reserve(0, 1, 8 + number % 97 * 4);
    if (nested > 0 && number + 1 < most_records) {
        write_one(out, told, told.begun.fetch_add(1, std::memory_order_relaxed), nested - 1);
    }
    if (record == nullptr) return;
    // Most kills are to fall here, where a record is unfinished and one behind it may be committed.
    for (int i = 0; i < 500; ++i)
        asm volatile("" ::: "memory");
    const entry written{number, check_of(number)};
    std::memcpy(record, &written, sizeof written);
    writer::commit(record);
    // relaxed: the parent looks after this process has been waited for.
    told.committed[number].store(1, std::memory_order_relaxed);
}

[[noreturn]] void write_until_killed(writer& out, ledger& told) {
    for (;;) {
        const std::uint32_t number = told.begun.fetch_add(1, std::memory_order_relaxed);
        if (number >= most_records) pause();
        if (number < most_records) write_one(out, told, number, static_cast<int>(number % 3));
    }
}

class received {
  public:
    void take(const record& found) {
        entry seen{};
        ASSERT_GE(found.payload.size(), sizeof seen);
        std::memcpy(&seen, found.payload.data(), sizeof seen);
        ASSERT_LT(seen.number, most_records);
        ASSERT_EQ(seen.check, check_of(seen.number));
        ++times_[seen.number];
    }
    // At most `spare` records may have been committed without the writer's living to say so.
    void compare(const ledger& told, std::size_t spare) const {
        std::size_t expected = 0;
        for (std::uint32_t i = 0; i < most_records; ++i) {
            if (told.committed[i].load(std::memory_order_relaxed) == 0) continue;
            ++expected;
            ASSERT_TRUE(times_.count(i)) << "record " << i << " was committed and is lost";
        }
        for (const auto& [number, times] : times_)
            ASSERT_EQ(times, 1u) << "record " << number;
        EXPECT_GT(expected, 0u);
        EXPECT_LE(times_.size(), expected + spare);
    }

  private:
    std::map<std::uint32_t, unsigned> times_;
};

void kill_a_writer_after(long microseconds) {
    writer out;
    const int file = out.create(1, 64 << 10);
    ASSERT_GE(file, 0);
    std::string why;
    const auto in = reader::open(file, why);
    ASSERT_TRUE(in) << why;
    auto* told = static_cast<ledger*>(
        mmap(nullptr, sizeof(ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t child = fork();
    if (child == 0) write_until_killed(out, *told);

    received seen;
    const auto take = [&](const record& found) { seen.take(found); };
    while (told->committed[0].load(std::memory_order_relaxed) == 0)
        sched_yield();
    timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += microseconds * 1000;
    do {
        in->poll(take);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - end.tv_sec) * 1000000000L + now.tv_nsec - end.tv_nsec < 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    in->drain_after_death(take);
    seen.compare(*told, 1);
    EXPECT_EQ(in->corrupt_rings(), 0u);
    EXPECT_LE(in->unfinished(), 4u);
    munmap(told, sizeof(ledger));
    close(file);
    out.release();
}

TEST(killed_writer, loses_nothing_it_had_committed) {
    std::mt19937 random(std::random_device{}());
    for (int round = 0; round < 60 && !HasFatalFailure(); ++round) {
        kill_a_writer_after(static_cast<long>(random() % 4000));
    }
}

}  // namespace
}  // namespace nmircu::ring
