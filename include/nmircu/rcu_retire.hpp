// SPDX-License-Identifier: MIT
//
// Retirement: objects that are freed by themselves once no reader can see them any more.
//
// Purpose. rcu_synchronize makes the updater wait; retiring hands the object over instead. A thread
// of the library ("nmircu-reclaim", created by the first retirement) gathers what was retired,
// waits for one grace period for all of it, and runs the deleters.
//
// Smallest complete use:
//
//     struct config : nmircu::rcu_obj_base<config> { int limit; };
//     nmircu::rcu_pointer<config> current;         // rcu_pointer.hpp
//
//     void replace(config* next) {                 // any thread; in a handler too
//         config* old = current.exchange(next);
//         old->retire();                           // deleted after a grace period
//     }
//
// Guarantees. Each retired object's deleter runs exactly once, after every section that was open
// when it was retired has been left; before a normal exit of the program; on the reclaimer thread,
// or on a thread that calls rcu_barrier, and never inside retire itself: so a deleter may take a
// lock that is also held around retire. Deleters run one at a time, outside any section, in no
// particular order. They may retire more, enter sections, call rcu_synchronize, and block; what
// they must not do is call rcu_barrier or throw.
//
// Memory. When more objects wait than the limit (rcu_set_backlog_limit), a thread that retires
// outside sections, handlers and deleters is held up, each time until there is room, but never
// longer than 10 ms, because a reader may be waiting for a lock which that thread holds. So with t
// such threads the backlog grows past the limit by at most 100 objects per thread and second, plus
// 64 per CPU by which it is noticed late, plus whatever handlers, sections and deleters retire:
// those are never held up.
//
// Handlers. Retiring an rcu_obj_base or an rcu_head never allocates and never blocks inside a
// handler that this library dispatches. In a signal handler that the program installed by itself,
// the same holds once the reclaimer exists; since creating a thread is not async-signal-safe, such
// a program calls rcu_start_reclaimer (or nmi_attach, or retires something) before the first
// signal.
//
// Exit. A normal exit runs outstanding deleters at the point where the destructor of a static
// object created by the first retirement would run. An object retired after that, by another static
// destructor, is reclaimed before retire returns, unless a section stays open for 10 ms. If one is
// still open when the program ends, the exit waits for it up to the stall limit (rcu.hpp) and then
// leaves the rest, saying so.
//
// Limits. fork(): the child owns a copy of whatever had been retired and not yet reclaimed, and
// reclaims it by itself; fork waits up to 100 ms for a deleter that is running, and an object whose
// deleter takes longer stays in the child as it is.
//
// Cost: docs/figures.md.
//
// Sources. [saferecl.rcu] of the C++26 working draft; Linux: call_rcu and rcu_barrier,
// kernel/rcu/tree.c.
#pragma once

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <nmircu/detail/rcu_domain.hpp>
#include <nmircu/detail/retire.hpp>

#pragma GCC visibility push(default)

namespace nmircu {

template <class T, class D>
class rcu_obj_base;

namespace detail {

// T is rcu-protectable [saferecl.rcu.general] if deduction finds one base rcu_obj_base<T, D>, and
// that base can be cast back: it is unique, public and not virtual.
template <class X, class Y>
constexpr std::type_identity<rcu_obj_base<X, Y>> base_for_retire(const rcu_obj_base<X, Y>*);

template <class T, class D>
concept rcu_protectable = requires(T* object, rcu_obj_base<T, D>* base) {
    { base_for_retire(object) } -> std::same_as<std::type_identity<rcu_obj_base<T, D>>>;
    static_cast<T*>(base);
};

}  // namespace detail

// The base of a class whose objects retire themselves. [saferecl.rcu.base]
// T may be incomplete until a member is used. Trivially copyable if D is; a copy of a retired
// object is not retired.
template <class T, class D = std::default_delete<T>>
class rcu_obj_base {
  public:
    // Hands the object over: d(object) runs after a grace period.
    // Context: thread, signal, irq, nmi; see "Handlers" and "Memory" above. Does not allocate; in a
    // thread it may block for up to 10 ms. Requires: the object is not retired already (debug
    // builds stop with a message that gives both calls); moving D does not throw. Ownership: from
    // the call on, the library's.
    [[gnu::always_inline]] void retire(D d = D(),
                                       rcu_domain& domain = rcu_default_domain()) noexcept {
        static_assert(detail::rcu_protectable<T, D>,
                      "T must have exactly one base rcu_obj_base<T, D>, public and non-virtual");
        static_assert(std::is_default_constructible_v<D> && std::is_move_assignable_v<D>,
                      "the deleter must be default constructible and move assignable");
        static_assert(std::is_invocable_v<D&, T*>, "the deleter must be callable with a T*");
        deleter_ = std::move(d);
        static_cast<void>(domain);  // there is one
        detail::retire_here(head_, reclaim);
    }

