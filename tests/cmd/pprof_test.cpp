// SPDX-License-Identifier: MIT
//
// Property: what is written as pprof is read back the same; what others may write is understood;
// and whatever the bytes are, the answer is a profile whose every reference is valid, or one line.
#include <nmi/pprof/pprof.hpp>

#include <random>

#include <gtest/gtest.h>

#include <nmi/output/profile_files.hpp>
#include <nmi/output/speedscope.hpp>
#include <nmi/pprof/gzip.hpp>
#include <nmi/pprof/wire.hpp>
#include <nmi/profile/losses.hpp>

namespace nmircu::command {
namespace {

using namespace pprof_field;

profile example() {
    profile made;
    made.value_types = {{"samples", "count"}, {"cpu", "nanoseconds"}};
    made.default_value_type = 1;
    made.period_type = {"cpu", "nanoseconds"};
    made.period = 1'000'000;
    made.time_ns = 1'700'000'000'000'000'000;
    made.duration_ns = 2'000'000'000;
    made.mappings = {{0x400000, 0x500000, 0x1000, "/bin/prog", "0123abcd"},
                     {0x7f0000000000, 0x7f0000100000, 0, "/lib/libx.so", ""}};
    made.functions = {
        {"main", "main", "main.c"}, {"work", "_Zwork", ""}, {"inlined", "inl", "i.h"}};
    made.locations = {{0x400010, 0, {{0, 12}}},
                      {0x7f0000000020, 1, {{2, 7}, {1, -3}}},
                      {0xffffffffffffff00, std::nullopt, {}}};
    made.samples = {{{1, 0}, {7, 7'000'000}, "worker", 4711},
                    {{2}, {1, 1'000'000}, "", 0},
                    {{}, {-1, 0}, "idle", 3}};
    made.comments = loss_comments({3, 2, 1, 0, 0, 0, 0, 0});
    made.comments.push_back(command_comment("prog --fast"));
    return made;
}

std::optional<profile> decoded(std::string_view bytes) {
    std::string why;
    std::optional<profile> found = decode_pprof(bytes, why);
    EXPECT_EQ(found.has_value(), why.empty()) << why;
    EXPECT_EQ(why.find('\n'), std::string::npos);
    return found;
}

std::string plain(const std::string& file) {
    std::string why;
    return gunzip(file, std::size_t{1} << 20, why).value_or("");
}

// Everything that is shown of a profile follows its references.
void follow(const profile& of) {
    profile_table(of, "name", 10, 80);
    speedscope(of, true, "name");
    for (const profile_sample& sample : of.samples)
        ASSERT_EQ(sample.values.size(), of.value_types.size());
}

TEST(pprof, what_is_written_is_read) {
    const profile made = example();
    const std::optional<profile> found = decoded(encode_pprof(made));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->value_types, made.value_types);
    EXPECT_EQ(found->default_value_type, 1u);
    EXPECT_EQ(found->period_type, made.period_type);
    EXPECT_EQ(found->period, made.period);
    EXPECT_EQ(found->time_ns, made.time_ns);
    EXPECT_EQ(found->duration_ns, made.duration_ns);
    EXPECT_EQ(found->comments, made.comments);
    EXPECT_EQ(found->functions, made.functions);
    ASSERT_EQ(found->mappings.size(), 2u);
    EXPECT_EQ(found->mappings[0].begin, 0x400000u);
    EXPECT_EQ(found->mappings[0].end, 0x500000u);
    EXPECT_EQ(found->mappings[0].file_offset, 0x1000u);
    EXPECT_EQ(found->mappings[0].file, "/bin/prog");
    EXPECT_EQ(found->mappings[0].build_id, "0123abcd");
    ASSERT_EQ(found->locations.size(), 3u);
    EXPECT_EQ(found->locations[1].mapping, 1u);
    EXPECT_EQ(found->locations[1].lines.size(), 2u);
    EXPECT_EQ(found->locations[1].lines[1].line, -3);
    EXPECT_EQ(found->locations[2].address, 0xffffffffffffff00u);
    EXPECT_FALSE(found->locations[2].mapping);
    ASSERT_EQ(found->samples.size(), 3u);
    EXPECT_EQ(found->samples[0].locations, (std::vector<std::uint32_t>{1, 0}));
    EXPECT_EQ(found->samples[0].values, (std::vector<std::int64_t>{7, 7'000'000}));
    EXPECT_EQ(found->samples[0].thread, "worker");
    EXPECT_EQ(found->samples[0].thread_id, 4711);
    EXPECT_EQ(found->samples[2].values[0], -1);
    EXPECT_EQ(encode_pprof(*found), encode_pprof(made));
}

TEST(pprof, uncompressed_and_joined_files_are_read) {
    const std::string file = encode_pprof(example());
    EXPECT_TRUE(decoded(plain(file)));
    const std::string text = plain(file);
    EXPECT_TRUE(decoded(gzip(text.substr(0, 20)) + gzip(text.substr(20))));
}

TEST(pprof, names_that_are_no_utf8_are_written_as_utf8) {
    profile made = example();
    made.functions[0].name = "a\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80z";
    made.functions[1].name = "µ…\xf0\x9f\x98\x80\xe0\xa4\x85\xf0\x90";
    const std::optional<profile> found = decoded(encode_pprof(made));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->functions[0].name, "a??????????z");
    EXPECT_EQ(found->functions[1].name, "µ…\xf0\x9f\x98\x80\xe0\xa4\x85??");
}

