// SPDX-License-Identifier: MIT
//
// The updaters. Two ways down the pipe: synchronously, all elements of a thread one step per grace
// period that it has waited for; and by retirement, each element one step per callback.
#include "updaters.hpp"

#include "interrupts.hpp"
#include "structure.hpp"

namespace torture {

namespace {

constinit bool early = false;

// The elements that a thread has taken out and that are still on their way.
class pipeline {
  public:
    explicit pipeline(updater owner) noexcept : owner_(owner) {}

    void take_one_out() noexcept {
        if (element* const old = replace(owner_)) {
            elements_[count_++] = old;
        }
        if (early) one_step_each();
    }
    // A grace period has passed since the last element was taken out.
    void advance() noexcept {
        tally.grace_period(owner_);
        if (!early) one_step_each();
    }

  private:
    void one_step_each() noexcept {
        unsigned left = 0;
        for (unsigned i = 0; i < count_; ++i) {
            if (grow_older(elements_[i])) {
                give_back(elements_[i]);
            } else {
                elements_[left++] = elements_[i];
            }
        }
        count_ = left;
    }

    updater owner_;
    unsigned count_ = 0;
    element* elements_[oldest + 1];
};

void run_sync(dice& chance) {
    pipeline pipe(sync);
    while (stage.goes_on()) {
        if (chance.below(64) == 0) rest(chance);
        pipe.take_one_out();
        nmircu::rcu_synchronize();
        pipe.advance();
    }
}

// Asks now and then, as somebody with other things to do.
void wait_for(nmircu::rcu_cookie cookie, dice& chance) {
    for (unsigned questions = chance.below(50); questions > 0; --questions) {
        if (nmircu::rcu_poll_passed(cookie)) return;
        spin(chance.below(100));
    }
    nmircu::rcu_poll_wait(cookie);
}

void run_poll(dice& chance) {
    pipeline pipe(poll);
    while (stage.goes_on()) {
        pipe.take_one_out();
        wait_for(chance.below(2) == 0 ? nmircu::rcu_poll_start() : nmircu::rcu_poll_state(),
                 chance);
        pipe.advance();
    }
}

void retire_again(element* which) noexcept;

void head_passed(nmircu::rcu_head* head) {
    one_step()(static_cast<element*>(head));
}

// Retirements of an updater that waits with rcu_barrier, and how many of them have come to an end.
std::atomic<std::uint64_t> barrier_retired{0}, barrier_reclaimed{0};

void note_retired(updater owner) noexcept {
    // Release: who sees the count knows of the retirement. Partner: the acquire in run_barrier.
    if (owner == barrier) barrier_retired.fetch_add(1, std::memory_order_release);
}
void note_reclaimed(updater owner) noexcept {
    // Relaxed: rcu_barrier orders it.
    if (owner == barrier) barrier_reclaimed.fetch_add(1, std::memory_order_relaxed);
}

void retire_again(element* which) noexcept {
    const updater owner = which->owner;
    if (early) grow_older(which);
    if (shared_roll(2) == 0) {
        nmircu::rcu_call(*which, head_passed);
    } else {
        which->retire();
    }
    note_retired(owner);
}

void run_retire(dice& chance) {
    while (stage.goes_on()) {
        element* const old = replace(retire);
        if (old == nullptr) {
            rest(chance);
        } else if (chance.below(2) == 0) {
            if (early) grow_older(old);
            nmircu::rcu_retire(old, one_step());
        } else {
            retire_again(old);
        }
    }
}

void run_handler(dice& chance) {
    while (stage.goes_on()) {
        if (replace_in_handler()) continue;
        rest(chance);
        take_signals_again();
    }
}

void run_barrier(dice& chance) {
    while (stage.goes_on()) {
        for (unsigned count = chance.below(20); count > 0; --count)
            retire_one(barrier);
        // Also what deleters have retired again so far. Acquire: see note_retired.
        const std::uint64_t retired = barrier_retired.load(std::memory_order_acquire);
        nmircu::rcu_barrier();
        if (barrier_reclaimed.load(std::memory_order_relaxed) < retired) tally.barrier_too_early();
    }
}

}  // namespace

void one_step::operator()(element* which) const noexcept {
    const updater owner = which->owner;
    tally.grace_period(owner);
    const bool end = early ? which->age.load(std::memory_order_relaxed) >= oldest  // its own
                           : grow_older(which);
    if (end) {
        give_back(which);
    } else {
        retire_again(which);
    }
    note_reclaimed(owner);
}

bool retire_one(updater kind) noexcept {
    element* const old = replace(kind);
    if (old == nullptr) return false;
    retire_again(old);
    return true;
}

void free_early() {
    early = true;
}

void run_updater(updater kind, dice chance) {
    const enrolled place;
    switch (kind) {
        case sync:
            return run_sync(chance);
        case poll:
            return run_poll(chance);
        case retire:
            return run_retire(chance);
        case barrier:
            return run_barrier(chance);
        case handler:
            return run_handler(chance);
        case updater_kinds:
            return;
    }
}

}  // namespace torture