  protected:
    rcu_obj_base() = default;
    rcu_obj_base(const rcu_obj_base&) = default;
    rcu_obj_base(rcu_obj_base&&) = default;
    rcu_obj_base& operator=(const rcu_obj_base&) = default;
    rcu_obj_base& operator=(rcu_obj_base&&) = default;
    ~rcu_obj_base() = default;

  private:
    static void reclaim(rcu_head* head) {
        // The first member of a class without bases or virtual functions is at its address.
        auto* const self = reinterpret_cast<rcu_obj_base*>(head);
        T* const object = static_cast<T*>(self);
        // Out of the object that it is about to delete.
        D deleter = D();
        deleter = std::move(self->deleter_);
        deleter(object);
    }

    rcu_head head_;
    [[no_unique_address]] D deleter_;
};

namespace detail {

// What rcu_retire allocates. Noted: the object's retirement has been noted (misuse.hpp).
template <class T, class D, bool Noted>
struct retired_pointer {
    rcu_head head;
    T* object;
    [[no_unique_address]] D deleter;

    retired_pointer(T* given, D& from) : object(given), deleter(std::move(from)) {}
    [[nodiscard]] const void* address() const noexcept {
        return const_cast<const void*>(static_cast<const volatile void*>(object));
    }
    static void reclaim(rcu_head* head) {
        auto* const self = reinterpret_cast<retired_pointer*>(head);
        if constexpr (Noted) forget_retired(self->address());
        self->deleter(self->object);
        delete self;
    }
};

}  // namespace detail

// Runs d(p) after a grace period, for an object without an rcu_obj_base. [saferecl.rcu.domain.func]
// Context: thread only; allocates; may block as retire does. `p` may be null: d gets it.
// Throws std::bad_alloc, or what moving D throws; then nothing has been retired.
template <class T, class D = std::default_delete<T>>
[[gnu::always_inline]] inline void rcu_retire(T* p, D d = D(),
                                              rcu_domain& domain = rcu_default_domain()) {
    static_assert(std::is_move_constructible_v<D>, "the deleter must be move constructible");
    static_assert(std::is_invocable_v<D&, T*>, "the deleter must be callable with a T*");
    static_cast<void>(domain);  // there is one
    if constexpr (detail::checks_misuse) {
        detail::require_no_handler("rcu_retire", arch::code_address());
    }
    // Only who deletes twice is wrong; the draft lets several deleters look at one object.
    constexpr bool noted = detail::checks_misuse && std::is_same_v<D, std::default_delete<T>>;
    using retired = detail::retired_pointer<T, D, noted>;
    auto* const node = new retired(p, d);
    if constexpr (noted) {
        if (p != nullptr) detail::note_retired(node->address(), arch::code_address());
    }
    detail::retire(node->head, retired::reclaim);
}

// Runs function(&head) after a grace period: retirement for plain functions, on memory the caller
// provides. `head` belongs to the library until the function is called, and may be freed by it.
// Context and cost: as rcu_obj_base::retire. Requires: neither is null, the head is not in use. A
// null function stops the program with a message.
[[gnu::always_inline]] inline void rcu_call(rcu_head& head, void (*function)(rcu_head*)) noexcept {
    // Nothing is left of this where the function is a constant.
    if (function == nullptr) [[unlikely]]
        detail::report_null("rcu_call", arch::code_address());
    detail::retire_here(head, function);
}

// Blocks until every object retired before the call, by whomever and in whatever context, has been
// reclaimed. It may run deleters itself, and it does not imply a grace period.
// Context: thread only, outside sections and deleters, and without a lock that a deleter takes.
// Inside a section, a handler or a deleter: stops the program with a message.
void rcu_barrier(rcu_domain& domain = rcu_default_domain()) noexcept;

// Objects that may wait for reclamation before threads that retire are held up: see "Memory".
// Default 65,536; $NMIRCU_BACKLOG_LIMIT sets it at the start. At least 1. Context: any.
void rcu_set_backlog_limit(std::uint64_t objects) noexcept;

// Creates the reclaimer thread, if there is none. False: the system refused; it is tried again
// later. Context: thread. Blocks for as long as creating a thread takes; allocates.
bool rcu_start_reclaimer() noexcept;

}  // namespace nmircu

#pragma GCC visibility pop
