// SPDX-License-Identifier: MIT
//
// malloc, calloc and free, for kmalloc: blocks of powers of two from one arena, which go back to a
// list of their size. Thread context; blocks on each other.
#include <cstddef>
#include <cstdint>

#include "platform/lock.hpp"

namespace {

constexpr std::size_t arena_bytes = 1 << 20;
constexpr unsigned least_shift = 5, most_shift = 16;

// Before what the caller gets, so that this stays aligned as malloc promises.
struct alignas(16) block {
    unsigned shift;  // the whole block has 1 << shift bytes
    block* next;     // while it is free
};

alignas(16) constinit unsigned char arena[arena_bytes]{};
constinit std::size_t arena_used = 0;
constinit block* free_blocks[most_shift + 1]{};
constinit nmircu::platform::lock updating{};

unsigned shift_for(std::size_t bytes) noexcept {
    unsigned shift = least_shift;
    while (shift <= most_shift && (std::size_t{1} << shift) < bytes + sizeof(block))
        ++shift;
    return shift;
}

block* take_locked(unsigned shift) noexcept {
    if (block* const known = free_blocks[shift]; known != nullptr) {
        free_blocks[shift] = known->next;
        return known;
    }
    if (arena_bytes - arena_used < std::size_t{1} << shift) return nullptr;
    block* const fresh = reinterpret_cast<block*>(arena + arena_used);
    arena_used += std::size_t{1} << shift;
    fresh->shift = shift;
    return fresh;
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) {
    const unsigned shift = bytes < arena_bytes ? shift_for(bytes) : most_shift + 1;
    if (shift > most_shift) return nullptr;
    nmircu::platform::lock_guard guard(updating);
    block* const taken = take_locked(shift);
    return taken == nullptr ? nullptr : taken + 1;
}

void* calloc(std::size_t count, std::size_t bytes) {
    std::size_t all = 0;
    if (__builtin_mul_overflow(count, bytes, &all)) return nullptr;
    void* const taken = malloc(all);
    if (taken != nullptr) __builtin_memset(taken, 0, all);
    return taken;
}

void free(void* what) {
    if (what == nullptr) return;
    block* const freed = static_cast<block*>(what) - 1;
    nmircu::platform::lock_guard guard(updating);
    freed->next = free_blocks[freed->shift];
    free_blocks[freed->shift] = freed;
}
}
