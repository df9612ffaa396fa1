// SPDX-License-Identifier: MIT
//
// The queue of deferred work, and the thread that empties it.
//
//   variable         written by                  read by             protection
//   pushed           anybody; who runs items     who runs items      [DW-1] with [DW-2]
//   an item's queued anybody; who runs items     anybody             [DW-3] with [DW-4]
//   an item's next   who queues it, then who     who runs items      pushed, then running
//                    runs items
//   taken, current   who runs items              the same; a child   running, gate
//   flushers, pause  who flushes                 the thread, futex   none: hints
//   asleep           the thread; who queues      both, futex         [DW-5] with [DW-6]
//   gate             who runs items; forks       both                rcu/fork_gate.hpp
//   claim            a forked child              anybody             none: one thread then
//
// Items are pushed on a stack without a lock, taken all at once, and turned around: so batches run
// in order, and items within a batch. Whoever holds `running` runs items: the thread, or a caller
// of flush, for whom everything that was queued before is then in the batch at hand, or done.
//
// A fork copies the queue between two items or during a function, at no other point: from its first
// moment on no function begins and nothing is taken until the copy is made, and it waits for who is
// taking, and for a while for a function that runs. So in the child each item is in a list, or its
// function had begun in the parent; but for those that a thread which is not in the child had
// claimed and not pushed. So that these can be claimed again, the child has another value for
// `queued`.
#include <nmircu/deferred.hpp>

#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/detail/misuse.hpp>
#include <nmircu/platform/port.hpp>
#include <nmircu/platform/reader.hpp>

#include "platform/lock.hpp"
#include "platform/text.hpp"
#include "rcu/engine.hpp"
#include "rcu/fork_gate.hpp"

namespace nmircu::interrupt {

namespace {

using detail::deferred_item;
using platform::port;
using rcu::fork_gate;

// What is waited for here comes without a wake-up, or may not come; then one looks again.
constexpr std::uint64_t flusher_goes_first_ns = 1'000'000;
constexpr std::uint64_t push_takes_ns = 50'000;

// How long a fork waits for a function that is running.
constexpr std::uint64_t fork_waits_ns = 100'000'000;

// lost: this is the child of a process that has one.
enum class worker : std::uint32_t { absent, starting, there, lost };

struct deferred_queue {
    std::atomic<deferred_item*> pushed{nullptr};
    std::atomic<std::uint32_t> asleep{0};
    std::atomic<worker> thread{worker::absent};
    std::atomic<std::uint32_t> claim{1};  // what `queued` is of an item that is queued; not 0
    platform::lock running;
    fork_gate gate;
    // Under `running`.
    deferred_item* taken{nullptr};
    deferred_item* current{nullptr};  // whose function has begun
    deferred_item* flushed{nullptr};  // null as soon as its function has begun
    // Who flushes and waits for `running`; and a word that never changes.
    std::atomic<std::uint32_t> flushers{0};
    std::atomic<std::uint32_t> pause{0};
};
constinit deferred_queue work;

deferred_item* reversed(deferred_item* list) noexcept {
    deferred_item* out = nullptr;
    while (list != nullptr) {
        deferred_item* const next = list->next;
        list->next = out;
        out = list;
        list = next;
    }
    return out;
}

void push(deferred_item& item) noexcept {
    // Relaxed: the exchange that follows publishes.
    deferred_item* first = work.pushed.load(std::memory_order_relaxed);
    do {
        item.next = first;
        // [DW-1] release: the item's link precedes its address. Partner: [DW-2]. Weakened: a list
        // is followed into nowhere.
    } while (!work.pushed.compare_exchange_weak(first, &item, std::memory_order_release,
                                                std::memory_order_relaxed));
}

// Relaxed: it changes when there is one thread. What another process has claimed is free.
std::uint32_t claimed() noexcept {
    return work.claim.load(std::memory_order_relaxed);
}

// Between claim and push, for a handler on this thread that forks. Relaxed: read by this thread and
// its signals, which put it back; [DW-3] and [DW-6] keep the compiler from moving it.
class queueing_now {
  public:
    queueing_now() noexcept { add(1); }
    ~queueing_now() { add(~std::uint32_t{0}); }
    queueing_now(const queueing_now&) = delete;
    queueing_now& operator=(const queueing_now&) = delete;

