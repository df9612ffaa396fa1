// SPDX-License-Identifier: MIT
//
// Property: every record that reserve granted and commit finished reaches the reader once and
// unharmed, whoever wrote it in the middle of whatever else: a signal between a reserve and its
// commit, many threads in one ring, at the end of a lap; every record that was not granted is
// counted, exactly; and a reader that writes nonsense costs records, never memory.
#include <ring/writer.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ring/reader.hpp>

namespace nmircu::ring {
namespace {

constexpr std::uint64_t small_ring = 64 << 10;

// A writer, its own view of the shared memory, and a reader.
class rings {
  public:
    explicit rings(std::uint32_t cpus = 1, std::uint64_t ring_bytes = small_ring) {
        file_ = out.create(cpus, ring_bytes);
        EXPECT_GE(file_, 0);
        bytes_ = static_cast<std::size_t>(lseek(file_, 0, SEEK_END));
        base_ = static_cast<std::byte*>(
            mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0));
        std::string why;
        in = reader::open(file_, why);
        EXPECT_TRUE(in) << why;
    }
    rings(const rings&) = delete;
    rings& operator=(const rings&) = delete;
    ~rings() {
        munmap(base_, bytes_);
        close(file_);
        out.release();
    }

    ring_control& control(std::uint32_t ring) {
        return *reinterpret_cast<ring_control*>(base_ + page_bytes * (1 + ring));
    }
    bool put(std::uint32_t cpu, std::uint32_t kind, const std::string& text) {
        void* record = out.reserve(cpu, kind, static_cast<std::uint32_t>(text.size()));
        if (record == nullptr) return false;
        std::memcpy(record, text.data(), text.size());
        writer::commit(record);
        return true;
    }
    std::vector<std::string> poll() {
        std::vector<std::string> texts;
        in->poll([&](const record& found) {
            texts.emplace_back(reinterpret_cast<const char*>(found.payload.data()),
                               found.payload.size());
        });
        return texts;
    }
    [[nodiscard]] int file() const { return file_; }

    writer out;
    std::unique_ptr<reader> in;

  private:
    int file_ = -1;
    std::size_t bytes_ = 0;
    std::byte* base_ = nullptr;
};

using texts = std::vector<std::string>;

TEST(ring_writer, what_is_committed_is_read_with_its_exact_length) {
    rings shared(3);
    EXPECT_TRUE(shared.put(0, 1, "a"));
    EXPECT_TRUE(shared.put(2, 1025, "exactly eight by"));
    EXPECT_TRUE(shared.put(5, 4, "cpu 5 of 3"));  // taken modulo
    EXPECT_EQ(shared.poll(), (texts{"a", "exactly eight by", "cpu 5 of 3"}));
    EXPECT_EQ(shared.poll(), texts{});
}

TEST(ring_writer, records_are_aligned_whatever_came_before) {
    rings shared;
    for (std::uint32_t bytes = 1; bytes < 40; ++bytes) {
        void* record = shared.out.reserve(0, 1, bytes);
        ASSERT_NE(record, nullptr);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record) % 8, 0u);
        writer::commit(record);
    }
    EXPECT_EQ(shared.poll().size(), 39u);
}

TEST(ring_writer, an_uncommitted_record_holds_back_those_behind_it) {
    rings shared;
    void* outer = shared.out.reserve(0, 1, 5);
    std::memcpy(outer, "outer", 5);
    EXPECT_TRUE(shared.put(0, 1, "nested"));
    EXPECT_EQ(shared.poll(), texts{});
    writer::commit(outer);
    EXPECT_EQ(shared.poll(), (texts{"outer", "nested"}));
}

TEST(ring_writer, after_death_the_reader_finds_what_follows_an_unfinished_record) {
    rings shared;
    shared.put(0, 1, "before");
    void* never = shared.out.reserve(0, 1, 1000);
    std::memset(never, 0x55, 1000);
    shared.put(0, 1, "behind");
    texts found;
    shared.in->drain_after_death([&](const record& r) {
        found.emplace_back(reinterpret_cast<const char*>(r.payload.data()), r.payload.size());
    });
    EXPECT_EQ(found, (texts{"before", "behind"}));
    EXPECT_EQ(shared.in->unfinished(), 1u);
}

TEST(ring_writer, full_is_dropped_and_counted_exactly) {
    rings shared(2);
    const std::string record(120, 'x');  // 128 with its header: the ring takes 512
    unsigned granted = 0;
    for (int i = 0; i < 1000; ++i)
        granted += shared.put(1, 1, record) ? 1 : 0;
    EXPECT_EQ(granted, small_ring / 128);
    EXPECT_EQ(shared.out.lost(1), 1000 - granted);
    EXPECT_EQ(shared.in->lost(1), 1000 - granted);
    EXPECT_EQ(shared.out.lost(0), 0u);
    EXPECT_EQ(shared.poll().size(), granted);
    EXPECT_TRUE(shared.put(1, 1, record));  // there is room again
    EXPECT_EQ(shared.out.lost(1), 1000 - granted);
}

