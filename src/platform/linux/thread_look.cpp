// SPDX-License-Identifier: MIT
//
// /proc/self/task/TID/stat and syscall, whose formats are in proc(5). Context: thread.
#include "platform/linux/thread_look.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nmircu::platform {
namespace {

// The beginning of a small file of the thread's, as a string; empty if it cannot be read.
void read_file(int thread_id, const char* name, char* out, std::size_t bytes) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/%s", thread_id, name);
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = file < 0 ? 0 : ::read(file, out, bytes - 1);
    out[got > 0 ? got : 0] = '\0';
    if (file >= 0) ::close(file);
}

}  // namespace

std::optional<std::uint64_t> cpu_time_of(int thread_id) {
    timespec now{};
    if (::clock_gettime(cpu_clock_of(thread_id), &now) != 0) return std::nullopt;
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

char state_of(int thread_id) {
    char text[128];
    read_file(thread_id, "stat", text, sizeof text);
    // The name may hold anything, parentheses too; nothing after it does.
    const char* const end = std::strrchr(text, ')');
    return end != nullptr && end[1] == ' ' && end[2] != '\0' ? end[2] : '?';
}

bool sleeps_at(int thread_id, std::uint64_t instruction, std::uint64_t stack) {
    // The instruction that enters the kernel; a call that is to be made again begins before it.
    constexpr std::uint64_t longest_entry = 4;
    char text[256];
    read_file(thread_id, "syscall", text, sizeof text);
    // "number arguments... stack instruction", or "running".
    char* const last = std::strrchr(text, ' ');
    if (last == nullptr || last == text) return false;
    *last = '\0';
    const char* const before = std::strrchr(text, ' ');
    if (before == nullptr) return false;
    const std::uint64_t now_stack = std::strtoull(before + 1, nullptr, 16);
    const std::uint64_t now_instruction = std::strtoull(last + 1, nullptr, 16);
    return now_stack == stack && now_instruction - instruction <= longest_entry;
}

}  // namespace nmircu::platform
