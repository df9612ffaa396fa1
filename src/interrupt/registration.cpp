// SPDX-License-Identifier: MIT
//
// Adding, swapping and removing handlers. Thread context, outside any section; blocks.
//
// Each type has two arrays: the published one, which dispatches walk and nobody changes, and a
// spare. An update fills the spare and publishes it; the old array becomes the spare, and is not
// written again before a grace period has passed. Nothing is allocated.
#include "interrupt/chain.hpp"
#include "interrupt/handler_table.hpp"
#include "platform/lock.hpp"
#include "platform/text.hpp"

namespace nmircu {

namespace interrupt {

namespace {

struct handler_record {
    bool used;
    char name[nmi_name_bytes];
    nmi_type type;
    std::uint32_t generation;
    std::uint64_t order;  // of registration
};

// All of it under the lock.
struct registry {
    platform::lock updating;
    chain arrays[nmi_type_count][2];
    bool spare_may_be_walked[nmi_type_count];
    handler_record handlers[most_nmi_handlers];
    std::uint64_t registrations;
};
constinit registry table{};

unsigned index_of(nmi_type type) noexcept {
    return static_cast<unsigned>(type);
}

std::size_t name_length(const char* name) noexcept {
    std::size_t length = 0;
    while (length < nmi_name_bytes && name[length] != '\0')
        ++length;
    return length;
}

bool same_name(const char* a, const char* b) noexcept {
    while (*a != '\0' && *a == *b)
        ++a, ++b;
    return *a == *b;
}

// An array nobody walks any more, holding a copy of the published one.
chain& fresh_copy_locked(nmi_type type) noexcept {
    const unsigned index = index_of(type);
    // Relaxed: written with the lock held.
    const chain* const published = chains[index].load(std::memory_order_relaxed);
    chain& spare = table.arrays[index][published == &table.arrays[index][0] ? 1 : 0];
    if (table.spare_may_be_walked[index]) rcu_synchronize();
    table.spare_may_be_walked[index] = false;
    spare.count = published == nullptr ? 0 : published->count;
    for (unsigned i = 0; i < spare.count; ++i)
        spare.entries[i] = published->entries[i];
    return spare;
}

// Afterwards the old array is the spare, and somebody may be in it.
void publish_locked(nmi_type type, const chain& next) noexcept {
    rcu_assign_pointer(chains[index_of(type)], &next);
    table.spare_may_be_walked[index_of(type)] = true;
}

void wait_for_dispatches_locked(nmi_type type) noexcept {
    rcu_synchronize();
    table.spare_may_be_walked[index_of(type)] = false;
}

void clear_counts(unsigned id) noexcept {
    for (unsigned cpu = 0; cpu < platform::port::possible_cpus(); ++cpu) {
        handler_row& row = handler_rows[cpu];
        handler_cell& cell = row.cell[id];
        // Looks before it writes, so that rows of idle CPUs stay untouched pages.
        for (count_words* words :
             {&cell.counts.handled, &cell.counts.passed, &cell.counts.timed, &cell.counts.cycles}) {
            if (words->read() != 0) words->clear();
        }
        // Relaxed: nobody dispatches to this number.
        if (__atomic_load_n(&cell.longest_cycles, __ATOMIC_RELAXED) != 0) {
            __atomic_store_n(&cell.longest_cycles, 0, __ATOMIC_RELAXED);
        }
    }
}

nmi_error claim_number_locked(nmi_type type, const char* name, unsigned& id) noexcept {
    id = most_nmi_handlers;
    for (unsigned i = 0; i < most_nmi_handlers; ++i) {
        const handler_record& record = table.handlers[i];
        if (record.used && same_name(record.name, name)) return nmi_error::name_taken;
        if (!record.used && id == most_nmi_handlers) id = i;
    }
    if (id == most_nmi_handlers) return nmi_error::too_many;
    handler_record& record = table.handlers[id];
    record.used = true;
    record.type = type;
    record.generation = 1;
    record.order = table.registrations++;
    for (std::size_t i = 0; i <= name_length(name); ++i)
        record.name[i] = name[i];
    clear_counts(id);
    return nmi_error::none;
}

chain_entry* find(chain& handlers, unsigned id) noexcept {
    for (unsigned i = 0; i < handlers.count; ++i) {
        if (handlers.entries[i].id == id) return &handlers.entries[i];
    }
    return nullptr;
}

void erase(chain& handlers, chain_entry* entry) noexcept {
    chain_entry* const last = handlers.entries + --handlers.count;
    for (; entry != last; ++entry)
        *entry = entry[1];
}

// Updates wait for dispatches, so one from inside a dispatch would wait for itself.
void require_thread_context(const char* operation, const void* caller) noexcept {
    const detail::reader_state& self = platform::this_reader();
    if (detail::section_of(self) < detail::one_section) return;
    platform::text_line line;
    line << "nmircu: nmi_handler::" << operation << " called at " << caller
         << " inside a read-side critical section entered at " << self.entered_at;
    if (self.handler != nullptr) {
        line << ", in handler " << self.handler->name << " (" << self.handler->function << ")";
    }
    line << "; it waits for handlers to finish and would wait for itself";
    platform::port::panic(line.c_str());
}

// The handler registered first among those at or after `order`; most_nmi_handlers if none is left.
unsigned next_in_order_locked(std::uint64_t order) noexcept {
    unsigned next = most_nmi_handlers;
    for (unsigned id = 0; id < most_nmi_handlers; ++id) {
        const handler_record& record = table.handlers[id];
        if (!record.used || record.order < order) continue;
        if (next == most_nmi_handlers || record.order < table.handlers[next].order) next = id;
    }
    return next;
}

void read_statistics_locked(unsigned id, nmi_handler_statistics& out, std::uint64_t* cpu_handled,
                            unsigned cpus) noexcept {
    const handler_record& record = table.handlers[id];
    out = {};
    for (std::size_t i = 0; i < nmi_name_bytes; ++i)
        out.name[i] = record.name[i];
    out.type = record.type;
    out.generation = record.generation;
    std::uint64_t cycles = 0, longest = 0;
    for (unsigned cpu = 0; cpu < platform::port::possible_cpus(); ++cpu) {
        const handler_cell& cell = handler_rows[cpu].cell[id];
        const std::uint64_t handled = cell.counts.handled.read();
        if (cpu_handled != nullptr && cpu < cpus) cpu_handled[cpu] = handled;
        out.handled += handled;
        out.calls += handled + cell.counts.passed.read();
        out.timed_calls += cell.counts.timed.read();
        cycles += cell.counts.cycles.read();
        // Relaxed: a maximum for people.
        const std::uint64_t here = __atomic_load_n(&cell.longest_cycles, __ATOMIC_RELAXED);
        longest = here > longest ? here : longest;
    }
    out.total_ns = platform::port::cycles_to_ns(cycles);
    out.longest_ns = platform::port::cycles_to_ns(longest);
}

}  // namespace

}  // namespace interrupt

using namespace interrupt;

nmi_error nmi_handler::add(nmi_type type, const char* name, nmi_handler_t function,
                           void* cookie) noexcept {
    require_thread_context("add", __builtin_return_address(0));
    if (function == nullptr) return nmi_error::null_handler;
    if (name == nullptr || name[0] == '\0' || name_length(name) >= nmi_name_bytes) {
        return nmi_error::bad_name;
    }
    if (added()) return nmi_error::already_added;

    platform::lock_guard guard(table.updating);
    unsigned id;
    if (const nmi_error error = claim_number_locked(type, name, id); error != nmi_error::none) {
        return error;
    }
    chain& next = fresh_copy_locked(type);
    next.entries[next.count++] = {function, cookie, table.handlers[id].name, id};
    publish_locked(type, next);
    id_ = static_cast<int>(id);
    return nmi_error::none;
}

nmi_error nmi_handler::swap(nmi_handler_t function, void* cookie) noexcept {
    require_thread_context("swap", __builtin_return_address(0));
    if (function == nullptr) return nmi_error::null_handler;
    if (!added()) return nmi_error::not_added;

    platform::lock_guard guard(table.updating);
    handler_record& record = table.handlers[id_];
    chain& next = fresh_copy_locked(record.type);
    chain_entry* const entry = find(next, static_cast<unsigned>(id_));
    entry->function = function;
    entry->cookie = cookie;
    publish_locked(record.type, next);
    ++record.generation;
    wait_for_dispatches_locked(record.type);
    return nmi_error::none;
}

nmi_error nmi_handler::remove(nmi_handler_statistics* last, std::uint64_t* cpu_handled,
                              unsigned cpus) noexcept {
    require_thread_context("remove", __builtin_return_address(0));
    if (!added()) return nmi_error::not_added;

    platform::lock_guard guard(table.updating);
    handler_record& record = table.handlers[id_];
    chain& next = fresh_copy_locked(record.type);
    erase(next, find(next, static_cast<unsigned>(id_)));
    publish_locked(record.type, next);
    wait_for_dispatches_locked(record.type);
    if (last != nullptr) {
        read_statistics_locked(static_cast<unsigned>(id_), *last, cpu_handled, cpus);
    }
    record.used = false;
    id_ = -1;
    return nmi_error::none;
}

nmi_handler::~nmi_handler() {
    if (added()) static_cast<void>(remove());
}

unsigned nmi_handlers(nmi_handler_statistics* out, unsigned most, std::uint64_t* cpu_handled,
                      unsigned cpus) noexcept {
    detail::require_no_section("nmi_handlers", __builtin_return_address(0));
    platform::lock_guard guard(table.updating);
    unsigned count = 0;
    for (unsigned id = next_in_order_locked(0); id < most_nmi_handlers;
         id = next_in_order_locked(table.handlers[id].order + 1)) {
        if (count < most) {
            read_statistics_locked(id, out[count],
                                   cpu_handled == nullptr ? nullptr : cpu_handled + count * cpus,
                                   cpus);
        }
        ++count;
    }
    return count;
}

const char* describe(nmi_error error) noexcept {
    switch (error) {
        case nmi_error::none:
            return "no error";
        case nmi_error::null_handler:
            return "the handler is null";
        case nmi_error::bad_name:
            return "the name is empty or longer than 31 characters";
        case nmi_error::name_taken:
            return "another handler has that name";
        case nmi_error::too_many:
            return "64 handlers are registered already";
        case nmi_error::already_added:
            return "this object is registered already";
        case nmi_error::not_added:
            return "this object is not registered";
    }
    return "unknown error";
}

namespace detail {

// An update that another thread had begun is not there to end. Its spare array is unpublished, and
// counts as walked.
void dispatch_forked() noexcept {
    table.updating.reset();
    for (bool& walked : table.spare_may_be_walked)
        walked = true;
}

}  // namespace detail

}  // namespace nmircu
