// SPDX-License-Identifier: MIT
//
// A module's periodic call: a thread that does nothing else, with a table of descriptors of its own
// (module.h, struct nmi_periodic). Worker thread.
#pragma once

#include <memory>

#include <nmircu/module.h>

#include <agent/own_thread.hpp>

namespace nmircu::agent {

class periodic {
  public:
    periodic();
    periodic(const periodic&) = delete;
    periodic& operator=(const periodic&) = delete;
    ~periodic();

    // What `begin` returned, or -1. `what` is copied.
    int start(const nmi_periodic& what, create_function create);
    // The last call has returned. Idempotent.
    void stop();
    // In the child of a fork, which does not have the thread. What it may have held is left alone.
    void forked() { static_cast<void>(state_.release()); }

  private:
    struct state;
    std::unique_ptr<state> state_;
};

}  // namespace nmircu::agent
