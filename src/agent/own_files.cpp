// SPDX-License-Identifier: MIT
//
// The agent's descriptors; see own_files.hpp.
#include <agent/own_files.hpp>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace nmircu::agent {
namespace {

constexpr unsigned last_number = ~0u;

// Descriptors in a shared table, for the child of a fork to close. Relaxed: the child has one
// thread, and one that was being noted at the fork stays open in the child.
constexpr std::size_t most_noted = 64;
constinit std::atomic<int> noted[most_noted]{};  // number + 1; 0: free
constinit std::atomic<bool> is_shared{false};

void note(int fd) {
    for (std::atomic<int>& one : noted) {
        int none = 0;
        if (one.compare_exchange_strong(none, fd + 1, std::memory_order_relaxed,
                                        std::memory_order_relaxed)) {
            return;
        }
    }
}

void forget(int fd) {
    for (std::atomic<int>& one : noted) {
        int number = fd + 1;
        one.compare_exchange_strong(number, 0, std::memory_order_relaxed,
                                    std::memory_order_relaxed);
    }
}

long close_numbers(unsigned first, unsigned last, unsigned flags) {
    return syscall(SYS_close_range, first, last, flags);
}

// Out of the way of programs that expect low numbers; below the limit, which may be low itself.
int move_up(int fd) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return fd;
    const auto highest = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 4096));
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, std::max(highest - 256, highest / 2));
    if (moved < 0) return fd;
    close(fd);
    return moved;
}

// Messages of ours to standard error must not end in a socket that took its number.
void occupy_standard_numbers() {
    int fd = open("/", O_PATH | O_CLOEXEC);
    while (fd >= 0 && fd < 2)
        fd = dup(fd);
}

}  // namespace

file_table leave_shared_files(int keep) {
    const auto kept = static_cast<unsigned>(keep);
    const unsigned above = keep < 0 ? 0 : kept + 1;
    if (close_numbers(above, last_number, CLOSE_RANGE_UNSHARE) != 0) {
        is_shared.store(true, std::memory_order_relaxed);  // the control thread's first act
        return file_table::shared;
    }
    is_shared.store(false, std::memory_order_relaxed);
    if (keep > 0) close_numbers(0, kept - 1, 0);
    occupy_standard_numbers();
    return file_table::own;
}

int adopt_file(int fd) {
    // Relaxed: only the control thread adopts.
    if (fd < 0 || !is_shared.load(std::memory_order_relaxed)) return fd;
    const int moved = move_up(fd);
    note(moved);
    return moved;
}

void close_own_file(int fd) {
    if (fd < 0) return;
    if (is_shared.load(std::memory_order_relaxed)) forget(fd);  // see adopt_file
    close(fd);
}

void close_inherited_files() {
    if (!is_shared.load(std::memory_order_relaxed)) return;  // see `noted`
    for (std::atomic<int>& one : noted) {
        const int number = one.exchange(0, std::memory_order_relaxed);  // see `noted`
        if (number != 0) close(number - 1);
    }
}

}  // namespace nmircu::agent
