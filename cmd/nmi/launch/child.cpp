// SPDX-License-Identifier: MIT
//
// fork and exec with a preloaded agent; see child.hpp.
#include <nmi/launch/child.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <agent/protocol.hpp>
#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

// Between fork and exec: only what is safe there, everything else was prepared by the parent.
[[noreturn]] void become(const char* path, char* const* argv, char* const* environment,
                         const inherited_signals& signals, int channel, int report) {
    fcntl(channel, F_SETFD, 0);  // survives exec
    sigaction(SIGCHLD, &signals.child_ended, nullptr);
    sigprocmask(SIG_SETMASK, &signals.mask, nullptr);
    execve(path, argv, environment);
    const int error = errno;
    if (write(report, &error, sizeof error) < 0) _exit(exit_error);
    _exit(exit_not_executable);
}

std::vector<std::string> environment_with(const std::string& agent, int channel,
                                          const std::string& follow) {
    std::vector<std::string> variables;
    std::string preload = "LD_PRELOAD=" + agent;
    const std::string channel_prefix = std::string(agent::channel_variable) + "=";
    const std::string follow_prefix = std::string(agent::follow_variable) + "=";
    for (char** at = environ; *at != nullptr; ++at) {
        const std::string_view variable = *at;
        if (variable.starts_with("LD_PRELOAD=")) {
            if (variable.size() > 11) preload += ":" + std::string(variable.substr(11));
        } else if (!variable.starts_with(channel_prefix) && !variable.starts_with(follow_prefix)) {
            variables.emplace_back(variable);
        }
    }
    variables.push_back(preload);
    variables.push_back(channel_prefix + std::to_string(channel));
    if (!follow.empty()) variables.push_back(follow_prefix + follow);
    return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    for (std::string& string : strings)
        pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
}

struct pair_of_fds {
    unique_fd first, second;
};

pair_of_fds channel_pair() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        fail(exit_error, "run: no socket for the agent: {}; try to close some files",
             std::strerror(errno));
    }
    pair_of_fds pair{unique_fd(ends[0]), unique_fd(ends[1])};
    // Out of the way: programs expect the low numbers for themselves, and 0 to 2 may be closed.
    if (unique_fd high(fcntl(pair.second.get(), F_DUPFD_CLOEXEC, 100)); high) {
        pair.second = std::move(high);
    }
    return pair;
}

pair_of_fds report_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail(exit_error, "run: no pipe to the program: {}; try to close some files",
             std::strerror(errno));
    }
    return {unique_fd(ends[0]), unique_fd(ends[1])};
}

}  // namespace

child start(const program& what, const std::string& agent, const inherited_signals& signals,
            const std::string& follow) {
    pair_of_fds channel = channel_pair();
    pair_of_fds report = report_pipe();
    std::vector<std::string> arguments = what.arguments;
    std::vector<std::string> variables = environment_with(agent, channel.second.get(), follow);
    const std::vector<char*> argv = pointers_to(arguments);
    const std::vector<char*> environment = pointers_to(variables);

    const pid_t pid = fork();
    if (pid < 0) {
        fail(exit_error, "run {}: cannot start a process: {}; try again with fewer running",
             what.path, std::strerror(errno));
    }
    if (pid == 0) {
        become(what.path.c_str(), argv.data(), environment.data(), signals, channel.second.get(),
               report.second.get());
    }
    report.second.reset();
    int error = 0;
    if (read(report.first.get(), &error, sizeof error) == sizeof error) {
        waitpid(pid, nullptr, 0);
        fail(error == ENOENT ? exit_not_found : exit_not_executable,
             "run {}: it cannot be executed: {}; try to run it without nmi", what.path,
             std::strerror(error));
    }
    return {pid, std::move(channel.first)};
}

int shell_status(int wait_status) {
    if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
    return exit_signal_base + WTERMSIG(wait_status);
}

}  // namespace nmircu::command
