// SPDX-License-Identifier: MIT
//
// Property: on AArch64 the restartable addition does what it says, and readers in threads and in
// signal handlers agree with an updater. Run under an emulator, where there is no rseq: the readers
// count in the shared slot, and whether the CPU reorders is the emulator's business.
#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include <nmircu/rcu.hpp>

#include "rseq_check.hpp"

static_assert(nmircu::arch::has_rseq);

namespace {

constexpr std::uint32_t signature = 0xd428bc00;  // Linux tools/testing/selftests/rseq/rseq-arm64.h
constexpr int grace_periods = 200;

struct object {
    std::atomic<int> alive{1};
};
std::atomic<object*> current{new object};
std::atomic<long> reads{0}, handler_reads{0}, dead{0};

void read_once(std::atomic<long>& count) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    const object* const seen = nmircu::rcu_dereference(current);
    if (seen->alive.load(std::memory_order_relaxed) != 1) dead.fetch_add(1);
    count.fetch_add(1);
}

void in_handler(int) {
    read_once(handler_reads);
}

void interrupt(std::vector<std::thread>& readers) {
    for (auto& reader : readers)
        pthread_kill(reader.native_handle(), SIGUSR1);
}

void read_and_replace() {
    struct sigaction action = {};
    action.sa_handler = in_handler;
    sigaction(SIGUSR1, &action, nullptr);

    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!stop.load())
                read_once(reads);
        });
    }
    for (int i = 0; i < grace_periods || reads.load() == 0 || handler_reads.load() == 0; ++i) {
        interrupt(readers);
        object* const old = current.load(std::memory_order_relaxed);
        nmircu::rcu_assign_pointer(current, new object);
        nmircu::rcu_synchronize();
        old->alive.store(0, std::memory_order_relaxed);
        delete old;
    }
    stop.store(true);
    for (auto& reader : readers)
        reader.join();
}

}  // namespace

int main() {
    for (const std::string& wrong : {nmircu::arch::check_addition(), nmircu::arch::check_options(),
                                     nmircu::arch::check_descriptors(signature)}) {
        if (wrong.empty()) continue;
        std::printf("the per-CPU addition %s\n", wrong.c_str());
        return 1;
    }
    read_and_replace();
    std::printf("%ld reads, %ld in handlers, %ld dead\n", reads.load(), handler_reads.load(),
                dead.load());
    return dead.load() == 0 ? 0 : 1;
}
