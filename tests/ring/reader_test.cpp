// SPDX-License-Identifier: MIT
//
// Property: the reader hands over exactly the committed records, in order, once; after the writer's
// death also those behind a record that was never finished; and nothing a hostile writer can put
// into the region makes it read outside the mapping, loop, or hand over what was not committed.
#include <ring/reader.hpp>

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "region_fixture.hpp"

namespace nmircu::ring {
namespace {

using texts = std::vector<std::string>;

std::string text_of(const record& found) {
    std::string text(reinterpret_cast<const char*>(found.payload.data()), found.payload.size());
    text.resize(text.find_last_not_of('\0') + 1);
    return text;
}

struct opened {
    explicit opened(region_fixture& region) { source = reader::open(region.fd(), why); }
    texts poll() {
        texts out;
        source->poll([&](const record& found) { out.push_back(text_of(found)); });
        return out;
    }
    texts drain() {
        texts out;
        source->drain_after_death([&](const record& found) { out.push_back(text_of(found)); });
        return out;
    }
    std::string why;
    std::unique_ptr<reader> source;
};

TEST(ring_reader, hands_over_committed_records_once_and_in_order) {
    region_fixture region(2);
    opened rings(region);
    ASSERT_TRUE(rings.source) << rings.why;
    region.write(0, 1, "first");
    region.write(0, 1, "second, longer than eight bytes");
    region.write(1, 7, "other cpu");
    EXPECT_EQ(rings.poll(), (texts{"first", "second, longer than eight bytes", "other cpu"}));
    EXPECT_EQ(rings.poll(), texts{});
    EXPECT_EQ(region.control(0).tail.load(), region.control(0).head.load());
}

TEST(ring_reader, tells_kind_and_cpu) {
    region_fixture region(3);
    opened rings(region);
    region.write(2, 1025, "x");
    rings.source->poll([](const record& found) {
        EXPECT_EQ(found.ring, 2u);
        EXPECT_EQ(found.kind, 1025u);
        EXPECT_EQ(found.payload.size(), 8u);
    });
}

TEST(ring_reader, waits_for_an_uncommitted_record_while_the_writer_lives) {
    region_fixture region;
    opened rings(region);
    const std::uint64_t outer = region.reserve(0, "outer");
    region.write(0, 1, "nested");
    EXPECT_EQ(rings.poll(), texts{});
    region.commit(0, outer, 1, "outer");
    EXPECT_EQ(rings.poll(), (texts{"outer", "nested"}));
}

TEST(ring_reader, goes_around_many_times) {
    region_fixture region;
    opened rings(region);
    std::mt19937 random(7);
    std::uint64_t written = 0;
    while (region.control(0).head.load() < 40 * region.header().ring_bytes) {
        texts expected;
        for (int i = 0; i < 9; ++i) {
            std::string text(1 + random() % 3000, 'a');
            text += std::to_string(written++);
            region.write(0, 1, text);
            expected.push_back(text);
        }
        ASSERT_TRUE(rings.poll() == expected) << "after " << written << " records";
    }
    EXPECT_EQ(rings.source->corrupt_rings(), 0u);
}

TEST(ring_reader, memory_of_an_earlier_lap_is_not_a_record) {
    region_fixture region;
    opened rings(region);
    const std::string filler(4096 - header_bytes, 'x');  // sixteen fill the ring exactly
    for (int i = 0; i < 16; ++i)
        region.write(0, 1, filler);
    EXPECT_EQ(rings.poll().size(), 16u);
    region.reserve(0, filler);  // lies where the first lap's first record was
    EXPECT_EQ(rings.poll(), texts{});
    EXPECT_EQ(rings.drain(), texts{});
    EXPECT_EQ(rings.source->unfinished(), 1u);
}

TEST(ring_reader, after_death_steps_over_unfinished_records) {
    region_fixture region;
    opened rings(region);
    region.write(0, 1, "before");
    region.reserve(0, "never finished, with some length to it");
    region.write(0, 1, "nested");
    region.reserve(0, "another");
    region.write(0, 1, "behind");
    region.reserve(0, "the last");
    EXPECT_EQ(rings.poll(), texts{"before"});
    EXPECT_EQ(rings.drain(), (texts{"nested", "behind"}));
    EXPECT_EQ(rings.source->unfinished(), 3u);
    EXPECT_EQ(rings.drain(), texts{});
}

TEST(ring_reader, an_unfinished_payload_of_addresses_is_not_taken_for_records) {
    region_fixture region(1, 1 << 20);
    opened rings(region);
    // Everywhere in the unfinished record: words whose upper half is the position in words, as that
    // of a user-space address or a small number may be.
    const std::uint64_t at = region.reserve(0, std::string(900000, 'x'));
    for (std::uint64_t i = at + header_bytes; i < at + 900000; i += 8) {
        region.set_word(0, i, (i >> 3) << 32 | 1u << 20 | 64u);
    }
    region.write(0, 1, "true");
    EXPECT_EQ(rings.drain(), texts{"true"});
}

TEST(ring_reader, a_record_beyond_head_is_refused) {
    region_fixture region;
    opened rings(region);
    region.control(0).head.store(16);
    region.set_word(0, 0, header_word(0, 1, 4096));
    EXPECT_EQ(rings.poll(), texts{});
    EXPECT_EQ(rings.source->corrupt_rings(), 1u);
}

TEST(ring_reader, a_record_across_the_end_is_refused) {
    region_fixture region;
    const std::uint64_t at = region.header().ring_bytes - 64;
    region.control(0).head.store(at + 4096);
    region.control(0).tail.store(at);
    region.set_word(0, at, header_word(at, 1, 128));
    opened rings(region);
    EXPECT_EQ(rings.poll(), texts{});
    EXPECT_EQ(rings.source->corrupt_rings(), 1u);
    EXPECT_EQ(rings.drain(), texts{});
}

TEST(ring_reader, header_lengths_below_a_header_do_not_loop) {
    for (std::uint32_t bytes = 0; bytes < header_bytes; ++bytes) {
        region_fixture region;
        opened rings(region);
        region.control(0).head.store(4096);
        region.set_word(0, 0, header_word(0, 1, bytes));
        EXPECT_EQ(rings.poll(), texts{});
        EXPECT_EQ(rings.drain(), texts{});
    }
}

TEST(ring_reader, a_tail_the_writer_could_not_have_seen_is_not_followed) {
    for (const std::uint64_t tail : {std::uint64_t{4}, ~std::uint64_t{0}, std::uint64_t{1} << 40}) {
        region_fixture region;
        region.control(0).tail.store(tail);
        opened rings(region);
        ASSERT_TRUE(rings.source);
        EXPECT_EQ(rings.source->corrupt_rings(), 1u);
        EXPECT_EQ(rings.poll(), texts{});
        EXPECT_EQ(rings.drain(), texts{});
    }
}

TEST(ring_reader, any_garbage_is_survived) {
    std::mt19937_64 random(20240);
    for (int round = 0; round < 60; ++round) {
        region_fixture region(2);
        opened rings(region);
        for (std::uint32_t cpu = 0; cpu < 2; ++cpu) {
            for (std::uint64_t at = 0; at < region.header().ring_bytes; at += 8) {
                const auto kind = static_cast<std::uint32_t>(random()) & most_kind;
                const auto bytes = static_cast<std::uint32_t>(random()) & 0xfffff >> random() % 20;
                const bool tagged = random() % 4 == 0;
                region.set_word(cpu, at, tagged ? header_word(at, kind, bytes) : random());
            }
            region.control(cpu).head.store(random() >> random() % 64);
        }
        std::size_t bytes = 0;
        const auto count = [&](const record& found) { bytes += found.payload.size(); };
        rings.source->poll(count);
        rings.source->drain_after_death(count);
        EXPECT_LE(bytes, 8 * region.header().ring_bytes);
    }
}

TEST(ring_reader, tells_how_full_the_fullest_ring_was) {
    region_fixture region(2);
    opened rings(region);
    region.write(1, 1, std::string(region.header().ring_bytes / 2 - header_bytes, 'x'));
    rings.poll();
    EXPECT_DOUBLE_EQ(rings.source->fullest(), 0.5);
    rings.poll();
    EXPECT_DOUBLE_EQ(rings.source->fullest(), 0);
}

TEST(ring_reader, counts_lost_records_by_ring) {
    region_fixture region(2);
    opened rings(region);
    region.control(1).lost_full.store(3);
    region.control(1).lost_oversize.store(2);
    EXPECT_EQ(rings.source->lost(0), 0u);
    EXPECT_EQ(rings.source->lost(1), 5u);
}

TEST(ring_reader, refuses_impossible_regions) {
    const auto refused = [](auto change) {
        region_fixture region(2);
        region_header header = region.header();
        change(header);
        region.publish(header);
        std::string why;
        const bool none = reader::open(region.fd(), why) == nullptr;
        EXPECT_NE(why, "");
        return none;
    };
    EXPECT_TRUE(refused([](region_header& h) { h.magic ^= 1; }));
    EXPECT_TRUE(refused([](region_header& h) { h.version = 2; }));
    EXPECT_TRUE(refused([](region_header& h) { h.cpu_count = 0; }));
    EXPECT_TRUE(refused([](region_header& h) { h.cpu_count = 1025; }));
    EXPECT_TRUE(refused([](region_header& h) { h.cpu_count = 3; }));
    EXPECT_TRUE(refused([](region_header& h) { h.ring_bytes = 0; }));
    EXPECT_TRUE(refused([](region_header& h) { h.ring_bytes -= 8; }));
    EXPECT_TRUE(refused([](region_header& h) { h.ring_bytes *= 2; }));
    EXPECT_TRUE(refused([](region_header& h) { h.ring_bytes = 1ull << 63; }));
    EXPECT_TRUE(refused([](region_header& h) { h.rings_at = 0; }));
    EXPECT_TRUE(refused([](region_header& h) { h.rings_at += 8; }));
    EXPECT_TRUE(refused([](region_header& h) { h.rings_at = ~0ull << 12; }));
    EXPECT_TRUE(refused([](region_header& h) { h.data_at -= page_bytes; }));
    EXPECT_TRUE(refused([](region_header& h) { h.data_at = ~0ull << 12; }));
    EXPECT_TRUE(refused([](region_header& h) { h.total_bytes += 1; }));
    EXPECT_TRUE(refused([](region_header& h) { h.total_bytes = 0; }));
}

TEST(ring_reader, refuses_what_is_no_sealed_memory_file) {
    std::string why;
    EXPECT_EQ(reader::open(-1, why), nullptr);
    EXPECT_NE(why, "");
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    EXPECT_EQ(reader::open(ends[0], why), nullptr);
    close(ends[0]);
    close(ends[1]);
    region_fixture unsealed(1, 64 << 10, MFD_CLOEXEC);
    EXPECT_EQ(reader::open(unsealed.fd(), why), nullptr);
    EXPECT_NE(why.find("shrink"), std::string::npos) << why;
}

}  // namespace
}  // namespace nmircu::ring
