// SPDX-License-Identifier: MIT
//
// Adding, swapping and removing handlers.
//
//   variable            written by               read by        protection
//   published           updaters, under lock     dispatches     rcu_assign_pointer / dereference
//   announced           updaters, under lock     remove_later   [HR-3] with [HR-4]; what is to be
//                                                               published next, or is published
//   arrays              updaters, under lock     dispatches     a grace period between the two
//   an entry's called   the above; any context   dispatches     [HR-1] with [HR-2]
//                       for one that leaves
//   a record's token    updaters, under lock;    anybody        compare-exchange; the rest of a
//                       remove_later             record is constant while it has one
#include "interrupt/handler_registry.hpp"

#include <nmircu/platform/port.hpp>

#include "rcu/engine.hpp"

namespace nmircu::interrupt {

namespace {

using platform::port;

// Stands for a handler that has left a published array.
int declined(void*, pt_regs*, int) {
    return 0;
}

bool same_name(const char* a, const char* b) noexcept {
    while (*a != '\0' && *a == *b)
        ++a, ++b;
    return *a == *b;
}

chain_entry* find_entry(chain& handlers, unsigned id) noexcept {
    for (unsigned i = 0; i < handlers.count; ++i) {
        if (handlers.entries[i].id == id) return &handlers.entries[i];
    }
    return nullptr;
}

// Not of an array that is published, or may be walked: it is not written again.
void set_count(chain& handlers, unsigned count) noexcept {
    handlers.count = count;
    handlers.end = handlers.entries + count;
}

void erase(chain& handlers, chain_entry* entry) noexcept {
    set_count(handlers, handlers.count - 1);
    chain_entry* const last = handlers.entries + handlers.count;
    for (; entry != last; ++entry)
        *entry = entry[1];
}

void insert(chain& handlers, const chain_entry& entry, bool first) noexcept {
    unsigned at = handlers.count;
    set_count(handlers, at + 1);
    for (; first && at != 0; --at)
        handlers.entries[at] = handlers.entries[at - 1];
    handlers.entries[at] = entry;
}

// Any context.
void disarm(chain& handlers, unsigned id) noexcept {
    chain_entry* const entry = find_entry(handlers, id);
    if (entry == nullptr) return;
    // Relaxed: whoever still calls the old function is waited for.
    __atomic_store_n(&entry->called, handler_function{declined}, __ATOMIC_RELAXED);
}

// What is left of `most_ns` since `start`.
std::uint64_t rest_of(std::uint64_t most_ns, std::uint64_t start) noexcept {
    if (most_ns == platform::forever_ns) return most_ns;
    const std::uint64_t spent = port::now_ns() - start;
    return spent < most_ns ? most_ns - spent : 0;
}

detail::named_code named(const char* name, handler_function function) noexcept {
    return {name, reinterpret_cast<const void*>(function)};
}

unsigned cell_of(handler_token token) noexcept {
    return static_cast<unsigned>(token % most_handlers);
}

}  // namespace

handler_registry::record* handler_registry::find_locked(handler_token token) noexcept {
    record& handler = records_[cell_of(token)];
    // Relaxed: what a record says is written under the lock.
    const bool here = token != 0 && handler.token.load(std::memory_order_relaxed) == token;
    return here ? &handler : nullptr;
}

// The first registered after `after`.
const handler_registry::record* handler_registry::next_locked(handler_token after) const noexcept {
    const record* next = nullptr;
    handler_token least = ~handler_token{0};
    for (const record& handler : records_) {
        // Relaxed: as above; a handler that is leaving is still there.
        const handler_token token = handler.token.load(std::memory_order_relaxed) & ~marks;
        if (token <= after || token >= least || handler.name[0] == '\0') continue;
        next = &handler;
        least = token;
    }
    return next;
}

registry_result handler_registry::claim_cell_locked(const new_handler& what,
                                                    unsigned& id) noexcept {
    id = most_handlers;
    for (unsigned i = 0; i < most_handlers; ++i) {
        const record& handler = records_[i];
        // Relaxed: written under the lock, but for the bit that says it is leaving.
        const bool used = handler.token.load(std::memory_order_relaxed) != 0;
        if (used && same_name(handler.name, what.name)) return registry_result::name_taken;
        if (!used && id == most_handlers) id = i;
    }
    return id == most_handlers ? registry_result::too_many : registry_result::done;
}

void handler_registry::clear_counts(unsigned id) noexcept {
    for (unsigned cpu = 0; cpu < port::possible_cpus(); ++cpu) {
        handler_cell& cell = counts_.handlers[cpu].cell[id];
        // Looks before it writes, so that rows of idle CPUs stay untouched pages.
        for (count_words* words : {&cell.alone_handled, &cell.alone_passed, &cell.among_handled,
                                   &cell.timed, &cell.cycles}) {
            if (words->read() != 0) words->clear();
        }
        // Relaxed: nobody dispatches to this cell.
        if (__atomic_load_n(&cell.longest_cycles, __ATOMIC_RELAXED) != 0) {
            __atomic_store_n(&cell.longest_cycles, 0, __ATOMIC_RELAXED);
        }
        if (cell.past_calls != 0) cell.past_calls = cell.past_handled = 0;
    }
}

// Nobody walks the spare: what was counted in it goes to its handlers.
void handler_registry::nobody_walks_locked(unsigned vector) noexcept {
    // Relaxed: written with the lock held.
    const chain* const published = published_[vector].load(std::memory_order_relaxed);
    chain* const arrays = vectors_[vector].arrays;
    const unsigned which = published == &arrays[0] ? 1 : 0;
    const chain& spare = arrays[which];
    vectors_[vector].spare_may_be_walked = false;
    for (unsigned cpu = 0; cpu < port::possible_cpus(); ++cpu) {
        // Not by spare.index, which an array that was never filled does not have.
        chain_cell& cell = counts_.chains[cpu].cell[2 * vector + which];
        const std::uint64_t all = cell.all.read(), other = cell.other.read();
        if (all + other == 0) continue;
        for (unsigned i = 0; i < spare.count; ++i) {
            handler_cell& handler = counts_.handlers[cpu].cell[spare.entries[i].id];
            handler.past_calls += all + other;
            handler.past_handled += all;
        }
        cell.all.clear();
        cell.other.clear();
    }
}

bool handler_registry::wait_for_dispatches_locked(unsigned vector, std::uint64_t most_ns) noexcept {
    if (most_ns == platform::forever_ns) {
        rcu_synchronize();
    } else if (!rcu::wait_for_grace_period(rcu::whole_grace_period_from_now(), most_ns)) {
        return false;
    }
    nobody_walks_locked(vector);
    return true;
}

bool handler_registry::spare_is_free_locked(unsigned vector, std::uint64_t most_ns) noexcept {
    return !vectors_[vector].spare_may_be_walked || wait_for_dispatches_locked(vector, most_ns);
}

// An array nobody walks any more, holding a copy of the published one.
chain& handler_registry::fresh_copy_locked(unsigned vector) noexcept {
    static_cast<void>(spare_is_free_locked(vector, platform::forever_ns));
    // Relaxed: written with the lock held.
    const chain* const published = published_[vector].load(std::memory_order_relaxed);
    chain* const arrays = vectors_[vector].arrays;
    const unsigned which = published == &arrays[0] ? 1 : 0;
    chain& spare = arrays[which];
    spare.index = 2 * vector + which;
    set_count(spare, published == nullptr ? 0 : published->count);
    for (unsigned i = 0; i < spare.count; ++i) {
        const chain_entry& from = published->entries[i];
        spare.entries[i] = {from, function_of(from), from.cookie, from.id};
    }
    return spare;
}

void handler_registry::publish_locked(unsigned vector, chain& next) noexcept {
    // [HR-3] release: the array is filled before it is announced. Partner: [HR-4].
    // Weakened: who leaves looks for itself in an array half written.
    vectors_[vector].announced.store(&next, std::memory_order_release);
    // [HR-1] seq_cst fence: the announcement precedes the look for those who are leaving.
    // Partner: [HR-2]. Weakened: a handler that left while the array was copied is called again.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (unsigned i = 0; i < next.count; ++i) {
        const unsigned id = next.entries[i].id;
        // Relaxed: ordered by the fence.
        const handler_token token = records_[id].token.load(std::memory_order_relaxed);
        if ((token & leaving) != 0) disarm(next, id);
    }
    rcu_assign_pointer(published_[vector], &next);
    vectors_[vector].spare_may_be_walked = true;
}

