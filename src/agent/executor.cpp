// SPDX-License-Identifier: MIT
//
// The worker's queue of one; see executor.hpp.
#include <agent/executor.hpp>

#include <utility>

namespace nmircu::agent {

executor::executor(function wake) : wake_(std::move(wake)) {}

void executor::run() {
    for (;;) {
        function job;
        {
            std::unique_lock held(lock_);
            changed_.wait(held, [&] { return job_ || ending_; });
            if (!job_) return;
            job = std::exchange(job_, nullptr);
        }
        job();
        {
            const std::lock_guard held(lock_);
            busy_ = false;
        }
        wake_();
    }
}

bool executor::idle() {
    const std::lock_guard held(lock_);
    return !busy_;
}

void executor::submit(function job) {
    {
        const std::lock_guard held(lock_);
        busy_ = true;
        job_ = std::move(job);
    }
    changed_.notify_all();
}

void executor::end() {
    {
        const std::lock_guard held(lock_);
        ending_ = true;
    }
    changed_.notify_all();
}

void executor::serve() {
    const function* call = nullptr;
    {
        const std::lock_guard held(lock_);
        call = call_;
    }
    if (call == nullptr) return;
    (*call)();
    {
        const std::lock_guard held(lock_);
        call_ = nullptr;
    }
    changed_.notify_all();
}

void executor::on_control(const function& call) {
    {
        const std::lock_guard held(lock_);
        call_ = &call;
    }
    wake_();
    std::unique_lock held(lock_);
    changed_.wait(held, [&] { return call_ == nullptr; });
}

}  // namespace nmircu::agent
