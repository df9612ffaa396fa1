// SPDX-License-Identifier: MIT
//
// The structure that is read and updated: one pointer to one element, and a pool of elements that
// takes no lock and no memory, so that handlers update it and a forked child finds it usable.
#pragma once

#include <nmircu/rcu.hpp>

#include "rcu/engine.hpp"
#include "tally.hpp"

namespace torture {

struct element;
// The deleter of an element: one step down the pipe.
struct one_step {
    void operator()(element* which) const noexcept;
};

// It can be retired in either of two ways.
struct element : nmircu::rcu_head, nmircu::rcu_obj_base<element, one_step> {
    std::atomic<unsigned> age{0};
    std::atomic<bool> taken{false};
    updater owner = sync;
};

inline constinit nmircu::rcu_pointer<element> current;

// Takes a fresh element from the pool; null if there is none. Any context.
element* take() noexcept;
// The end of the pipe.
void give_back(element* which) noexcept;

// Publishes a fresh element; the old one, of age 1, is the caller's to guide down the pipe. Null if
// the pool is empty. Any context.
element* replace(updater owner) noexcept;

// After a grace period, or, if something is to be broken, before. True: that was the end.
inline bool grow_older(element* which) noexcept {
    // Relaxed: only its owner writes it. To readers, the library must provide the order.
    const unsigned age = 1 + which->age.load(std::memory_order_relaxed);
    which->age.store(age, std::memory_order_relaxed);
    return age >= oldest;
}

// A look at the structure, from inside a section to be left after `done`. Any context.
class look {
  public:
    look() noexcept : ended_(ended()), seen_(current.dereference()) {}
    void done(reader kind) const noexcept {
        tally.read(kind, seen_->age.load(std::memory_order_relaxed), ended() - ended_);
    }

  private:
    // Relaxed: the ends of grace periods that a section may see are ordered by the section.
    static std::uint64_t ended() noexcept {
        return nmircu::rcu::engine.sequence.load(std::memory_order_relaxed) / 2;
    }
    std::uint64_t ended_;
    const element* seen_;
};

}  // namespace torture