TEST(ring_writer, a_record_that_can_never_fit_is_counted_apart) {
    rings shared;
    const std::uint32_t most = shared.out.most_payload();
    EXPECT_EQ(shared.out.reserve(0, 1, most + 1), nullptr);
    EXPECT_EQ(shared.out.reserve(0, 1, ~0u), nullptr);
    EXPECT_EQ(shared.out.reserve(0, 1, 0), nullptr);
    EXPECT_EQ(shared.out.reserve(0, kind_padding, 8), nullptr);
    EXPECT_EQ(shared.out.reserve(0, most_kind + 1, 8), nullptr);
    EXPECT_EQ(shared.control(0).lost_oversize.load(), 5u);
    EXPECT_EQ(shared.control(0).lost_full.load(), 0u);
}

TEST(ring_writer, the_largest_record_fits_an_empty_ring_at_every_offset) {
    rings shared;
    const std::string largest(shared.out.most_payload(), 'L');
    for (std::uint64_t offset = 0; offset < 2 * small_ring; offset += 4088) {
        ASSERT_TRUE(shared.put(0, 1, largest)) << offset;
        ASSERT_EQ(shared.poll(), texts{largest});
        ASSERT_TRUE(shared.put(0, 1, std::string(4080, 'f')));
        ASSERT_EQ(shared.poll().size(), 1u);
    }
    EXPECT_EQ(shared.out.lost(0), 0u);
}

TEST(ring_writer, goes_around_many_times) {
    rings shared;
    std::mt19937 random(11);
    std::uint64_t written = 0;
    while (shared.control(0).head.load() < 60 * small_ring) {
        texts expected;
        for (int i = 0; i < 9; ++i) {
            std::string text(1 + random() % 3000, 'a');
            text += std::to_string(written++);
            ASSERT_TRUE(shared.put(0, 1, text));
            expected.push_back(text);
        }
        ASSERT_TRUE(shared.poll() == expected) << "after " << written << " records";
    }
    EXPECT_EQ(shared.in->corrupt_rings(), 0u);
}

TEST(ring_writer, nonsense_from_the_reader_means_full) {
    rings shared;
    ASSERT_TRUE(shared.put(0, 1, "x"));
    for (const std::uint64_t tail : {std::uint64_t{1} << 40, ~std::uint64_t{0}, ~small_ring}) {
        shared.control(0).tail.store(tail);
        EXPECT_EQ(shared.out.reserve(0, 1, 8), nullptr);
    }
    EXPECT_EQ(shared.control(0).lost_full.load(), 3u);
    shared.control(0).tail.store(0);
    for (const std::uint64_t head : {small_ring - 4, std::uint64_t{4}}) {
        shared.control(0).head.store(head);
        EXPECT_EQ(shared.out.reserve(0, 1, 8), nullptr);
    }
    EXPECT_EQ(shared.control(0).lost_full.load(), 5u);
}

TEST(ring_writer, any_head_and_tail_leave_the_mapping_alone) {
    rings shared(1);
    std::mt19937_64 random(3);
    for (int round = 0; round < 20000; ++round) {
        shared.control(0).tail.store(random() >> random() % 64);
        shared.control(0).head.store(shared.control(0).tail.load() + (random() >> random() % 64));
        const auto bytes = static_cast<std::uint32_t>(1 + random() % 20000);
        if (void* record = shared.out.reserve(0, 1, bytes)) {
            std::memset(record, 0xff, bytes);  // the last ring: beyond it is nothing
            writer::commit(record);
        }
    }
}

TEST(ring_writer, its_memory_can_be_resized_by_nobody) {
    rings shared;
    EXPECT_EQ(ftruncate(shared.file(), 0), -1);
    EXPECT_EQ(ftruncate(shared.file(), 1 << 30), -1);
    EXPECT_EQ(fcntl(shared.file(), F_ADD_SEALS, F_SEAL_WRITE), -1);
}

TEST(ring_writer, refuses_what_the_layout_cannot_express) {
    writer out;
    EXPECT_EQ(out.create(0, small_ring), -EINVAL);
    EXPECT_EQ(out.create(1025, small_ring), -EINVAL);
    EXPECT_EQ(out.create(1, small_ring / 2), -EINVAL);
    EXPECT_EQ(out.create(1, small_ring + 8), -EINVAL);
    EXPECT_EQ(out.create(1, std::uint64_t{512} << 20), -EINVAL);
    EXPECT_EQ(out.reserve(0, 1, 8), nullptr);
    EXPECT_EQ(out.lost(0), 0u);
}

