// SPDX-License-Identifier: MIT
//
// fork, exec; see alarm_command.hpp.
#include <nmi/watch/alarm_command.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <nmi/complaint.hpp>
#include <nmi/unique_fd.hpp>
#include <nmi/watch/alarm_text.hpp>

extern char** environ;

namespace nmircu::command {
namespace {

unique_fd file_with(const std::string& text) {
    unique_fd file(memfd_create("alarm", MFD_CLOEXEC));
    if (file && write(file.get(), text.data(), text.size()) < 0) return {};
    if (file) lseek(file.get(), 0, SEEK_SET);
    return file;
}

}  // namespace

alarm_command::~alarm_command() {
    if (child_ != 0) waitpid(child_, nullptr, 0);
}

bool alarm_command::may_run() {
    if (child_ != 0 && waitpid(child_, nullptr, WNOHANG) == 0) return false;
    child_ = 0;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return false;
    next_ = now + every_;
    return true;
}

void alarm_command::run(int pid, const stall_alarm& alarm, const std::string& text) {
    if (command_.empty()) return;
    if (!may_run()) {
        ++left_out_;
        return;
    }
    std::array<std::string, 4> variables = {
        fmt::format("NMI_PID={}", pid), fmt::format("NMI_THREAD={}", alarm.thread_id),
        fmt::format("NMI_RULE={}", name_of(alarm.rule)),
        fmt::format("NMI_STALLED_MS={}", alarm.stalled_ns / 1'000'000)};
    const unique_fd input = file_with(text);
    child_ = fork();
    if (child_ < 0) {
        child_ = 0;
        return say(fmt::format("cannot run {}: {}", command_, std::strerror(errno)));
    }
    if (child_ != 0) return;
    if (input) dup2(input.get(), STDIN_FILENO);
    for (std::string& variable : variables)
        putenv(variable.data());
    execl("/bin/sh", "sh", "-c", command_.c_str(), nullptr);
    _exit(127);
}

}  // namespace nmircu::command
