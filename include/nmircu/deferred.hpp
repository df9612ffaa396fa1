// SPDX-License-Identifier: MIT
//
// Deferred work: what an interrupt handler may not do itself, done a moment later on a thread. The
// kernel's irq_work.
//
// Purpose. A handler cannot lock, allocate, block or log. It queues an item instead, and a thread
// of the library ("nmircu-work") runs the item's function, outside every section and handler.
//
// Smallest complete use:
//
//     nmircu::deferred_function report([] { std::puts("it happened"); });    // lives long enough
//     nmircu::deferred_start();                                              // once, in a thread
//
//     int handler(void*, pt_regs*, int) { report.queue(); return 1; }        // nmi context
//
// Guarantees. An item is queued at most once until its function begins to run: an event meanwhile
// is the same event, and `queue` says so. From the moment its function begins it can be queued
// again, also by itself, and then runs again. Functions run one at a time, in the order in which
// their items were queued. What precedes a `queue`, also one that returned false, is visible to the
// next run.
//
// Freeing. Before an item, or the code of its function, is freed: see to it that nobody queues it
// any more (remove the handler that does; that waits for it), then flush. The destructor flushes.
// An item's function may destroy its own item, as its last act.
//
// Misuse. Flushing inside an item's function would wait for itself: it stops the program with a
// message that names both. So does flushing inside a section or a handler.
//
// Limits. Until deferred_start has succeeded once, or when the system has no more threads, what is
// queued waits for the next flush. An item that blocks holds up those behind it.
// What is queued when the program ends is not run: flush first.
//
// fork(): an item that was queued and whose function had not begun is queued in both processes, and
// runs once in each; one whose function had begun runs, or ran, in the parent only. From the moment
// the program calls fork no function begins until it is done; it waits up to 100 ms for one that is
// running, which longer ones go on past. A function that forks goes on in both. The child has a
// thread for its items from its first flush or deferred_start on. A queue() that another thread was
// in the middle of, not returned, at the moment of the fork may be lost in the child, with those
// that returned false because of it; the item can be queued again there, and its flush returns.
//
// Cost: docs/figures.md.
//
// Source. Linux: include/linux/irq_work.h, kernel/irq_work.c.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace nmircu {

namespace detail {

// What is queued. Zero but for the function when it is not. Same layout as struct nmi_deferred of
// module.h.
struct deferred_item {
    void (*function)(deferred_item*) noexcept;
    deferred_item* next;
    std::atomic<std::uint32_t> queued;
};

// Context: thread, signal, irq, nmi.
bool queue_deferred(deferred_item& item) noexcept;
// Context: thread. The end of an item's life.
void end_deferred(deferred_item& item, const void* caller) noexcept;
// A null item: all. `caller` is where the public function was called, for messages.
void flush_deferred(deferred_item* item, const char* what, const void* caller) noexcept;

}  // namespace detail

// Creates the thread that runs items, if there is none. False: the system refused; it may be tried
// again. Context: thread, outside handlers; blocks for as long as creating a thread takes;
// allocates.
bool deferred_start() noexcept;

// Returns when every item that was queued before the call has run and its function has returned.
// Runs items itself if there is no thread, or if it comes first. Context: thread, outside sections
// and items' functions; blocks.
void deferred_flush_all() noexcept;

// An item whose function is part of a class: derive from it, or use deferred_function. Not movable:
// the queue refers to it.
class deferred_work : private detail::deferred_item {
  public:
    // `run_by` is called on the library's thread, with the item. It may block, allocate, queue
    // items, and destroy this one as its last act; it must not throw.
    using function_t = void (*)(deferred_work& work) noexcept;

    // A constant expression: a static item can be queued before main.
    constexpr explicit deferred_work(function_t run_by) noexcept
        : detail::deferred_item{run, nullptr, {}}, function_(run_by) {}
    deferred_work(const deferred_work&) = delete;
    deferred_work& operator=(const deferred_work&) = delete;
    // Flushes, if the item is queued or running. Context: thread, outside sections and handlers;
    // inside an item's function, only that item's own.
    ~deferred_work() { detail::end_deferred(*this, __builtin_return_address(0)); }

    // Has the function run soon. False: it was queued already. Context: thread, signal, irq, nmi.
    // Never blocks, never allocates; wakes the thread if it sleeps, which is one system call, and
    // preserves errno.
    bool queue() noexcept { return detail::queue_deferred(*this); }

    // Whether it is queued and its function has not begun. Context: any.
    [[nodiscard]] bool pending() const noexcept {
        return queued.load(std::memory_order_relaxed) != 0;  // a hint
    }

    // Returns when a run of the function that began after the latest queue() has ended, or nothing
    // is queued. A queue() that has returned false counts too; deferred_flush_all does not wait for
    // an item that another thread is in the middle of queueing. Runs everything that was queued
    // before, so it may wait for other items. Context: as deferred_flush_all.
    void flush() noexcept {
        detail::flush_deferred(this, "deferred_work::flush", __builtin_return_address(0));
    }

  private:
    static void run(detail::deferred_item* item) noexcept {
        auto& self = static_cast<deferred_work&>(*item);
        self.function_(self);
    }

    function_t function_;
};

// An item and its callable in one object; called as callable(), from the queue's one indirect call.
template <class Callable>
requires std::is_invocable_v<Callable&>
class deferred_function {
  public:
    explicit constexpr deferred_function(Callable callable) noexcept(
        std::is_nothrow_move_constructible_v<Callable>)
        : callable_(std::move(callable)), work_(this) {}

    // As deferred_work's.
    bool queue() noexcept { return work_.queue(); }
    [[nodiscard]] bool pending() const noexcept { return work_.pending(); }
    void flush() noexcept { work_.flush(); }

  private:
    class item : public deferred_work {
      public:
        explicit constexpr item(deferred_function* owner) noexcept
            : deferred_work(call), owner_(owner) {}

      private:
        static void call(deferred_work& work) noexcept {
            static_cast<item&>(work).owner_->callable_();
        }
        deferred_function* owner_;
    };

    Callable callable_;
    item work_;  // ends before what it calls
};

}  // namespace nmircu

#pragma GCC visibility pop
