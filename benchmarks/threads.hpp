// SPDX-License-Identifier: MIT
//
// Other threads for a measurement: a crowd that exists and sleeps, and a partner that loops.
#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>
#include <latch>
#include <thread>
#include <vector>

namespace bench {

// Keeps the calling thread on the `index`th CPU it may use, modulo their number; a negative index
// gives it all of them back. Returns how many there are.
unsigned stay_on_cpu(int index);

// The same for all other threads of the process, those of libraries included, that exist now.
void keep_others_on_cpu(int index);

// `size` threads that run `arrive`, sleep, and at the end of the crowd run `leave`.
class crowd {
  public:
    crowd(unsigned size, std::function<void()> arrive, std::function<void()> leave);
    ~crowd();
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;

  private:
    static void* member(void* self);

    std::function<void()> arrive_, leave_;
    std::latch arrived_, over_{1};
    std::vector<pthread_t> members_;
};

// A thread on another CPU that runs `turn` again and again while it exists. The constructor returns
// after the first turn.
class partner {
  public:
    partner(std::function<void()> arrive, std::function<void()> turn, std::function<void()> leave);
    ~partner();
    partner(const partner&) = delete;
    partner& operator=(const partner&) = delete;

  private:
    std::latch started_{1};
    std::atomic<bool> over_{false};
    std::thread thread_;
};

}  // namespace bench
