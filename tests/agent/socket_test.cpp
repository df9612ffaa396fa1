// SPDX-License-Identifier: MIT
//
// Property: whatever is sent to the agent's socket, however slowly and by however many, only the
// sender is disconnected, everybody else is served meanwhile, and the program goes on.
#include <random>

#include "agent/program.hpp"

namespace {

using namespace test;

std::string length(std::uint32_t value) {
    std::string out;
    for (int i = 0; i < 4; ++i)
        out += static_cast<char>(value >> (8 * i) & 0xff);
    return out;
}

class agent_socket : public testing::Test {
  protected:
    void TearDown() override {
        EXPECT_EQ(target.ask({"hello"})[0], "ok");
        EXPECT_EQ(target.tell("alive"), "yes");
    }
    program target;
};

TEST_F(agent_socket, malformed_messages_disconnect_their_sender) {
    peer good = target.connect();
    EXPECT_EQ(good.ask({"hello"})[0], "ok");
    const std::string wrong[] = {
        length(0),
        length(65537) + std::string(100, 'x'),
        length(0xffffffff),
        length(5) + "hello",  // no NUL at the end
        length(1) + "x",
        std::string(200000, '\0'),
        std::string(200000, '\xff'),
        "GET / HTTP/1.0\r\n\r\n",
    };
    for (const std::string& bytes : wrong) {
        peer bad = target.connect();
        bad.send_bytes(bytes);
        EXPECT_TRUE(bad.is_closed()) << bytes.substr(0, 20);
        EXPECT_EQ(good.ask({"hello"})[0], "ok");
    }
}

TEST_F(agent_socket, odd_but_well_formed_requests_are_refused) {
    peer one = target.connect();
    EXPECT_THAT(one.ask({""}), is_refused(failure::unknown_verb, "''"));
    EXPECT_THAT(one.ask({"dance"}), is_refused(failure::unknown_verb, "'dance'"));
    EXPECT_THAT(one.ask({"a\nb\tc"}), is_refused(failure::unknown_verb, "'a b c'"));
    EXPECT_THAT(one.ask({"load"}), is_refused(failure::malformed, "load takes"));
    EXPECT_THAT(one.ask({"swap", "x"}), is_refused(failure::malformed, "swap takes"));
    EXPECT_THAT(one.ask({"unload"}), is_refused(failure::malformed, "unload takes"));
    EXPECT_THAT(one.ask({"unload", "a", "b"}), is_refused(failure::malformed, "unload takes"));
    EXPECT_THAT(one.ask({"load", "/" + std::string(60000, 'x'), "1000", "auto"}),
                is_refused(failure::module_missing, "File name too long"));
    // The longest message there is; the reply, which quotes it, cannot be sent and is the sender's
    // problem.
    one.send({std::string(65535, 'v')});
    EXPECT_TRUE(one.is_closed());
}

TEST_F(agent_socket, requests_in_pieces_and_several_at_once_are_understood) {
    peer slow = target.connect();
    for (const char c : nmircu::agent::encode({"hello"})) {
        slow.send_bytes(std::string(1, c));
        EXPECT_EQ(target.ask({"hello"})[0], "ok");
    }
    EXPECT_EQ(slow.receive().value_or(message{"-"})[0], "ok");

    peer fast = target.connect();
    std::string many;
    for (int i = 0; i < 50; ++i)
        many += nmircu::agent::encode({"hello"}) + nmircu::agent::encode({"status"});
    many += nmircu::agent::encode({"unload", "nobody"}) + nmircu::agent::encode({"hello"});
    fast.send_bytes(many);
    for (int i = 0; i < 100; ++i)
        ASSERT_EQ(fast.receive().value_or(message{"-"})[0], "ok") << i;
    EXPECT_THAT(fast.receive().value_or(message{"-"}), is_refused(failure::name_unknown, "nobody"));
    EXPECT_EQ(fast.receive().value_or(message{"-"})[0], "ok");
}

TEST_F(agent_socket, a_peer_that_stops_sending_still_gets_its_replies) {
    peer one = target.connect();
    one.send({"hello"});
    one.send({"unload", "nobody"});
    one.send({"status"});
    shutdown(one.fd(), SHUT_WR);
    EXPECT_EQ(one.receive().value_or(message{"-"})[0], "ok");
    EXPECT_EQ(one.receive().value_or(message{"-"})[0], "error");
    EXPECT_EQ(one.receive().value_or(message{"-"})[0], "ok");
    EXPECT_TRUE(one.is_closed());
}

TEST_F(agent_socket, half_a_request_is_given_up_after_its_deadline) {
    peer half = target.connect();
    half.send_bytes(length(6) + "hel");
    peer length_only = target.connect();
    length_only.send_bytes(length(6).substr(0, 2));
    peer quiet = target.connect();  // in the middle of nothing: may stay
    EXPECT_EQ(target.ask({"hello"})[0], "ok");
    EXPECT_TRUE(half.is_closed());
    EXPECT_TRUE(length_only.is_closed());
    EXPECT_EQ(quiet.ask({"hello"})[0], "ok");
}

TEST_F(agent_socket, a_peer_that_does_not_read_is_given_up) {
    peer deaf = target.connect();
    const std::string request = nmircu::agent::encode({"status"});
    fcntl(deaf.fd(), F_SETFL, O_NONBLOCK);
    // Until nothing more fits: neither our requests nor its replies.
    while (::send(deaf.fd(), request.data(), request.size(), MSG_NOSIGNAL) > 0) {
        if (!target.connect().connected()) break;
    }
    EXPECT_EQ(target.ask({"hello"})[0], "ok");
    pollfd closed{deaf.fd(), POLLRDHUP, 0};
    EXPECT_EQ(poll(&closed, 1, patience_ms), 1);
}

TEST_F(agent_socket, a_crowd_of_silent_peers_locks_nobody_out) {
    std::vector<peer> crowd;
    for (int i = 0; i < 300; ++i) {
        crowd.push_back(target.connect());
        ASSERT_TRUE(crowd.back().connected());
    }
    EXPECT_EQ(target.ask({"hello"})[0], "ok");
    EXPECT_EQ(crowd.back().ask({"hello"})[0], "ok");
}

TEST_F(agent_socket, peers_that_vanish_in_the_middle) {
    for (int i = 0; i < 200; ++i) {
        peer one = target.connect();
        one.send({"status"});
        if (i % 2 == 0) one.send({"load", WITNESS, "1000", "auto"});
        if (i % 3 == 0) one.send_bytes(length(100) + "half");
    }
    // Some loads were begun and some not; one of them at most succeeded.
    const message reply = target.ask({"unload", "witness"});
    EXPECT_TRUE(reply[0] == "ok" || code_of(reply) == unsigned(failure::name_unknown));
}

TEST_F(agent_socket, descriptors_sent_along_are_not_kept) {
    peer one = target.connect();
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const std::string request = nmircu::agent::encode({"hello"});
    iovec part{const_cast<char*>(request.data()), request.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* const attached = CMSG_FIRSTHDR(&header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(attached), &ends[1], sizeof(int));
    ASSERT_GT(sendmsg(one.fd(), &header, 0), 0);
    EXPECT_EQ(one.receive().value_or(message{"-"})[0], "ok");
    close(ends[1]);
    char c;
    EXPECT_TRUE(wait_readable(ends[0]));
    EXPECT_EQ(read(ends[0], &c, 1), 0);  // nobody holds the other end
    close(ends[0]);
}

TEST_F(agent_socket, any_bytes) {
    std::mt19937 random(99);
    const std::string verbs[] = {"hello", "rings", "status", "load", "swap", "unload", "start"};
    for (int round = 0; round < 300; ++round) {
        peer one = target.connect();
        ASSERT_TRUE(one.connected());
        std::string bytes;
        for (int part = 0; part < 5; ++part) {
            message fields{verbs[random() % 7]};
            for (auto i = random() % 5; i > 0; --i)
                fields.push_back(std::string(random() % 20, static_cast<char>(1 + random() % 255)));
            std::string frame = nmircu::agent::encode(fields);
            if (random() % 4 == 0) frame[random() % frame.size()] = static_cast<char>(random());
            bytes += frame;
        }
        one.send_bytes(bytes);
        if (random() % 2 == 0) static_cast<void>(one.receive(1));
    }
}

TEST_F(agent_socket, another_user_is_refused) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
    // Root's directory keeps him out already; so the check behind it is shown with an open door.
    const std::string path = target.socket_path();
    const std::string door = "/tmp/nmi-agent-test-" + std::to_string(getpid()) + ".sock";
    ASSERT_EQ(link(path.c_str(), door.c_str()), 0);
    ASSERT_EQ(chmod(door.c_str(), 0777), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (setuid(65534) != 0) _exit(2);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, door.c_str(), sizeof address.sun_path - 1);
        peer stranger(socket(AF_UNIX, SOCK_STREAM, 0));
        if (::connect(stranger.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            _exit(3);
        stranger.send({"hello"});
        _exit(stranger.is_closed() && !stranger.receive(1) ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    unlink(door.c_str());
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