TEST(ring_writer, detached_it_grants_nothing) {
    rings shared;
    ASSERT_TRUE(shared.put(0, 1, "x"));
    shared.out.detach();
    EXPECT_FALSE(shared.put(0, 1, "y"));
    EXPECT_EQ(shared.poll(), texts{"x"});
}

// What several writers leave: who, and their running number, twice, so that a torn one shows.
struct stamp {
    std::uint64_t writer_number;
    std::uint64_t number;
    std::uint64_t filler[6];
};

void write_stamp(void* record, std::uint64_t writer_number, std::uint64_t number) {
    const std::uint64_t check = writer_number * 1000003 + number;
    const stamp content{writer_number, number, {check, check, check, check, check, check}};
    std::memcpy(record, &content, sizeof content);
}

// Checks every record: whole, and each writer's numbers rising without a gap but where it lost one.
class stamp_checker {
  public:
    explicit stamp_checker(unsigned writers) : next_(writers) {}
    void operator()(const record& found) {
        stamp content;
        ASSERT_EQ(found.payload.size(), sizeof content);
        std::memcpy(&content, found.payload.data(), sizeof content);
        ASSERT_LT(content.writer_number, next_.size());
        for (const std::uint64_t word : content.filler)
            ASSERT_EQ(word, content.writer_number * 1000003 + content.number);
        ASSERT_GE(content.number, next_[content.writer_number]);
        next_[content.writer_number] = content.number + 1;
        ++records;
    }
    std::uint64_t records = 0;

  private:
    std::vector<std::uint64_t> next_;
};

TEST(ring_writer, many_threads_share_one_ring) {
    constexpr unsigned writers = 4;
    constexpr std::uint64_t each = 30000;
    rings shared;
    std::atomic<std::uint64_t> granted{0};
    std::atomic<unsigned> running{writers};
    std::vector<std::thread> threads;
    for (unsigned w = 0; w < writers; ++w) {
        threads.emplace_back([&, w] {
            for (std::uint64_t i = 0; i < each; ++i) {
                void* record = shared.out.reserve(0, 1, sizeof(stamp));
                if (record == nullptr) continue;
                granted.fetch_add(1);
                write_stamp(record, w, i);
                writer::commit(record);
            }
            running.fetch_sub(1);
        });
    }
    stamp_checker checker(writers);
    while (running.load() != 0)
        shared.in->poll(std::ref(checker));
    for (std::thread& thread : threads)
        thread.join();
    shared.in->poll(std::ref(checker));
    EXPECT_EQ(checker.records, granted.load());
    EXPECT_EQ(checker.records + shared.out.lost(0), writers * each);
    EXPECT_EQ(shared.in->corrupt_rings(), 0u);
    EXPECT_GT(checker.records, 0u);
}

// A handler that writes while the code it interrupted is between reserve and commit, to any depth.
constexpr unsigned depth = 4;
writer* interrupted;
std::atomic<std::uint64_t> nested_granted[depth];
std::atomic<std::uint64_t> nested_number[depth];

void write_nested(unsigned level) {
    const std::uint64_t number = nested_number[level].fetch_add(1);
    void* record = interrupted->reserve(0, 1, sizeof(stamp));
    if (level + 1 < depth) raise(SIGUSR1);
    if (record == nullptr) return;
    nested_granted[level].fetch_add(1);
    write_stamp(record, level, number);
    if (level + 1 < depth) raise(SIGUSR1);
    writer::commit(record);
}

std::atomic<unsigned> level_now{0};
void on_signal(int) {
    const unsigned level = level_now.fetch_add(1) + 1;
    write_nested(level);
    level_now.fetch_sub(1);
}

TEST(ring_writer, a_signal_between_reserve_and_commit_may_write_too) {
    rings shared;
    interrupted = &shared.out;
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_NODEFER;
    struct sigaction before {};
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    // Numbers are drawn before the reserve, so a nested writer's record may come later in the ring
    // than its number says; each level's own records are in order.
    stamp_checker checker(depth);
    for (int i = 0; i < 2000; ++i) {
        write_nested(0);
        if (i % 3 == 0) shared.in->poll(std::ref(checker));
    }
    shared.in->poll(std::ref(checker));
    sigaction(SIGUSR1, &before, nullptr);

    std::uint64_t granted = 0;
    std::uint64_t asked = 0;
    for (unsigned level = 0; level < depth; ++level) {
        granted += nested_granted[level].load();
        asked += nested_number[level].load();
    }
    EXPECT_EQ(asked, 2000u * (1 + 2 + 4 + 8));
    EXPECT_EQ(checker.records, granted);
    EXPECT_EQ(granted + shared.out.lost(0), asked);
    EXPECT_EQ(shared.in->corrupt_rings(), 0u);
}

}  // namespace
}  // namespace nmircu::ring
