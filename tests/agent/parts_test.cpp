// SPDX-License-Identifier: MIT
//
// Property: the agent's parts keep their memory and their threads in order whatever they are given:
// here they run inside the test, where sanitizers see them. No interrupts; those are the business
// of the tests with a program.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <agent/connection.hpp>
#include <agent/control.hpp>
#include <agent/elf_check.hpp>
#include <agent/status.hpp>

namespace {

using namespace nmircu::agent;
using ::testing::HasSubstr;

// --- Files that are nearly modules.

std::string contents(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<refusal> check(const std::string& bytes) {
    const int file = memfd_create("nearly-a-module", MFD_CLOEXEC);
    EXPECT_EQ(write(file, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    std::optional<refusal> result = check_module_file(file, "/nearly/a/module.so");
    close(file);
    return result;
}

TEST(agent_elf_check, accepts_a_module_and_no_shorter_part_of_it) {
    const std::string whole = contents(WITNESS);
    EXPECT_FALSE(check(whole));
    for (std::size_t bytes = 0; bytes < whole.size() - 64; bytes += 101) {
        const std::optional<refusal> refused = check(whole.substr(0, bytes));
        ASSERT_TRUE(refused) << bytes;
        EXPECT_EQ(refused->code, failure::module_invalid) << bytes;
    }
}

TEST(agent_elf_check, any_damage_is_survived) {
    const std::string whole = contents(WITNESS);
    std::mt19937 random(17);
    unsigned refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string damaged = whole;
        // The tables that are read: header, program headers, and section headers at the end.
        const std::size_t table = round % 3 == 0 ? 0 : whole.size() - 64 * 40;
        for (unsigned i = 0; i < 4; ++i)
            damaged[table + random() % (64 * (round % 3 == 0 ? 12 : 40))] =
                static_cast<char>(random());
        if (check(damaged)) ++refused;
    }
    EXPECT_GT(refused, 100u);
}

// --- One connection.

class pair_of_sockets {
  public:
    pair_of_sockets() {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends_) != 0) abort();
    }
    ~pair_of_sockets() { close(ends_[1]); }
    [[nodiscard]] int near() const { return ends_[0]; }  // the connection closes it
    [[nodiscard]] int far() const { return ends_[1]; }
    void say(const std::string& bytes) const {
        EXPECT_EQ(write(far(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    }

  private:
    int ends_[2];
};

TEST(agent_connection, has_a_deadline_in_the_middle_of_a_message_only) {
    pair_of_sockets sockets;
    connection peer(sockets.near(), 1);
    message request;
    EXPECT_EQ(peer.deadline_ns(), 0u);
    const std::string frame = encode({"hello"});
    sockets.say(frame.substr(0, 3));
    peer.receive(1000);
    EXPECT_FALSE(peer.next(request));
    EXPECT_EQ(peer.deadline_ns(), 1000 + 5'000'000'000u);
    sockets.say(frame.substr(3));
    peer.receive(2000);
    EXPECT_TRUE(peer.next(request));
    EXPECT_EQ(request, message{"hello"});
    EXPECT_EQ(peer.deadline_ns(), 0u);
    EXPECT_FALSE(peer.finished());
}

TEST(agent_connection, looks_at_one_request_at_a_time) {
    pair_of_sockets sockets;
    connection peer(sockets.near(), 1);
    message request;
    sockets.say(encode({"one"}) + encode({"two"}));
    peer.receive(1);
    ASSERT_TRUE(peer.next(request));
    peer.waiting = true;
    EXPECT_FALSE(peer.next(request));
    EXPECT_EQ(peer.deadline_ns(), 0u);  // it is we who take our time
    peer.waiting = false;
    ASSERT_TRUE(peer.next(request));
    EXPECT_EQ(request, message{"two"});
}

TEST(agent_connection, keeps_what_the_peer_does_not_take_yet) {
    pair_of_sockets sockets;
    connection peer(sockets.near(), 1);
    const message long_reply{"ok", std::string(60000, 'x')};
    int sent = 0;
    while (!peer.must_flush() && sent < 1000) {
        peer.send(long_reply, -1, 7);
        ++sent;
    }
    ASSERT_TRUE(peer.must_flush());
    EXPECT_FALSE(peer.listens());
    EXPECT_NE(peer.deadline_ns(), 0u);
    std::string received;
    char bytes[65536];
    for (;;) {
        const ssize_t got = read(sockets.far(), bytes, sizeof bytes);
        if (got > 0) {
            received.append(bytes, static_cast<std::size_t>(got));
        } else if (peer.must_flush()) {
            peer.flush(8);
        } else {
            break;
        }
    }
    EXPECT_EQ(received.size(), static_cast<std::size_t>(sent) * encode(long_reply).size());
}

// --- The status.

module_row row(const std::string& name, unsigned cpus) {
    module_row out{name, "/some/where/" + name, {}, std::vector<std::uint64_t>(cpus, 123456789)};
    out.counts.calls = 5;
    return out;
}

TEST(agent_status, always_fits_a_message) {
    std::vector<module_row> loaded;
    std::vector<module_row> retired;
    for (int i = 0; i < 8; ++i)
        loaded.push_back(row("loaded" + std::to_string(i), 1024));
    for (int i = 0; i < 64; ++i)
        retired.push_back(row(std::string(2000, 'r') + std::to_string(i), 1024));
    const message reply = status_reply({}, loaded, retired);
    EXPECT_EQ(reply[0], "ok");
    EXPECT_NE(encode(reply), "");
    const std::string all = encode(reply);
    EXPECT_THAT(all, HasSubstr("rrr63\t"));  // the newest are kept
    EXPECT_THAT(all, testing::Not(HasSubstr("rrr0\t")));
    EXPECT_THAT(all, HasSubstr("loaded7\t"));
}

TEST(agent_status, names_with_tabs_do_not_break_its_lines) {
    nmircu::platform::source_status source;
    source.running = true;
    source.reason = "a\tb\nc";
    EXPECT_THAT(encode(status_reply(source, {}, {})), HasSubstr("a b c"));
}

// --- All of it together, many clients at once, in this process.

class whole_agent : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        // ThreadSanitizer knows of one table of descriptors; so no number is used in both.
        while (open("/dev/null", O_RDONLY | O_CLOEXEC) < 100) {
        }
        ASSERT_EQ(start_control({-1, 100'000'000}, pthread_create), start_result::started);
        wait_for_control();
    }

    static int connect_to_self() {
        std::string why;
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket_path(getpid(), why).copy(address.sun_path, sizeof address.sun_path - 1);
        const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        return socket;
    }
    static message ask(int socket, const message& request) {
        const std::string frame = encode(request);
        EXPECT_EQ(write(socket, frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
        std::string received;
        message reply;
        std::size_t consumed = 0;
        char bytes[4096];
        while (decode(received, reply, consumed) == frame_state::incomplete) {
            const ssize_t got = read(socket, bytes, sizeof bytes);
            if (got <= 0) return {"no reply"};
            received.append(bytes, static_cast<std::size_t>(got));
        }
        return reply;
    }
};

TEST_F(whole_agent, serves_a_crowd) {
    // A file that is no module, one whose init refuses after it was loaded, one that is not loaded.
    const message wrong[] = {{"load", "/etc/passwd", "1000", "auto"},
                             {"load", WITNESS, "1000", "auto", "colour=red"},
                             {"swap", "nobody", WITNESS},
                             {"unload", "nobody"}};
    std::vector<std::thread> crowd;
    for (unsigned client = 0; client < 6; ++client) {
        crowd.emplace_back([&, client] {
            for (unsigned round = 0; round < 40; ++round) {
                const int socket = connect_to_self();
                EXPECT_EQ(ask(socket, {"hello"})[0], "ok");
                EXPECT_EQ(ask(socket, wrong[(client + round) % 4])[0], "error");
                EXPECT_EQ(ask(socket, {"status"})[0], "ok");
                if (round % 3 == 0) {
                    EXPECT_EQ(write(socket, "\xff\xff\xff\xff", 4), 4);
                }
                close(socket);
            }
        });
    }
    for (std::thread& client : crowd)
        client.join();
    const int socket = connect_to_self();
    const std::string status = encode(ask(socket, {"status"}));
    EXPECT_THAT(status, testing::Not(HasSubstr("handler")));
    EXPECT_THAT(status, HasSubstr("source\tnone"));
    close(socket);
    EXPECT_THAT(contents("/proc/self/maps"), testing::Not(HasSubstr("witness.so")));
}

}  // namespace
