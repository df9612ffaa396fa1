// SPDX-License-Identifier: MIT
//
// The handlers of one kind of interrupt, NMIs or IRQs: who is registered for which vector, under
// which name, and the chains that dispatches walk. Thread context and outside any section, where
// nothing else is said; an update blocks for grace periods, dispatches never wait for updates.
//
// Each vector has two arrays: the published one, which dispatches walk, and a spare. An update
// fills the spare and publishes it; the old array becomes the spare, and is not written again
// before a grace period has passed. Nothing is allocated.
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/handler_statistics.hpp>
#include <nmircu/rcu.hpp>

#include "interrupt/handler_counts.hpp"
#include "platform/lock.hpp"

namespace nmircu::interrupt {

enum class registry_result : std::uint8_t {
    done,
    name_taken,
    too_many,
    not_registered,
    still_running,
};

// Names one registration, never another one: serial number * most_handlers + cell. 0: none.
using handler_token = std::uint64_t;

struct new_handler {
    unsigned vector;
    const char* name;  // is_name
    handler_function function;
    void* cookie;
    bool first;  // before all that are there
};

// Whether a handler can have that name: it is not null, and has 1..handler_name_bytes - 1
// characters. Any context.
[[nodiscard]] constexpr bool is_name(const char* name) noexcept {
    if (name == nullptr || name[0] == '\0') return false;
    for (unsigned length = 1; length < handler_name_bytes; ++length) {
        if (name[length] == '\0') return true;
    }
    return false;
}

// Where removed statistics go; any may be null.
struct final_counts {
    handler_statistics* totals = nullptr;
    std::uint64_t* cpu_handled = nullptr;
    unsigned cpus = 0;
};

struct vector_arrays {
    chain arrays[2];
    std::atomic<chain*> announced;
    bool spare_may_be_walked;
};

class handler_registry {
  public:
    constexpr handler_registry(std::atomic<const chain*>* published, vector_arrays* vectors,
                               unsigned vector_count, count_tables counts) noexcept
        : published_(published), vectors_(vectors), vector_count_(vector_count), counts_(counts) {}

    registry_result add(const new_handler& what, handler_token& token) noexcept;
    registry_result swap(handler_token token, handler_function function, void* cookie) noexcept;
    // Unpublishes, and waits until nobody is inside; if that takes longer than `most_ns`, publishes
    // again, as if nothing had been done.
    registry_result remove(handler_token token, std::uint64_t most_ns, final_counts last) noexcept;

    // Any context. From the return on no dispatch that begins calls the handler; once nobody is
    // inside it and its name is free, `done(argument)` runs on the reclaimer thread.
    registry_result remove_later(handler_token token, void (*done)(void*), void* argument) noexcept;

    // Until the removal is complete that remove_later has begun, and `done` has returned; inside
    // `done` itself, which finds the rest complete, at once. Thread context.
    void wait_for_departure(handler_token token) const noexcept;

    // What it calls now; null: not registered.
    [[nodiscard]] handler_function handler_of(handler_token token) noexcept;
    // 0: nobody has that name.
    [[nodiscard]] handler_token find(const char* name) noexcept;
    // How many that vector's chain has.
    [[nodiscard]] unsigned count_on(unsigned vector) noexcept;
    // 0: nobody on that vector has that cookie.
    [[nodiscard]] handler_token find(unsigned vector, const void* cookie) noexcept;

    // Whether the calling thread is inside a call of that handler. Any context.
    [[nodiscard]] bool runs_here(handler_token token) const noexcept;
    [[nodiscard]] bool runs_here(unsigned vector, const void* cookie) const noexcept;

    // Calls visit(id, vector) for each handler, in order of registration, under the lock.
    template <class Visit>
    unsigned visit(Visit&& visit) noexcept {
        platform::lock_guard guard(updating_);
        unsigned seen = 0;
        for (handler_token last = 0; next_locked(last) != nullptr; ++seen) {
            const record& handler = *next_locked(last);
            last = handler.token.load(std::memory_order_relaxed) & ~marks;  // changed: under lock
            visit(static_cast<unsigned>(last % most_handlers), handler.vector);
        }
        return seen;
    }
    // Of the handler in cell `id`; inside visit.
    void read_locked(unsigned id, final_counts out) const noexcept;

    // In a forked child, whose only thread this is: an update that another thread had begun is not
    // there to end.
    void forked() noexcept;

  private:
    // Of a record's token: somebody has begun to remove it; and it was remove_later.
    static constexpr handler_token leaving = handler_token{1} << 63;
    static constexpr handler_token by_reclaimer = handler_token{1} << 62;
    static constexpr handler_token marks = leaving | by_reclaimer;

    struct record {
        rcu_head departure;  // first: what the reclaimer hands back
        handler_registry* registry;
        void (*done)(void*);
        void* argument;
        std::atomic<handler_token> token;  // 0: free
        unsigned vector;
        std::uint32_t generation;
        char name[handler_name_bytes];
    };

    bool cell_runs_here(unsigned id) const noexcept;
    record* find_locked(handler_token token) noexcept;
    const record* next_locked(handler_token after) const noexcept;
    registry_result claim_cell_locked(const new_handler& what, unsigned& id) noexcept;
    bool claim_departure(handler_token token, handler_token with) noexcept;
    void settle_in_child(unsigned id) noexcept;
    bool spare_is_free_locked(unsigned vector, std::uint64_t most_ns) noexcept;
    chain& fresh_copy_locked(unsigned vector) noexcept;
    void publish_locked(unsigned vector, chain& next) noexcept;
    void disarm_everywhere(unsigned id) noexcept;
    void nobody_walks_locked(unsigned vector) noexcept;
    bool wait_for_dispatches_locked(unsigned vector, std::uint64_t most_ns) noexcept;
    void clear_counts(unsigned id) noexcept;
    static void depart(rcu_head* head) noexcept;

    std::atomic<const chain*>* published_;
    vector_arrays* vectors_;
    unsigned vector_count_;
    count_tables counts_;
    platform::lock updating_;
    std::uint64_t registrations_ = 0;
    record records_[most_handlers]{};
};

}  // namespace nmircu::interrupt
