// SPDX-License-Identifier: MIT
//
// Reads /proc/self/task. Raw getdents64 and fixed buffers, so that a list of thousands of threads
// costs a handful of calls. Context: thread.
#include "platform/linux/thread_list.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "platform/linux/directory_entry.hpp"

namespace nmircu::platform {
namespace {

class descriptor {
  public:
    explicit descriptor(const char* path, int flags = 0) noexcept
        : fd_(::open(path, O_RDONLY | O_CLOEXEC | flags)) {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    [[nodiscard]] int get() const noexcept { return fd_; }

  private:
    int fd_;
};

void append_entries(const char* buffer, long bytes, std::vector<int>& threads) {
    for (long at = 0; at < bytes;) {
        const auto* entry = reinterpret_cast<const directory_entry*>(buffer + at);
        const int thread_id = std::atoi(entry->name);  // "." and ".." give 0
        if (thread_id > 0) threads.push_back(thread_id);
        at += entry->bytes;
    }
}

void append_listing(int directory, std::vector<int>& threads) {
    alignas(directory_entry) char buffer[16 * 1024];
    ::lseek(directory, 0, SEEK_SET);
    for (;;) {
        const long bytes = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
        if (bytes <= 0) return;
        append_entries(buffer, bytes, threads);
    }
}

// Relaxed everywhere: whoever hides a thread does so before a list is asked for that matters.
constexpr std::size_t most_hidden = 4;
constinit std::atomic<int> hidden[most_hidden]{};

bool is_hidden(int thread_id) {
    return std::any_of(std::begin(hidden), std::end(hidden), [&](const std::atomic<int>& one) {
        return one.load(std::memory_order_relaxed) == thread_id;
    });
}

void sort_unique(std::vector<int>& threads) {
    std::sort(threads.begin(), threads.end());
    threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
}

}  // namespace

std::vector<int> list_threads() {
    // The kernel's walk ends early when the thread it stands on exits (fs/proc/base.c, next_tid),
    // so one listing may miss living threads. The directory's link count, two more than the number
    // of threads, tells.
    constexpr int most_listings = 8;
    std::vector<int> threads;
    const descriptor directory("/proc/self/task", O_DIRECTORY);
    if (directory.get() < 0) return threads;
    for (int listing = 0; listing < most_listings; ++listing) {
        append_listing(directory.get(), threads);
        sort_unique(threads);
        struct stat about {};
        if (::fstat(directory.get(), &about) != 0 || threads.size() + 2 >= about.st_nlink) break;
    }
    std::erase_if(threads, is_hidden);
    return threads;
}

void hide_thread(int thread_id) {
    for (std::atomic<int>& one : hidden) {
        int none = 0;
        if (one.compare_exchange_strong(none, thread_id, std::memory_order_relaxed,
                                        std::memory_order_relaxed)) {
            return;
        }
    }
}

void show_thread(int thread_id) {
    for (std::atomic<int>& one : hidden) {
        int number = thread_id;
        one.compare_exchange_strong(number, 0, std::memory_order_relaxed,
                                    std::memory_order_relaxed);
    }
}

std::vector<int> hidden_threads() {
    std::vector<int> threads;
    for (const std::atomic<int>& one : hidden) {
        const int thread_id = one.load(std::memory_order_relaxed);  // see its declaration
        if (thread_id != 0) threads.push_back(thread_id);
    }
    return threads;
}

std::optional<std::uint64_t> blocked_signals(int thread_id) {
    constexpr std::string_view key = "\nSigBlk:\t";
    constexpr std::size_t line_bytes = key.size() + 16;
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/status", thread_id);
    const descriptor status(path);
    if (status.get() < 0) return std::nullopt;
    // The list of groups before it may be long; what is kept of a block is enough for a cut line.
    char buffer[4096];
    std::size_t kept = 0;
    for (;;) {
        const ssize_t got = ::read(status.get(), buffer + kept, sizeof buffer - kept);
        if (got <= 0) return std::nullopt;
        const std::string_view text(buffer, kept + static_cast<std::size_t>(got));
        const std::size_t at = text.find(key);
        if (at != text.npos && text.size() - at >= line_bytes) {
            char digits[17] = {};
            std::memcpy(digits, text.data() + at + key.size(), 16);
            return std::strtoull(digits, nullptr, 16);
        }
        kept = std::min(text.size(), line_bytes);
        std::memmove(buffer, text.data() + text.size() - kept, kept);
    }
}

}  // namespace nmircu::platform
