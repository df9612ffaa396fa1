// SPDX-License-Identifier: MIT
//
// What C++20 programs use instead: std::shared_mutex, std::atomic<std::shared_ptr>; and, as the
// zero of the scale, no protection at all.
#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "peer.h"

#define PAUSE(left) static_cast<void>(0)

namespace mutex {

std::shared_mutex guard;
bench_box first{1};
bench_box* current = &first;

#define ENTER guard.lock_shared()
#define LEAVE guard.unlock_shared()
#define CURRENT current
#include "loops.h"
#undef ENTER
#undef LEAVE
#undef CURRENT

// The nearest thing: it waits for every reader, and keeps new ones out meanwhile.
void synchronize() {
    const std::scoped_lock alone(guard);
}

void update() {
    auto* const next = new bench_box;
    bench_box* old;
    {
        const std::scoped_lock alone(guard);
        old = current;
        next->value = old->value + 1;
        current = next;
    }
    if (old != &first) delete old;
}

}  // namespace mutex

namespace shared_ptr {

std::atomic<std::shared_ptr<bench_box>> current{std::make_shared<bench_box>(bench_box{1})};

std::uint64_t reads(std::uint64_t count) {
    std::uint64_t sum = 0;
    for (; count != 0; --count)
        sum += current.load(std::memory_order_acquire)->value;
    return sum;
}

std::uint64_t worked(std::uint64_t count) {
    std::uint64_t sum = 0, x = count;
    for (; count != 0; --count) {
        sum += current.load(std::memory_order_acquire)->value;
        x = bench_work(x);
    }
    return sum + x;
}

void update() {
    const auto old = current.load(std::memory_order_acquire);
    current.store(std::make_shared<bench_box>(bench_box{old->value + 1}),
                  std::memory_order_release);
}

}  // namespace shared_ptr

namespace nothing {

bench_box first{1};
std::atomic<bench_box*> current{&first};

#define ENTER asm volatile("" ::: "memory")
#define LEAVE asm volatile("" ::: "memory")
#define CURRENT current.load(std::memory_order_relaxed)
#include "loops.h"
#undef ENTER
#undef LEAVE
#undef CURRENT

}  // namespace nothing

const bench_peer bench_shared_mutex{
    .name = "std::shared_mutex",
    .enroll = nullptr,
    .resign = nullptr,
    .rest = nullptr,
    .resume = nullptr,
    .sections = mutex::sections,
    .nested = nullptr,
    .reads = mutex::reads,
    .worked = mutex::worked,
    .synchronize = mutex::synchronize,
    .update = mutex::update,
    .retire = nullptr,
    .reclaimed = nullptr,
    .barrier = nullptr,
};

const bench_peer bench_shared_ptr{
    .name = "std::atomic<std::shared_ptr>",
    .enroll = nullptr,
    .resign = nullptr,
    .rest = nullptr,
    .resume = nullptr,
    .sections = nullptr,
    .nested = nullptr,
    .reads = shared_ptr::reads,
    .worked = shared_ptr::worked,
    .synchronize = nullptr,
    .update = shared_ptr::update,
    .retire = nullptr,
    .reclaimed = nullptr,
    .barrier = nullptr,
};

const bench_peer bench_no_reader{
    .name = "no protection",
    .enroll = nullptr,
    .resign = nullptr,
    .rest = nullptr,
    .resume = nullptr,
    .sections = nothing::sections,
    .nested = nothing::nested,
    .reads = nothing::reads,
    .worked = nothing::worked,
    .synchronize = nullptr,
    .update = nullptr,
    .retire = nullptr,
    .reclaimed = nullptr,
    .barrier = nullptr,
};