// In the array that is published now, and in the one that is about to be: whoever announces another
// one later sees the mark. In this order: an array that is published by the second look had been
// announced by the first, or is announced after it. Any context, inside a section, so that neither
// array is filled anew.
void handler_registry::disarm_everywhere(unsigned id) noexcept {
    const unsigned vector = records_[id].vector;
    // [HR-4] acquire: the array that is announced has been filled; and the look at what is
    // published comes second. Partner: [HR-3]. Weakened: as there.
    chain* const announced = vectors_[vector].announced.load(std::memory_order_acquire);
    if (announced != nullptr) disarm(*announced, id);
    const chain* const published = rcu_dereference(published_[vector]);
    if (published != nullptr) disarm(vectors_[vector].arrays[published->index % 2], id);
}

// Whether it was registered, and nobody else has begun to remove it. Any context.
bool handler_registry::claim_departure(handler_token token, handler_token with) noexcept {
    if (token == 0 || (token & marks) != 0) return false;
    // Relaxed: the record behind a token is constant; see [HR-2] for what follows.
    return records_[cell_of(token)].token.compare_exchange_strong(
        token, token | with, std::memory_order_relaxed, std::memory_order_relaxed);
}

registry_result handler_registry::add(const new_handler& what, handler_token& token) noexcept {
    platform::lock_guard guard(updating_);
    unsigned id;
    if (const registry_result result = claim_cell_locked(what, id);
        result != registry_result::done) {
        return result;
    }
    chain& next = fresh_copy_locked(what.vector);
    clear_counts(id);
    record& handler = records_[id];
    handler.registry = this;
    handler.vector = what.vector;
    handler.generation = 1;
    for (unsigned i = 0; i == 0 || what.name[i - 1] != '\0'; ++i)
        handler.name[i] = what.name[i];
    token = ++registrations_ * most_handlers + id;
    handler.token.store(token, std::memory_order_relaxed);  // whoever has it got it from us
    const chain_entry entry{named(handler.name, what.function), what.function, what.cookie, id};
    insert(next, entry, what.first);
    publish_locked(what.vector, next);
    return registry_result::done;
}