  private:
    static void add(std::uint32_t difference) noexcept {
        std::uint32_t& count = platform::this_reader().queueing;
        __atomic_store_n(&count, count + difference, __ATOMIC_RELAXED);
    }
};

// The function may free the item.
void run_locked(deferred_item& item) noexcept {
    detail::reader_state& self = platform::this_reader();
    void (*const function)(deferred_item*) noexcept = item.function;
    work.current = &item;
    if (work.flushed == &item) work.flushed = nullptr;
    work.taken = item.next;
    // [DW-4] acq_rel: what preceded a queue() that found the item queued is seen by the function
    // (acquire); the item's link has been read before somebody writes it again (release).
    // Partner: [DW-3]. Weakened: an event is missed, or a list is cut.
    item.queued.exchange(0, std::memory_order_acq_rel);
    self.deferred = reinterpret_cast<const void*>(function);
    function(&item);
    work.current = nullptr;
    self.deferred = nullptr;
}

void run_taken_locked() noexcept {
    if (work.taken == nullptr) return;
    work.gate.begin(fork_gate::running_functions);
    while (work.taken != nullptr) {
        work.gate.let_forks_pass(fork_gate::running_functions);
        run_locked(*work.taken);
    }
    work.gate.end();
}

// One batch: what was queued before the call. Whoever queues for ever holds up nobody. False: there
// was nothing.
bool run_batch_locked() noexcept {
    run_taken_locked();  // in a child: what a thread that it does not have has left
    work.gate.begin(fork_gate::taking);
    // [DW-2] acquire: the links of what is taken. Partner: [DW-1]. Weakened: as there.
    work.taken = reversed(work.pushed.exchange(nullptr, std::memory_order_acquire));
    work.gate.end();
    const bool any = work.taken != nullptr;
    run_taken_locked();
    return any;
}

// Holds the right to run items. The thread says so, for a fork in a handler needs to know.
class runner {
  public:
    runner() noexcept {
        work.running.acquire();
        platform::this_reader().deferring = detail::reader_state::runs_items;
    }
    ~runner() {
        platform::this_reader().deferring = detail::reader_state::no_items;
        work.running.release();
    }
    runner(const runner&) = delete;
    runner& operator=(const runner&) = delete;
};

// Relaxed, all three: hints. Without them the thread, which always has something to do in a storm,
// would take the lock again before a flusher that was woken for it.
void announce_flusher() noexcept {
    work.flushers.fetch_add(1, std::memory_order_relaxed);
}
void flusher_has_turn() noexcept {
    if (work.flushers.load(std::memory_order_relaxed) == 0) return;  // reset in a forked child
    if (work.flushers.fetch_sub(1, std::memory_order_relaxed) == 1) port::wake_all(work.flushers);
}
void let_flushers_go_first() noexcept {
    const std::uint32_t waiting = work.flushers.load(std::memory_order_relaxed);
    if (waiting != 0) port::wait(work.flushers, waiting, flusher_goes_first_ns);
}

// Everything queued before the call; and a run of `item`, if it was queued by then, also by
// somebody who has claimed it and not pushed it yet. True: done.
bool flush_once(deferred_item* item) noexcept {
    announce_flusher();
    const runner now;
    flusher_has_turn();
    work.flushed = item;
    run_batch_locked();
    const bool has_run = work.flushed == nullptr;
    work.flushed = nullptr;
    // Relaxed: by the lock, whose holder alone clears it.
    return has_run || item->queued.load(std::memory_order_relaxed) != claimed();
}

void sleep_until_queued() noexcept {
    work.asleep.store(1, std::memory_order_relaxed);  // ordered by the fence
    // [DW-5] seq_cst fence: the announcement precedes the look at the queue. Partner: [DW-6].
    // Weakened: an item waits for the next one.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // Relaxed: ordered by the fence.
    if (work.pushed.load(std::memory_order_relaxed) == nullptr) {
        port::wait(work.asleep, 1, platform::forever_ns);
    }
    work.asleep.store(0, std::memory_order_relaxed);  // as above
}

void work_for_ever() noexcept {
    // Relaxed: creating the thread has ordered what others need. Its own act: whoever creates it
    // may find himself in the child of a fork, which has no such thread.
    work.thread.store(worker::there, std::memory_order_relaxed);
    for (;;) {
        bool any = false;
        let_flushers_go_first();
        {
            const runner now;
            any = run_batch_locked();
        }
        if (!any) sleep_until_queued();
    }
}

// One caller at a time, if it is `expected`. True: there is a thread now.
bool start_thread(worker expected) noexcept {
    const worker before = expected;
    // Relaxed: creating the thread orders what it needs.
    if (!work.thread.compare_exchange_strong(expected, worker::starting, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
        return expected == worker::starting || expected == worker::there;
    }
    if (port::start_thread(work_for_ever, "nmircu-work")) return true;
    work.thread.store(before, std::memory_order_relaxed);  // as above
    return false;
}

void require_outside_items(const char* what, const void* caller) noexcept {
    const detail::reader_state& self = platform::this_reader();
    if (self.deferred == nullptr) return;
    platform::text_line line;
    line << "nmircu: " << what << " called at " << caller
         << " inside the function of deferred work at " << self.deferred
         << "; it would wait for itself. Let another thread flush";
    port::panic(line.c_str());
}

}  // namespace

}  // namespace nmircu::interrupt

namespace nmircu {

using interrupt::work;
using interrupt::worker;

namespace detail {

bool queue_deferred(deferred_item& item) noexcept {
    const interrupt::queueing_now mark;
    const std::uint32_t claim = interrupt::claimed();
    // [DW-3] acq_rel: what precedes the call is seen by the run that it asks for, also if the item
    // is queued already (release); that run has let go of the item (acquire). Partner: [DW-4].
    // Weakened: as there.
    if (item.queued.exchange(claim, std::memory_order_acq_rel) == claim) return false;
    interrupt::push(item);
    // [DW-6] seq_cst fence: the push precedes the look whether the thread sleeps. Partner: [DW-5].
    // Weakened: as there.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // Relaxed: ordered by the fence; one of those who ring is enough.
    if (work.asleep.load(std::memory_order_relaxed) != 0 &&
        work.asleep.exchange(0, std::memory_order_relaxed) != 0) {
        platform::port::wake_all(work.asleep);
    }
    return true;
}

void flush_deferred(deferred_item* item, const char* what, const void* caller) noexcept {
    require_no_section(what, caller);
    interrupt::require_outside_items(what, caller);
    static_cast<void>(interrupt::start_thread(worker::lost));
    while (!interrupt::flush_once(item))
        platform::port::wait(work.pause, 0, interrupt::push_takes_ns);
}

void end_deferred(deferred_item& item, const void* caller) noexcept {
    // Its own function's last act: once that returns nothing touches the item, unless it is queued.
    const bool in_its_own = platform::this_reader().deferred != nullptr && work.current == &item;
    // Relaxed: nobody queues it any more; a run that has begun is waited for by the lock.
    if (in_its_own && item.queued.load(std::memory_order_relaxed) != interrupt::claimed()) return;
    flush_deferred(&item, "~deferred_work", caller);
}

// So that the child finds a whole queue. When the time is up, a function runs that began before;
// who runs it stops at the gate when it returns.
void deferred_before_fork() noexcept {
    reader_state& self = platform::this_reader();
    if (self.deferring != reader_state::no_items) return;  // an item's function forks, or a handler
    self.deferring = reader_state::forks;
    work.gate.hold(rcu::fork_gate::nothing, interrupt::fork_waits_ns);
    work.gate.wait_while_taking();
}

void deferred_after_fork() noexcept {
    reader_state& self = platform::this_reader();
    if (self.deferring != reader_state::forks) return;
    self.deferring = reader_state::no_items;
    work.gate.release();
}

namespace {

// Those that are in no list were claimed by threads that are gone. Relaxed: there is one thread.
void forget_foreign_claims() noexcept {
    std::uint32_t claim = interrupt::claimed() + 1;
    if (claim == 0) claim = 1;
    for (deferred_item* list : {work.taken, work.pushed.load(std::memory_order_relaxed)}) {
        for (; list != nullptr; list = list->next)
            list->queued.store(claim, std::memory_order_relaxed);
    }
    work.claim.store(claim, std::memory_order_relaxed);
}

}  // namespace

void deferred_forked() noexcept {
    reader_state& self = platform::this_reader();
    // Relaxed: there is one thread.
    if (work.thread.load(std::memory_order_relaxed) != worker::absent) {
        work.thread.store(worker::lost, std::memory_order_relaxed);
    }
    work.asleep.store(0, std::memory_order_relaxed);
    const bool goes_on = self.deferring == reader_state::runs_items;
    work.gate.forget(goes_on);
    // Not in a handler that interrupted this thread with an item in its hands.
    if (self.queueing == 0 && (!goes_on || self.deferred != nullptr)) forget_foreign_claims();
    if (goes_on) return;
    self.deferring = reader_state::no_items;
    work.current = work.flushed = nullptr;
    work.flushers.store(0, std::memory_order_relaxed);  // as above
    work.running.reset();
}

}  // namespace detail

bool deferred_start() noexcept {
    detail::require_no_handler("deferred_start", __builtin_return_address(0));
    return interrupt::start_thread(worker::absent) || interrupt::start_thread(worker::lost);
}

void deferred_flush_all() noexcept {
    detail::flush_deferred(nullptr, "deferred_flush_all", __builtin_return_address(0));
}

}  // namespace nmircu
