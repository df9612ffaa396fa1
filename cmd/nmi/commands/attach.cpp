// SPDX-License-Identifier: MIT
//
// nmi attach, nmi detach: an agent into a running program, and out of it.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/leave.hpp>
#include <nmi/commands/options.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/output/numbers.hpp>
#include <nmi/target/connect.hpp>

namespace nmircu::command {
namespace {

constexpr milliseconds end_deadline{10000};  // for the agent's threads, once it has said goodbye

std::string size_text(const std::string& bytes) {
    return grouped(std::strtoull(bytes.c_str(), nullptr, 10)) + " bytes";
}

bool has_agents_threads(int pid) {
    for (const int thread_id : threads_of(pid)) {
        const std::string name = text_of_file(fmt::format("/proc/{}/task/{}/comm", pid, thread_id));
        if (name == "nmi-agent\n" || name == "nmi-worker\n") return true;
    }
    return false;
}

// Its last words come before its last instruction.
void wait_for_end(int pid, const std::string& attempt) {
    const auto end = std::chrono::steady_clock::now() + end_deadline;
    while (has_agents_threads(pid)) {
        if (std::chrono::steady_clock::now() >= end) {
            fail(exit_error,
                 "{}: nothing is loaded any more, but its threads have not ended within {} s; see "
                 "whether the program is stopped",
                 attempt, end_deadline.count() / 1000);
        }
        std::this_thread::sleep_for(milliseconds(1));
    }
}

void print(const std::string& line, const std::string& attempt) {
    const std::string text = line + "\n";
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) fail(exit_error, "{}: cannot write it out; try > FILE", attempt);
}

}  // namespace

message leave(client& agent, int pid, const std::string& attempt) {
    message answer = expect_ok(agent.request({"detach"}, slow_deadline), attempt);
    wait_for_end(pid, attempt);
    return answer;
}

int attach(const attach_options& options) {
    const std::string attempt = fmt::format("attach to {}", options.pid);
    connect_or_attach(options.pid, options.filters, attempt);
    return exit_ok;
}

int detach(const detach_options& options) {
    const std::string attempt = fmt::format("detach from {}", options.pid);
    client connection = connect_to(options.pid, attempt);
    const message answer = leave(connection, options.pid, attempt);
    if (answer.size() < 3) return exit_ok;
    if (!answer[2].empty()) say(answer[2]);
    print(fmt::format("left process {}; nmi-agent.so stays mapped for signals that may be on their "
                      "way, and for the next attach: {}, {} of them in memory of its own",
                      options.pid, size_text(answer[0]), size_text(answer[1])),
          attempt);
    return exit_ok;
}

void add_attach(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "attach", "Put an agent into a running program, so that handlers can be loaded.");
    const auto options = std::make_shared<attach_options>();
    add_pid(command, options->pid);
    add_seccomp(command, options->filters);
    command.callback([&line, options] { line.chosen = [options] { return attach(*options); }; });
}

void add_detach(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "detach", "Unload every handler of a program and take the agent out again.");
    const auto options = std::make_shared<detach_options>();
    add_pid(command, options->pid);
    command.callback([&line, options] { line.chosen = [options] { return detach(*options); }; });
}

}  // namespace nmircu::command
