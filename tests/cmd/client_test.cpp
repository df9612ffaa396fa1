// SPDX-License-Identifier: MIT
//
// Property: however the agent's answer arrives, and whatever it is, a request ends within its
// deadline with a reply or with a reason, and a descriptor that came along is ours once.
#include <nmi/target/client.hpp>

#include <cstring>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nmircu::command {
namespace {

constexpr milliseconds ample{20000};

struct client_test : testing::Test {
    client_test() {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
        ours = std::make_unique<client>(unique_fd(ends[0]));
        agent = unique_fd(ends[1]);
    }
    void answer(const std::string& bytes) {
        ASSERT_EQ(write(agent.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
    }
    std::unique_ptr<client> ours;
    unique_fd agent;
};

TEST_F(client_test, a_reply_is_taken_apart) {
    answer(agent::encode({"ok", "1", "4711"}));
    const reply found = ours->request({"hello"}, ample);
    EXPECT_TRUE(found.ok);
    EXPECT_EQ(found.fields, (message{"1", "4711"}));
    char sent[64];
    const ssize_t count = read(agent.get(), sent, sizeof sent);
    EXPECT_EQ(std::string(sent, static_cast<std::size_t>(count)), agent::encode({"hello"}));
}

TEST_F(client_test, a_refusal_brings_its_reason_and_its_hint_in_one_line_each) {
    answer(agent::encode({"error", "6", "init said\nno", "try\tyes"}));
    const reply found = ours->request({"load"}, ample);
    EXPECT_FALSE(found.ok);
    EXPECT_EQ(found.error, "init said no");
    EXPECT_EQ(found.hint, "try yes");
}

TEST_F(client_test, a_reply_may_come_byte_by_byte) {
    const std::string frame = agent::encode({"ok", std::string(9000, 'x')});
    std::thread slow([&] {
        for (const char byte : frame) {
            if (write(agent.get(), &byte, 1) != 1) std::abort();
        }
    });
    const reply found = ours->request({"status"}, ample);
    slow.join();
    ASSERT_TRUE(found.ok);
    EXPECT_EQ(found.fields[0].size(), 9000u);
}

TEST_F(client_test, silence_ends_at_the_deadline) {
    const reply found = ours->request({"status"}, milliseconds(10));
    EXPECT_FALSE(found.ok);
    EXPECT_NE(found.error.find("did not answer"), std::string::npos);
    EXPECT_FALSE(ours->closed());
}

TEST_F(client_test, a_connection_that_ends_is_told) {
    agent.reset();
    const reply found = ours->request({"status"}, ample);
    EXPECT_FALSE(found.ok);
    EXPECT_NE(found.error.find("closed"), std::string::npos);
    EXPECT_TRUE(ours->closed());
    EXPECT_FALSE(ours->send({"status"}));
}

TEST_F(client_test, an_answer_that_breaks_the_protocol_closes_the_connection) {
    answer(std::string("\0\0\0\0", 4));
    EXPECT_FALSE(ours->request({"status"}, ample).ok);
    EXPECT_TRUE(ours->closed());
}

TEST_F(client_test, an_answer_without_sense_is_an_error) {
    answer(agent::encode({"perhaps"}));
    EXPECT_FALSE(ours->request({"status"}, ample).ok);
    answer(agent::encode({"error", "1"}));
    EXPECT_FALSE(ours->request({"status"}, ample).ok);
}

TEST_F(client_test, the_announcement_of_the_exit_is_no_reply) {
    answer(agent::encode({"exiting"}) + agent::encode({"ok", "x"}));
    const reply found = ours->request({"status"}, ample);
    EXPECT_TRUE(found.ok);
    EXPECT_EQ(found.fields, message{"x"});
    EXPECT_TRUE(ours->exiting());
}

TEST_F(client_test, a_request_that_cannot_be_sent_is_refused) {
    EXPECT_FALSE(ours->request({std::string(70000, 'x')}, ample).ok);
    EXPECT_FALSE(ours->request({std::string("a\0b", 3)}, ample).ok);
    EXPECT_FALSE(ours->closed());
}

void send_with_descriptors(int socket, const std::string& bytes, const std::vector<int>& fds) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[256] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
    ASSERT_EQ(sendmsg(socket, &header, 0), static_cast<ssize_t>(bytes.size()));
}

TEST_F(client_test, a_descriptor_comes_along_and_extra_ones_are_closed) {
    const int lowest_before = dup(0);
    close(lowest_before);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    send_with_descriptors(agent.get(), agent::encode({"ok"}), {ends[1], ends[1], ends[1]});
    close(ends[1]);
    ASSERT_TRUE(ours->request({"rings"}, ample).ok);
    {
        const unique_fd got = ours->take_descriptor();
        ASSERT_TRUE(got);
        EXPECT_EQ(fcntl(got.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        EXPECT_EQ(write(got.get(), "x", 1), 1);
        char byte;
        EXPECT_EQ(read(ends[0], &byte, 1), 1);
    }
    EXPECT_FALSE(ours->take_descriptor());
    char byte;
    EXPECT_EQ(read(ends[0], &byte, 1), 0);  // nobody holds the other end any more
    close(ends[0]);
}

}  // namespace
}  // namespace nmircu::command
