// SPDX-License-Identifier: MIT
//
// A program whose profile is known. Obeys lines on standard input and answers each with one line on
// standard output. Each kind of work has a section of its own, so that an address tells which it is
// without symbols, and no two of them take turns in step with a sampler: chance decides how long
// each turn takes.
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#define WORK(name) __attribute__((noinline, section(name)))

extern "C" {
extern const char __start_work_a[], __stop_work_a[], __start_work_b[], __stop_work_b[];
extern const char __start_work_c[], __stop_work_c[];
}

namespace {

std::atomic<bool> end{false};

__attribute__((always_inline)) inline void spin(unsigned turns) {
    for (unsigned i = 0; i < turns; ++i)
        asm volatile("" : : : "memory");
}
WORK("work_a") void work_a(unsigned turns) {
    spin(turns);
}
WORK("work_b") void work_b(unsigned turns) {
    spin(turns);
}
WORK("work_c") void work_c(unsigned turns) {
    spin(turns);
}

std::uint64_t clock_ns(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

void burn_us(void (*work)(unsigned), std::uint64_t microseconds) {
    const std::uint64_t until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + microseconds * 1000;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until)
        work(20000);
}

void sleep_us(std::uint64_t microseconds) {
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
}

int self() {
    return static_cast<int>(syscall(SYS_gettid));
}

std::vector<std::thread>& threads = *new std::vector<std::thread>;  // survives exit

// Starts a thread and answers with its number.
std::string start(const std::function<void()>& function) {
    std::atomic<int> id{0};
    threads.emplace_back([&id, function] {
        id = self();
        function();
    });
    while (id == 0)
        std::this_thread::yield();
    return std::to_string(id);
}

// 70, 20 and 10 per cent of its CPU time.
std::string split(std::istream&) {
    return start([] {
        std::minstd_rand random;
        while (!end) {
            const auto unit = [&] { return 2000 + static_cast<unsigned>(random() % 20000); };
            work_a(7 * unit());
            work_b(2 * unit());
            work_c(unit());
        }
    });
}

// One of unequal threads: `busy` of a hundred parts of the time.
std::string load(std::istream& words) {
    unsigned busy = 0;
    words >> busy;
    return start([busy] {
        std::minstd_rand random;
        while (!end) {
            const std::uint64_t round = 5000 + random() % 10000;
            burn_us(work_a, round * busy / 100);
            if (busy < 100) sleep_us(round * (100 - busy) / 100);
        }
    });
}

// Short-lived threads, one after the other, each of a few milliseconds and with a name of its own;
// the CPU time of all of them is added up.
std::atomic<std::uint64_t> short_cpu_ns{0}, short_threads{0};
std::string short_lived(std::istream&) {
    return start([] {
        while (!end) {
            std::thread([] {
                char name[16];
                std::snprintf(name, sizeof name, "short-%llu",
                              static_cast<unsigned long long>(++short_threads));
                prctl(PR_SET_NAME, name);
                burn_us(work_b, 4000);
                short_cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
            }).join();
        }
    });
}
std::string short_total(std::istream&) {
    return std::to_string(short_cpu_ns) + " " + std::to_string(short_threads);
}

// Half of its time with every signal blocked, in turns of several milliseconds.
std::string masks(std::istream&) {
    return start([] {
        sigset_t all, before;
        sigfillset(&all);
        while (!end) {
            pthread_sigmask(SIG_SETMASK, &all, &before);
            burn_us(work_c, 4000);
            pthread_sigmask(SIG_SETMASK, &before, nullptr);
            burn_us(work_a, 4000);
        }
    });
}

// Sleeps that should end when asked to, and never before: every EINTR is counted.
std::atomic<std::uint64_t> interrupted{0}, blocks{0};
constexpr long block_ms = 300;

std::string naps(std::istream&) {
    return start([] {
        while (!end) {
            ++blocks;
            timespec left{0, block_ms * 1'000'000};
            while (nanosleep(&left, &left) != 0)
                ++interrupted;
        }
    });
}
std::string polls(std::istream&) {
    return start([] {
        const int file = epoll_create1(EPOLL_CLOEXEC);
        epoll_event event{};
        while (!end) {
            ++blocks;
            const std::uint64_t until = clock_ns(CLOCK_MONOTONIC) + block_ms * 1'000'000;
            while (clock_ns(CLOCK_MONOTONIC) < until) {
                if (epoll_wait(file, &event, 1, block_ms) < 0) ++interrupted;
            }
        }
        close(file);
    });
}
std::string futexes(std::istream&) {
    return start([] {
        static int word = 0;
        while (!end) {
            ++blocks;
            const timespec limit{0, block_ms * 1'000'000};
            while (syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, nullptr, 0) != 0 &&
                   errno == EINTR)
                ++interrupted;
        }
    });
}
std::string eintr(std::istream&) {
    return std::to_string(interrupted) + " " + std::to_string(blocks);
}

// CPU time, time spent waiting for a CPU, and the time now.
std::string times(std::istream& words) {
    int thread = 0;
    words >> thread;
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/schedstat");
    std::uint64_t run = 0, wait = 0;
    file >> run >> wait;
    return std::to_string(run) + " " + std::to_string(wait) + " " +
           std::to_string(clock_ns(CLOCK_MONOTONIC));
}

std::string where(std::istream&) {
    std::ostringstream out;
    for (const char* const address : {__start_work_a, __stop_work_a, __start_work_b, __stop_work_b,
                                      __start_work_c, __stop_work_c})
        out << reinterpret_cast<std::uintptr_t>(address) << ' ';
    return out.str();
}

const std::map<std::string, std::function<std::string(std::istream&)>> commands = {
    {"alive", [](std::istream&) { return std::string("yes"); }},
    {"split", split},
    {"load", load},
    {"short", short_lived},
    {"short_total", short_total},
    {"masks", masks},
    {"naps", naps},
    {"polls", polls},
    {"futexes", futexes},
    {"eintr", eintr},
    {"times", times},
    {"where", where},
};

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string verb;
        words >> verb;
        const auto command = commands.find(verb);
        std::cout << (command == commands.end() ? "what?" : command->second(words)) << std::endl;
    }
    std::_Exit(0);
}