registry_result handler_registry::swap(handler_token token, handler_function function,
                                       void* cookie) noexcept {
    platform::lock_guard guard(updating_);
    record* const handler = find_locked(token);
    if (handler == nullptr) return registry_result::not_registered;
    chain& next = fresh_copy_locked(handler->vector);
    chain_entry* const entry = find_entry(next, cell_of(token));
    entry->function = reinterpret_cast<const void*>(function);
    entry->called = function;
    entry->cookie = cookie;
    publish_locked(handler->vector, next);
    ++handler->generation;
    wait_for_dispatches_locked(handler->vector, platform::forever_ns);
    return registry_result::done;
}

registry_result handler_registry::remove(handler_token token, std::uint64_t most_ns,
                                         final_counts last) noexcept {
    platform::lock_guard guard(updating_);
    if (find_locked(token) == nullptr) return registry_result::not_registered;
    record& handler = records_[cell_of(token)];
    const std::uint64_t start = port::now_ns();
    if (!spare_is_free_locked(handler.vector, most_ns)) return registry_result::still_running;
    if (!claim_departure(token, leaving)) return registry_result::not_registered;
    // Relaxed, here and below: written with the lock held.
    const chain* const before = published_[handler.vector].load(std::memory_order_relaxed);
    chain& next = fresh_copy_locked(handler.vector);
    erase(next, find_entry(next, cell_of(token)));
    publish_locked(handler.vector, next);
    if (!wait_for_dispatches_locked(handler.vector, rest_of(most_ns, start))) {
        handler.token.store(token, std::memory_order_relaxed);
        // Unchanged, and perhaps still walked.
        publish_locked(handler.vector, vectors_[handler.vector].arrays[before->index % 2]);
        return registry_result::still_running;
    }
    read_locked(cell_of(token), last);
    handler.token.store(0, std::memory_order_relaxed);
    return registry_result::done;
}

