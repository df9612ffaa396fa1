// SPDX-License-Identifier: MIT
//
// One job at a time on the worker thread, with calls back to the control thread in between. The
// control thread never waits for the worker; it is woken when there is something to look at.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

namespace nmircu::agent {

class executor {
  public:
    using function = std::function<void()>;

    // `wake` makes the control thread look again; called with nothing held.
    explicit executor(function wake);
    executor(const executor&) = delete;
    executor& operator=(const executor&) = delete;

    // The worker's life, until `end` and the job that is running then.
    void run();
    void end();

    // Control thread. No job is running or waiting.
    [[nodiscard]] bool idle();
    // Control thread; requires idle. `job` runs on the worker.
    void submit(function job);
    // Control thread: runs what the worker asked for, if it did.
    void serve();

    // Worker, inside a job: runs `call` on the control thread and waits for it.
    void on_control(const function& call);

  private:
    const function wake_;
    std::mutex lock_;
    std::condition_variable changed_;
    function job_;       // empty: none waits
    bool busy_ = false;  // a job waits or runs
    bool ending_ = false;
    const function* call_ = nullptr;  // what the control thread is asked to run
};

}  // namespace nmircu::agent
