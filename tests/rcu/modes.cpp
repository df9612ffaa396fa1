// SPDX-License-Identifier: MIT
//
// Property: readers and updaters agree on every path the machine may leave them: per-CPU counts
// with membarrier, or atomics and fences where rseq or membarrier is missing.
//
//   rcu_modes per-cpu|shared [--refuse-membarrier]
//
// Exits 1 if an object was seen dead or no handler ran, 2 if the readers took the other path.
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include <nmircu/rcu.hpp>

namespace {

// Few enough for Valgrind, which runs one thread at a time.
constexpr int updates = 100;

struct object {
    std::atomic<int> alive{1};
};
std::atomic<object*> current{new object};
std::atomic<long> reads{0}, handler_reads{0}, dead{0};

void read_once(std::atomic<long>& count) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    const object* const seen = nmircu::rcu_dereference(current);
    if (seen->alive.load(std::memory_order_relaxed) != 1) dead.fetch_add(1);
    count.fetch_add(1, std::memory_order_relaxed);
}

void in_handler(int) {
    read_once(handler_reads);
}

// A filter as a container would install it, before the program has begun: then exec.
int refuse_membarrier_and_exec(char** argv) {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(membarrier), 0) != 0 ||
        seccomp_load(filter) != 0) {
        std::fputs("cannot install a seccomp filter\n", stderr);
        return 3;
    }
    argv[2] = nullptr;
    execv("/proc/self/exe", argv);
    std::perror("exec");
    return 3;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::strcmp(argv[2], "--refuse-membarrier") == 0) {
        return refuse_membarrier_and_exec(argv);
    }
    const bool want_per_cpu = argc > 1 && std::strcmp(argv[1], "per-cpu") == 0;
    struct sigaction action = {};
    action.sa_handler = in_handler;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);

    std::atomic<bool> stop{false}, per_cpu{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed))
                read_once(reads);
            per_cpu.store(nmircu::platform::this_reader().per_cpu != nullptr);
        });
    }
    for (int i = 0; i < updates; ++i) {
        for (auto& reader : readers)
            pthread_kill(reader.native_handle(), SIGUSR1);
        object* const old = current.load(std::memory_order_relaxed);
        nmircu::rcu_assign_pointer(current, new object);
        nmircu::rcu_synchronize();
        old->alive.store(0, std::memory_order_relaxed);
        delete old;
    }
    // Valgrind schedules as it likes; the readers must have had a turn.
    while (reads.load() == 0 || handler_reads.load() == 0) {
        for (auto& reader : readers)
            pthread_kill(reader.native_handle(), SIGUSR1);
        std::this_thread::yield();
    }
    stop.store(true, std::memory_order_relaxed);
    for (auto& reader : readers)
        reader.join();
    delete current.load();
    std::printf("%ld reads, %ld in handlers, %ld dead, counting %s\n", reads.load(),
                handler_reads.load(), dead.load(),
                per_cpu.load() ? "per CPU" : "in the shared slot");
    if (dead.load() != 0) return 1;
    return per_cpu.load() == want_per_cpu ? 0 : 2;
}
