// SPDX-License-Identifier: MIT
//
// The pool: every element of it is in the structure, on its way down the pipe, or free.
#include "structure.hpp"

namespace torture {

namespace {

constexpr unsigned pool_size = 1024;
element pool[pool_size];
constinit std::atomic<unsigned> next{0};

}  // namespace

element* take() noexcept {
    for (unsigned tries = 0; tries < pool_size; ++tries) {
        // Relaxed: a place to begin the search.
        element& one = pool[next.fetch_add(1, std::memory_order_relaxed) % pool_size];
        if (one.taken.load(std::memory_order_relaxed)) continue;  // decided below
        // Acquire: what its last owner did to it is over. Partner: the release in give_back.
        if (!one.taken.exchange(true, std::memory_order_acquire)) return &one;
    }
    return nullptr;
}

void give_back(element* which) noexcept {
    which->taken.store(false, std::memory_order_release);  // see take
}

element* replace(updater owner) noexcept {
    element* const fresh = take();
    if (fresh == nullptr) return nullptr;
    fresh->age.store(0, std::memory_order_relaxed);  // the exchange publishes it
    element* const old = current.exchange(fresh);
    old->owner = owner;
    old->age.store(1, std::memory_order_relaxed);  // early enough; a reader may still see 0
    return old;
}

}  // namespace torture
