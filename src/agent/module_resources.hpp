// SPDX-License-Identifier: MIT
//
// What one loaded module has been given besides its code: memory that commands may read, a periodic
// call. It asks for them in init, through functions of the host table that know no module; so who
// calls an init says whose it is. Worker thread.
#pragma once

#include <functional>

#include <agent/periodic.hpp>
#include <agent/shared_memory.hpp>

namespace nmircu::agent {

struct module_resources {
    shared_memory memory;  // control thread
    periodic ticks;

    // In the child of a fork: the thread is not there, and the file is the parent's.
    void forked() {
        memory.forked();
        ticks.forked();
    }
};

// Runs a function on the control thread and returns when it is done.
using on_control = std::function<void(const std::function<void()>&)>;

// While this lives, what the host table gives goes to `to`.
class resource_offer {
  public:
    resource_offer(module_resources& to, const on_control& run, create_function create);
    resource_offer(const resource_offer&) = delete;
    resource_offer& operator=(const resource_offer&) = delete;
    ~resource_offer();

    // The two functions of the host table.
    static void* memory(std::uint64_t bytes) noexcept;
    static int start_periodic(const nmi_periodic* what) noexcept;

  private:
    module_resources& to_;
    const on_control& run_;
    const create_function create_;
};

}  // namespace nmircu::agent
