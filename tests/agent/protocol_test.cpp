// SPDX-License-Identifier: MIT
//
// Property: whatever arrives, and in whatever pieces, a message is taken whole or not at all; a
// frame that breaks the rules is refused before its contents are used; and both ends find the
// socket in the same directory, which nobody else can enter.
#include <agent/protocol.hpp>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmircu::agent {
namespace {

namespace fs = std::filesystem;

const message example{"load", "/a/path.so", "1000", "auto", "key=value", ""};

TEST(protocol, a_message_survives_the_trip) {
    const std::string frame = encode(example);
    message fields;
    std::size_t consumed = 0;
    ASSERT_EQ(decode(frame + "more", fields, consumed), frame_state::complete);
    EXPECT_EQ(fields, example);
    EXPECT_EQ(consumed, frame.size());
}

TEST(protocol, every_proper_prefix_is_incomplete_and_touches_nothing) {
    const std::string frame = encode(example);
    for (std::size_t length = 0; length < frame.size(); ++length) {
        message fields{"before"};
        std::size_t consumed = 77;
        EXPECT_EQ(decode(frame.substr(0, length), fields, consumed), frame_state::incomplete);
        EXPECT_EQ(fields, message{"before"});
        EXPECT_EQ(consumed, 77u);
    }
}

TEST(protocol, what_cannot_be_sent_is_not_encoded) {
    EXPECT_EQ(encode({}), "");
    EXPECT_EQ(encode({std::string("a\0b", 3)}), "");
    EXPECT_EQ(encode({std::string(most_message_bytes, 'x')}), "");
    EXPECT_NE(encode({std::string(most_message_bytes - 1, 'x')}), "");
}

TEST(protocol, wrong_lengths_and_unterminated_fields_are_malformed) {
    using std::string_literals::operator""s;
    message fields;
    std::size_t consumed = 0;
    for (const std::string& frame :
         {"\0\0\0\0"s, "\1\0\1\0"s, "\xff\xff\xff\xff"s, "\3\0\0\0abc"s, "\4\0\0\0a\0bc"s}) {
        EXPECT_EQ(decode(frame, fields, consumed), frame_state::malformed);
    }
}

TEST(protocol, garbage_never_yields_a_field_with_a_nul) {
    std::mt19937 random(5);
    for (int round = 0; round < 20000; ++round) {
        std::string bytes(random() % 40, '\0');
        for (char& byte : bytes)
            byte = static_cast<char>(random() % 5);
        message fields;
        std::size_t consumed = 0;
        if (decode(bytes, fields, consumed) != frame_state::complete) continue;
        EXPECT_LE(consumed, bytes.size());
        for (const std::string& field : fields)
            EXPECT_EQ(field.find('\0'), std::string::npos);
    }
}

class socket_place : public testing::Test {
  protected:
    socket_place() {
        char name[] = "/tmp/nmi-protocol-test-XXXXXX";
        root_ = mkdtemp(name);
    }
    ~socket_place() override { fs::remove_all(root_); }
    std::string path(directory_use use) {
        return socket_path_of({geteuid(), root_.c_str()}, 42, use, why_);
    }
    std::string root_, why_;
};

TEST_F(socket_place, is_created_for_the_owner_alone) {
    EXPECT_EQ(path(directory_use::create), root_ + "/nmi/42.sock");
    struct stat found;
    ASSERT_EQ(stat((root_ + "/nmi").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0700u);
    EXPECT_EQ(path(directory_use::create), root_ + "/nmi/42.sock");
}

TEST_F(socket_place, looking_creates_nothing) {
    EXPECT_EQ(path(directory_use::look), root_ + "/nmi/42.sock");
    EXPECT_FALSE(fs::exists(root_ + "/nmi"));
}

TEST_F(socket_place, falls_back_where_the_runtime_directory_is_unusable) {
    const std::string fallback = "/tmp/nmi-" + std::to_string(geteuid()) + "/42.sock";
    for (const char* runtime :
         {static_cast<const char*>(nullptr), "", "relative", "/nonexistent"}) {
        EXPECT_EQ(socket_path_of({geteuid(), runtime}, 42, directory_use::look, why_), fallback);
    }
    chmod(root_.c_str(), 0755);
    EXPECT_EQ(path(directory_use::look), fallback);
}

TEST_F(socket_place, is_refused_where_others_may_enter) {
    mkdir((root_ + "/nmi").c_str(), 0755);
    chmod((root_ + "/nmi").c_str(), 0755);
    EXPECT_EQ(path(directory_use::create), "");
    EXPECT_NE(why_.find(root_ + "/nmi"), std::string::npos);
}

TEST_F(socket_place, is_refused_behind_a_symbolic_link) {
    mkdir((root_ + "/real").c_str(), 0700);
    fs::create_symlink(root_ + "/real", root_ + "/nmi");
    EXPECT_EQ(path(directory_use::create), "");
}

TEST_F(socket_place, is_refused_when_too_long_for_a_socket) {
    const std::string deep = root_ + "/" + std::string(90, 'd');
    mkdir(deep.c_str(), 0700);
    EXPECT_EQ(socket_path_of({geteuid(), deep.c_str()}, 42, directory_use::create, why_), "");
    EXPECT_NE(why_.find("longer"), std::string::npos);
    EXPECT_FALSE(fs::exists(deep + "/nmi"));
}

}  // namespace
}  // namespace nmircu::agent