registry_result handler_registry::remove_later(handler_token token, void (*done)(void*),
                                               void* argument) noexcept {
    // All of it in one section: who finds the mark and waits for a grace period knows that the
    // removal is in the reclaimer's hands.
    rcu_default_domain().lock();
    const bool claimed = claim_departure(token, leaving | by_reclaimer);
    if (claimed) {
        record& handler = records_[cell_of(token)];
        handler.done = done;
        handler.argument = argument;
        // [HR-2] seq_cst fence: the mark precedes the look at what is announced and published.
        // Partner: [HR-1]. Weakened: as there.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        disarm_everywhere(cell_of(token));
        rcu_call(handler.departure, depart);
    }
    rcu_default_domain().unlock();
    return claimed ? registry_result::done : registry_result::not_registered;
}

void handler_registry::wait_for_departure(handler_token token) const noexcept {
    // Relaxed: deleters run one at a time, and `done` is called by the one that wrote it.
    const handler_token found = records_[cell_of(token)].token.load(std::memory_order_relaxed);
    const detail::reader_state& self = platform::this_reader();
    if (self.reclaims == self.running_deleters && (found & ~marks) != token) return;
    rcu_synchronize();
    rcu_barrier();
}

// On the reclaimer thread, a grace period after the handler was disarmed: nobody is inside it.
void handler_registry::depart(rcu_head* head) noexcept {
    record& handler = *reinterpret_cast<record*>(head);
    handler_registry& self = *handler.registry;
    void (*const done)(void*) = handler.done;
    void* const argument = handler.argument;
    {
        platform::lock_guard guard(self.updating_);
        const auto id = static_cast<unsigned>(&handler - self.records_);
        chain& next = self.fresh_copy_locked(handler.vector);
        erase(next, find_entry(next, id));
        self.publish_locked(handler.vector, next);
        // The old array names the handler until nobody walks it.
        self.wait_for_dispatches_locked(handler.vector, platform::forever_ns);
        handler.token.store(0, std::memory_order_relaxed);  // written with the lock held
    }
    if (done != nullptr) done(argument);
}

handler_function handler_registry::handler_of(handler_token token) noexcept {
    platform::lock_guard guard(updating_);
    const record* const handler = find_locked(token);
    if (handler == nullptr) return nullptr;
    // Relaxed: written with the lock held.
    const chain* const published = published_[handler->vector].load(std::memory_order_relaxed);
    chain& array = vectors_[handler->vector].arrays[published->index % 2];
    return function_of(*find_entry(array, cell_of(token)));
}

// A dispatch names the handler by the name in its record.
bool handler_registry::cell_runs_here(unsigned id) const noexcept {
    const detail::running_handler* running = platform::this_reader().handler;
    while (running != nullptr && running->code->name != records_[id].name)
        running = running->outer;
    return running != nullptr;
}

bool handler_registry::runs_here(handler_token token) const noexcept {
    const unsigned id = cell_of(token);
    // Relaxed: a handler that runs has its record.
    const handler_token found = records_[id].token.load(std::memory_order_relaxed) & ~marks;
    return token != 0 && found == token && cell_runs_here(id);
}

bool handler_registry::runs_here(unsigned vector, const void* cookie) const noexcept {
    if (platform::this_reader().handler == nullptr) return false;
    // Inside the section of the dispatch.
    const chain* const published = rcu_dereference(published_[vector]);
    if (published == nullptr) return false;
    for (unsigned i = 0; i < published->count; ++i) {
        const chain_entry& entry = published->entries[i];
        if (entry.cookie == cookie && cell_runs_here(entry.id)) return true;
    }
    return false;
}

