// SPDX-License-Identifier: MIT
//
// Publishing and following pointers that readers use inside sections.
//
// Purpose. A reader must see an object as its publisher initialised it. The publisher's store is a
// release; the reader's load is a plain one, ordered by the address dependency, that the compiler
// may not guess the value of.
//
// Smallest complete use:
//
//     nmircu::rcu_pointer<config> current;
//
//     void replace(config* next) { current.exchange(next)->retire(); }    // rcu_retire.hpp
//     int limit() {
//         std::scoped_lock section(nmircu::rcu_default_domain());
//         return current.dereference()->limit;
//     }
//
// Guarantees. What was written to an object before it was assigned is visible through
// dereference.
//
// Misuse. Using the result after the section has been left. Following a pointer that does not
// depend on the result: beware of comparing it with the address of a known object. In
//
//     config* const now = rcu_dereference(current);
//     if (now == &built_in) use(now->limit);          // wrong
//
// the compiler knows what `now` must be and may load built_in.limit instead, through no pointer of
// ours and so before the pointer was loaded: the reader sees an object that is not initialised yet.
// Comparing with null is fine, and so is comparing with anything if the pointer is not followed, or
// only where the comparison has failed. Otherwise compare a marker inside the object.
//
//   | while another thread does | assign | exchange, compare_exchange | dereference, get |
//   |---------------------------|--------|----------------------------|------------------|
//   | assign                    | lock   | lock                       | fine             |
//   | exchange, ...             | lock   | fine                       | fine             |
//
// ("lock": nothing breaks, but an object may be lost that nobody retires.)
//
// Cost: docs/figures.md. dereference is one load, with a barrier on Alpha only.
//
// Sources. Linux: include/linux/rcupdate.h, Documentation/RCU/rcu_dereference.rst.
#pragma once

#include <atomic>
#include <type_traits>

#include <nmircu/arch/cpu.hpp>
#include <nmircu/detail/publication.hpp>
#include <nmircu/detail/sanitizer.hpp>

#pragma GCC visibility push(default)

namespace nmircu {

// Publishes `value`, which may be null: whatever was written before is visible to a section that
// dereferences it. Context: thread, signal, irq, nmi.
template <class T>
[[gnu::always_inline]] inline void rcu_assign_pointer(std::atomic<T*>& pointer,
                                                      std::type_identity_t<T>* value) noexcept {
    detail::say_publication(pointer, value);
    // [PUB-1] release: the pointee's initialisation precedes the pointer.
    // Partner: the dependent load in rcu_dereference, [PUB-2].
    // Weakened: a handler runs with its data uninitialised.
    pointer.store(value, std::memory_order_release);
}

// Loads a pointer that rcu_assign_pointer published; call it inside a section and do not use the
// result after leaving. Context: thread, signal, irq, nmi.
template <class T>
[[nodiscard, gnu::always_inline]] inline T* rcu_dereference(
    const std::atomic<T*>& pointer) noexcept {
    // [PUB-2] The address dependency orders the pointee's loads after this one on every CPU but
    // Alpha; the empty asm keeps the compiler from guessing the value and breaking the dependency.
    // Under ThreadSanitizer, which does not know dependencies, the load is an acquire.
    // Partners: the release in rcu_assign_pointer at [PUB-1], and those at [PUB-3], [PUB-4].
    // Weakened: the new pointer with the old contents behind it.
    T* value = pointer.load(detail::dereference_order);
    asm volatile("" : "+r"(value));
    arch::dependent_load_barrier();
    return value;
}

// A pointer to what readers use. Not movable, because readers know its address.
template <class T>
class rcu_pointer {
  public:
    constexpr rcu_pointer() noexcept = default;
    constexpr explicit rcu_pointer(T* value) noexcept : pointer_(value) {}
    rcu_pointer(const rcu_pointer&) = delete;
    rcu_pointer& operator=(const rcu_pointer&) = delete;

    // All of them. Context: thread, signal, irq, nmi. Never block, never allocate.
    // Ownership: none; what is replaced is the caller's to free, after a grace period.

    // As rcu_assign_pointer. The old object is lost to who does not know it: see exchange.
    void assign(T* value) noexcept { rcu_assign_pointer(pointer_, value); }

    // As rcu_dereference. Requires: inside a section.
    [[nodiscard, gnu::always_inline]] T* dereference() const noexcept {
        return rcu_dereference(pointer_);
    }

    // Publishes `value` and returns what was there: of several updaters, exactly one gets it.
    [[nodiscard]] T* exchange(T* value) noexcept {
        detail::say_publication(pointer_, value);
        // [PUB-3] acq_rel: as [PUB-1], and the caller sees the old object as it was published.
        // Partner: [PUB-2]. Weakened: as [PUB-1].
        T* const old = pointer_.exchange(value, std::memory_order_acq_rel);
        detail::say_exchange();
        return old;
    }

    // Publishes `value` if `expected` is still there; otherwise `expected` becomes what is.
    [[nodiscard]] bool compare_exchange(T*& expected, T* value) noexcept {
        detail::say_publication(pointer_, value);
        // [PUB-4] acq_rel, acquire: as [PUB-3]. Partner: [PUB-2]. Weakened: as [PUB-1].
        const bool done = pointer_.compare_exchange_strong(
            expected, value, std::memory_order_acq_rel, std::memory_order_acquire);
        detail::say_exchange();
        return done;
    }

    // The value, for comparing and for updaters that hold a lock against each other.
    [[nodiscard]] T* get() const noexcept {
        return pointer_.load(std::memory_order_relaxed);  // not to be followed by a reader
    }

  private:
    std::atomic<T*> pointer_{nullptr};
};

}  // namespace nmircu

#pragma GCC visibility pop
