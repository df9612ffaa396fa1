// SPDX-License-Identifier: MIT
//
// The thread of a periodic call; see periodic.hpp.
#include <agent/periodic.hpp>

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include <agent/own_files.hpp>
#include <agent/own_thread.hpp>

namespace nmircu::agent {

struct periodic::state {
    nmi_periodic what;
    std::mutex lock;
    std::condition_variable changed;
    bool began = false;
    bool ending = false;
    bool ended = false;
    int begun = 0;  // what `begin` returned

    void run();
};

void periodic::state::run() {
    leave_shared_files(STDERR_FILENO);
    const int result = what.begin == nullptr ? 0 : what.begin();
    std::unique_lock held(lock);
    begun = result;
    began = true;
    changed.notify_all();
    const auto interval = std::chrono::microseconds(what.interval_us);
    while (begun == 0 && !changed.wait_for(held, interval, [&] { return ending; })) {
        held.unlock();
        what.tick();
        held.lock();
    }
    ended = true;
    changed.notify_all();  // under the lock: the state goes when who waits has it
}

periodic::periodic() = default;

periodic::~periodic() {
    stop();
}

int periodic::start(const nmi_periodic& what, create_function create) {
    constexpr std::uint32_t least_us = 100, most_us = 60'000'000;
    if (state_ || what.tick == nullptr || what.interval_us < least_us ||
        what.interval_us > most_us) {
        return -1;
    }
    state_ = std::make_unique<state>();
    state_->what = what;
    const auto run = [](void* own) { static_cast<state*>(own)->run(); };
    if (start_own_thread("nmi-periodic", run, state_.get(), create) != 0) {
        state_.reset();
        return -1;
    }
    int result = 0;
    {
        std::unique_lock held(state_->lock);
        state_->changed.wait(held, [&] { return state_->began; });
        result = state_->begun;
    }
    if (result != 0) stop();
    return result;
}

void periodic::stop() {
    if (!state_) return;
    {
        std::unique_lock held(state_->lock);
        state_->ending = true;
        state_->changed.notify_all();
        state_->changed.wait(held, [&] { return state_->ended; });
    }
    state_.reset();
}

}  // namespace nmircu::agent