handler_token handler_registry::find(const char* name) noexcept {
    platform::lock_guard guard(updating_);
    for (const record& handler : records_) {
        // Relaxed: written with the lock held.
        const handler_token token = handler.token.load(std::memory_order_relaxed);
        if (token != 0 && same_name(handler.name, name)) return token & ~marks;
    }
    return 0;
}

unsigned handler_registry::count_on(unsigned vector) noexcept {
    platform::lock_guard guard(updating_);
    // Relaxed: written with the lock held.
    const chain* const published = published_[vector].load(std::memory_order_relaxed);
    return published == nullptr ? 0 : published->count;
}

handler_token handler_registry::find(unsigned vector, const void* cookie) noexcept {
    platform::lock_guard guard(updating_);
    // Relaxed: written with the lock held.
    const chain* const published = published_[vector].load(std::memory_order_relaxed);
    for (unsigned i = 0; published != nullptr && i < published->count; ++i) {
        const chain_entry& entry = published->entries[i];
        if (entry.cookie != cookie) continue;
        return records_[entry.id].token.load(std::memory_order_relaxed) & ~marks;
    }
    return 0;
}

void handler_registry::read_locked(unsigned id, final_counts out) const noexcept {
    const record& handler = records_[id];
    handler_statistics totals{};
    for (unsigned i = 0; i < handler_name_bytes; ++i)
        totals.name[i] = handler.name[i];
    totals.generation = handler.generation;
    std::uint64_t cycles = 0, longest = 0;
    for (unsigned cpu = 0; cpu < port::possible_cpus(); ++cpu) {
        const handler_cell& cell = counts_.handlers[cpu].cell[id];
        std::uint64_t handled =
            cell.past_handled + cell.alone_handled.read() + cell.among_handled.read();
        totals.calls += cell.past_calls + cell.alone_handled.read() + cell.alone_passed.read();
        for (chain& array : vectors_[handler.vector].arrays) {
            if (find_entry(array, id) == nullptr) continue;
            const chain_cell& shared = counts_.chains[cpu].cell[array.index];
            handled += shared.all.read();
            totals.calls += shared.all.read() + shared.other.read();
        }
        if (out.cpu_handled != nullptr && cpu < out.cpus) out.cpu_handled[cpu] = handled;
        totals.handled += handled;
        totals.timed_calls += cell.timed.read();
        cycles += cell.cycles.read();
        // Relaxed: a maximum for people.
        const std::uint64_t here = __atomic_load_n(&cell.longest_cycles, __ATOMIC_RELAXED);
        longest = here > longest ? here : longest;
    }
    totals.total_ns = port::cycles_to_ns(cycles);
    totals.longest_ns = port::cycles_to_ns(longest);
    if (out.totals != nullptr) *out.totals = totals;
}

// What becomes of one that another thread was adding or removing. A handler that interrupted an
// update of its own thread may have forked, too: that update goes on, and finds nothing it cannot
// end. Relaxed throughout: there is one thread.
void handler_registry::settle_in_child(unsigned id) noexcept {
    record& handler = records_[id];
    const handler_token token = handler.token.load(std::memory_order_relaxed);
    if (token == 0) return;
    const chain* const published = published_[handler.vector].load(std::memory_order_relaxed);
    if (published == nullptr ||
        find_entry(vectors_[handler.vector].arrays[published->index % 2], id) == nullptr) {
        // Nobody will publish what the update had in mind.
        handler.token.store(0, std::memory_order_relaxed);
    } else if ((token & by_reclaimer) != 0) {
        // The reclaimer removes it, if it was retired before the fork, which cannot be told. If
        // not, its cell stays used; in both cases nobody calls it, and its name is free.
        disarm_everywhere(id);
        handler.name[0] = '\0';
    } else {
        // A removal that has published nothing has not begun.
        handler.token.store(token & ~leaving, std::memory_order_relaxed);
    }
}

void handler_registry::forked() noexcept {
    updating_.reset();
    for (unsigned vector = 0; vector < vector_count_; ++vector)
        vectors_[vector].spare_may_be_walked = true;
    for (unsigned id = 0; id < most_handlers; ++id)
        settle_in_child(id);
}

}  // namespace nmircu::interrupt
