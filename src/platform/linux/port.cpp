// SPDX-License-Identifier: MIT
//
// The Linux port's system calls. Nothing here allocates or takes a lock of libc's; whatever a
// handler may call preserves errno.
#include <nmircu/platform/port.hpp>

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <nmircu/arch/cpu.hpp>

// Absent from glibc before 2.35; then rseq is simply not used.
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

namespace nmircu::platform {

namespace {

// Puts errno back when the scope ends.
class keep_errno {
  public:
    keep_errno() noexcept : saved_(errno) {}
    ~keep_errno() { errno = saved_; }
    keep_errno(const keep_errno&) = delete;
    keep_errno& operator=(const keep_errno&) = delete;

  private:
    int saved_;
};

long membarrier(int command) noexcept {
    return ::syscall(SYS_membarrier, command, 0, 0);
}

// The largest number in a list such as "0-3,8".
unsigned largest_number(const char* text) noexcept {
    unsigned largest = 0;
    for (unsigned number = 0; *text != '\0'; ++text) {
        number = *text >= '0' && *text <= '9' ? number * 10 + unsigned(*text - '0') : 0;
        if (number > largest) largest = number;
    }
    return largest;
}

// detail::max_cpus where /sys cannot be read: more slots to scan, nothing missed.
unsigned read_possible_cpus() noexcept {
    const int file = ::open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);
    if (file < 0) return detail::max_cpus;
    char text[256] = {};
    const ssize_t length = ::read(file, text, sizeof(text) - 1);
    ::close(file);
    if (length <= 0) return detail::max_cpus;
    const unsigned cpus = largest_number(text) + 1;
    return cpus < detail::max_cpus ? cpus : detail::max_cpus;
}

}  // namespace

bool port::prepare_barrier_everyone() noexcept {
    keep_errno kept;
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

void port::barrier_everyone() noexcept {
    // Success leaves errno alone.
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) {
        panic(
            "nmircu: membarrier worked when this program started and is refused now, probably by "
            "a seccomp filter installed since; allow membarrier, or set NMIRCU_MEMBARRIER=0 in "
            "the environment of the program");
    }
}

unsigned port::possible_cpus() noexcept {
    // It never changes while the system runs. Relaxed: whoever reads 0 finds out for himself.
    static constinit std::atomic<unsigned> known{0};
    if (const unsigned cpus = known.load(std::memory_order_relaxed); cpus != 0) return cpus;
    keep_errno kept;
    const unsigned cpus = read_possible_cpus();
    known.store(cpus, std::memory_order_relaxed);
    return cpus;
}

unsigned port::current_cpu() noexcept {
    // What sched_getcpu does too, less two calls into libc a dispatch.
    if (const void* const area = reader_state_of_this_thread.per_cpu; area != nullptr) {
        if (const std::uint32_t known = this_cpu(area); known < detail::max_cpus) return known;
    }
    const int cpu = ::sched_getcpu();
    return cpu < 0 ? 0 : static_cast<unsigned>(cpu);
}

unsigned port::current_thread() noexcept {
    return static_cast<unsigned>(::syscall(SYS_gettid));
}

void* port::per_cpu_area() noexcept {
    if constexpr (!arch::has_rseq) return nullptr;
    if (&__rseq_size == nullptr || &__rseq_offset == nullptr || __rseq_size == 0) return nullptr;
    char* const thread = static_cast<char*>(__builtin_thread_pointer());
    auto* const area = reinterpret_cast<struct rseq*>(thread + __rseq_offset);
    // Negative, as int: not registered for this thread.
    const auto cpu = __atomic_load_n(&area->cpu_id, __ATOMIC_RELAXED);
    return static_cast<std::int32_t>(cpu) < 0 ? nullptr : area;
}

wait_result port::wait(std::atomic<std::uint32_t>& word, std::uint32_t value,
                       std::uint64_t ns) noexcept {
    keep_errno kept;
    timespec timeout;
    timeout.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
    timeout.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value,
                                  ns == forever_ns ? nullptr : &timeout, nullptr, 0);
    return result != 0 && errno == ETIMEDOUT ? wait_result::timed_out : wait_result::woken;
}

void port::wake_all(std::atomic<std::uint32_t>& word) noexcept {
    keep_errno kept;
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

std::uint64_t port::now_ns() noexcept {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

void port::report(const char* text) noexcept {
    keep_errno kept;
    // One write, so that lines of several threads do not mix.
    char line[1024];
    std::size_t length = ::strnlen(text, sizeof(line) - 1);
    ::memcpy(line, text, length);
    line[length++] = '\n';
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, line, length);
}

void port::panic(const char* text) noexcept {
    report(text);
    std::abort();
}

}  // namespace nmircu::platform
