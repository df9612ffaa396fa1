// SPDX-License-Identifier: MIT
//
// Which objects are retired and where that was asked for: a table beside them, because an rcu_head
// has no room, may come uninitialised, and may be copied along with its object, so that nothing in
// it tells whether it waits. Filled by code that checks for misuse, and only by that. Any context;
// lock-free; bounded: a full neighbourhood means that an object is not checked.
//
//   variable  written by                          read by           protection
//   used      note                                reclaimer         none: [RT-1] orders it
//   object    note (claims 0), forget (clears)    note, forget      compare-and-exchange
//   caller    note after its claim, forget        note              none: for a message
//
// An object is noted before it is pushed and forgotten before its function is called, so an entry
// never outlives what it speaks of.
#pragma once

#include <atomic>
#include <cstdint>

namespace nmircu::rcu {

// Nothing lives there: it is the head or the base of an object whose pointer is null.
inline bool is_in_first_page(const void* object) noexcept {
    constexpr std::uintptr_t page = 4096;
    return reinterpret_cast<std::uintptr_t>(object) < page;
}

class retire_calls {
  public:
    // Where `object` was retired, if it waits; otherwise null, and it is remembered.
    const void* note(const void* object, const void* caller) noexcept;
    void forget(const void* object) noexcept;
    void forget_all() noexcept;

    // Whether there has ever been anything to forget.
    [[nodiscard]] bool used() const noexcept {
        return used_.load(std::memory_order_relaxed);  // see the table
    }

  private:
    struct entry {
        std::atomic<std::uintptr_t> object;
        std::atomic<const void*> caller;
    };
    static constexpr unsigned size_bits = 14;
    static constexpr std::uintptr_t size = std::uintptr_t{1} << size_bits;
    static constexpr std::uintptr_t neighbourhood = 16;

    // The `distance`-th place where `object` may be noted.
    entry& place(const void* object, std::uintptr_t distance) noexcept {
        const std::uint64_t spread =
            reinterpret_cast<std::uintptr_t>(object) * 0x9e37'79b9'7f4a'7c15ull;
        return entries_[((spread >> (64 - size_bits)) + distance) % size];
    }

    entry entries_[size];
    std::atomic<bool> used_;
};

extern retire_calls noted_calls;

}  // namespace nmircu::rcu