// As other writers do: strings first, one number a field, fields we do not know, no default.
TEST(pprof, other_writers_are_understood) {
    wire::writer file;
    for (const char* text : {"", "alloc", "bytes", "f"})
        file.bytes(strings, text);
    wire::writer type, function, location, line, sample;
    type.number(value_type, std::uint64_t{1});
    type.number(value_unit, std::uint64_t{2});
    function.number(function_id, std::uint64_t{77});
    function.number(function_name_text, std::uint64_t{3});
    function.number(99, std::uint64_t{3});
    line.number(line_function, std::uint64_t{77});
    location.number(location_id, std::uint64_t{5});
    location.bytes(location_lines, line.out());
    sample.number(sample_locations, std::uint64_t{5});
    sample.number(sample_locations, std::uint64_t{5});
    sample.number(sample_values, std::uint64_t{4096});
    file.bytes(samples, sample.out());
    file.bytes(locations, location.out());
    file.bytes(functions, function.out());
    file.bytes(value_types, type.out());
    const std::optional<profile> found = decoded(gzip(file.out()));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->samples[0].locations, (std::vector<std::uint32_t>{0, 0}));
    EXPECT_NE(profile_table(*found, "x.pb.gz", 10, 80).find("4,096"), std::string::npos);
}

TEST(pprof, what_is_no_profile_is_refused_with_a_reason) {
    const auto refused = [](std::string_view bytes) {
        std::string why;
        EXPECT_FALSE(decode_pprof(bytes, why));
        EXPECT_FALSE(why.empty());
        return why;
    };
    refused("");
    refused("what is this");
    refused("\x1f\x8b");
    refused(gzip(""));
    refused(gzip("what is this"));
    const std::string file = encode_pprof(example());
    EXPECT_NE(refused(file.substr(0, file.size() / 2)).find("cut off"), std::string::npos);
    refused(gzip(plain(file).substr(1)));
    profile two = example();
    std::string text = plain(file);
    wire::writer more;
    wire::writer again;
    again.number(function_id, std::uint64_t{1});
    more.bytes(functions, again.out());
    EXPECT_NE(refused(text + more.out()).find("two functions"), std::string::npos);
    wire::writer wrong, sample;
    sample.number(sample_locations, std::uint64_t{12345});
    wrong.bytes(samples, sample.out());
    EXPECT_NE(refused(text + wrong.out()).find("no location 12345"), std::string::npos);
}

TEST(pprof, a_few_bytes_do_not_become_many) {
    std::string why;
    const std::string bomb = gzip(std::string(std::size_t{150} << 20, 'x'));
    EXPECT_LT(bomb.size(), std::size_t{1} << 20);
    EXPECT_FALSE(decode_pprof(bomb, why));
    EXPECT_NE(why.find("too large"), std::string::npos) << why;

    wire::writer file, type;
    file.bytes(strings, "");
    file.bytes(strings, std::string(std::size_t{1} << 20, 'x'));
    type.number(value_type, std::uint64_t{1});
    file.bytes(value_types, type.out());
    file.packed(comments, std::vector<std::uint64_t>(100'000, 1));
    EXPECT_FALSE(decode_pprof(file.out(), why));
    EXPECT_NE(why.find("too long"), std::string::npos) << why;
}

TEST(pprof, damage_anywhere_is_refused_or_harmless) {
    const std::string text = plain(encode_pprof(example()));
    for (std::size_t end = 0; end < text.size(); ++end) {
        if (const std::optional<profile> found = decoded(text.substr(0, end))) follow(*found);
    }
    std::mt19937 random(7);
    unsigned survived = 0;
    for (int round = 0; round < 4000; ++round) {
        std::string damaged = text;
        for (unsigned i = 0; i <= random() % 3; ++i)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        if (const std::optional<profile> found = decoded(damaged)) {
            ++survived;
            follow(*found);
        }
    }
    EXPECT_GT(survived, 100u);
    EXPECT_LT(survived, 3900u);
}

TEST(losses, are_said_also_if_they_are_nothing) {
    profile made = example();
    made.comments = loss_comments({});
    const std::string line = comment_line(made);
    for (const char* what :
         {"lost records: 0", "overruns: 0", "unreachable threads: 0", "stacks cut at the limit: 0",
          "stacks unwound badly: 0", "malformed records: 0"}) {
        EXPECT_NE(line.find(what), std::string::npos) << what;
        EXPECT_NE(profile_table(made, "", 5, 80).find(what), std::string::npos) << what;
        EXPECT_NE(speedscope(made, false, "").find(what), std::string::npos) << what;
    }
}

}  // namespace
}  // namespace nmircu::command
