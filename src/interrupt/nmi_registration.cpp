// SPDX-License-Identifier: MIT
//
// The public face of registering NMI handlers: checks what it is given and passes it on to the
// registry, which does the work (handler_registry.cpp).
#include <nmircu/nmi.hpp>

#include "interrupt/entry.hpp"
#include "interrupt/nmi_chains.hpp"
#include "rcu/engine.hpp"

namespace nmircu {

namespace interrupt {

namespace {

constinit vector_arrays arrays[nmi_type_count]{};
constinit handler_registry registry(chains, arrays, nmi_type_count, nmi_counts);

bool is_type(nmi_type type) noexcept {
    return static_cast<unsigned>(type) < nmi_type_count;
}

nmi_error error_of(registry_result result) noexcept {
    switch (result) {
        case registry_result::done:
            return nmi_error::none;
        case registry_result::name_taken:
            return nmi_error::name_taken;
        case registry_result::too_many:
            return nmi_error::too_many;
        case registry_result::still_running:
            return nmi_error::still_running;
        case registry_result::not_registered:
            break;
    }
    return nmi_error::not_added;
}

// Updates wait for dispatches, so one from inside a dispatch would wait for itself.
void require_thread_context(const char* operation, const void* caller) noexcept {
    rcu::require_outside_sections(
        platform::this_reader(), operation, caller,
        "Leave the section or handler first; inside one, unregister_nmi_handler_later");
}

nmi_error add(const new_handler& what, nmi_type type, nmi_token& token) noexcept {
    if (!is_type(type)) return nmi_error::bad_type;
    if (what.function == nullptr) return nmi_error::null_handler;
    if (!is_name(what.name)) return nmi_error::bad_name;
    handler_token number = 0;
    const nmi_error error = error_of(registry.add(what, number));
    if (error == nmi_error::none) token = nmi_token{number};
    return error;
}

nmi_error remove(handler_token token, std::uint64_t most_ns, final_counts last = {}) noexcept {
    return error_of(registry.remove(token, most_ns, last));
}

bool is_in(const rcu_stalled_reader& reader, handler_function function) noexcept {
    for (unsigned i = 0; i < reader.handlers; ++i) {
        if (reader.handler[i].function == reinterpret_cast<const void*>(function)) return true;
    }
    return false;
}

// Whoever is in the handler; if nobody is, whoever is in a section.
void list_inside(handler_function function, nmi_still_inside& who) noexcept {
    constexpr unsigned most = sizeof who.thread / sizeof *who.thread;
    who.threads = rcu_list_readers(who.thread, most);
    const unsigned known = who.threads < most ? who.threads : most;
    unsigned in_handler = 0;
    for (unsigned i = 0; i < known; ++i) {
        if (is_in(who.thread[i], function)) who.thread[in_handler++] = who.thread[i];
    }
    if (in_handler != 0) who.threads = in_handler;
}

handler_token number_of(nmi_token token) noexcept {
    return static_cast<handler_token>(token);
}

bool is_flags(nmi_flags flags) noexcept {
    return flags == nmi_flags::none || flags == nmi_flags::first;
}

}  // namespace

}  // namespace interrupt

using namespace interrupt;

nmi_error register_nmi_handler(nmi_type type, nmi_handler_t handler, void* cookie, nmi_flags flags,
                               const char* name, nmi_token* token) noexcept {
    require_thread_context("register_nmi_handler", __builtin_return_address(0));
    if (!is_flags(flags)) return nmi_error::bad_flags;
    nmi_token ignored{};
    return add({static_cast<unsigned>(type), name, handler, cookie, flags == nmi_flags::first},
               type, token == nullptr ? ignored : *token);
}

nmi_error unregister_nmi_handler(nmi_token token) noexcept {
    require_thread_context("unregister_nmi_handler", __builtin_return_address(0));
    return remove(number_of(token), platform::forever_ns);
}

nmi_error unregister_nmi_handler(const char* name) noexcept {
    require_thread_context("unregister_nmi_handler", __builtin_return_address(0));
    return is_name(name) ? remove(registry.find(name), platform::forever_ns) : nmi_error::bad_name;
}

nmi_error unregister_nmi_handler_within(nmi_token token, std::uint64_t most_ns,
                                        nmi_still_inside* who) noexcept {
    require_thread_context("unregister_nmi_handler_within", __builtin_return_address(0));
    if (who != nullptr) *who = {};
    const nmi_error error = remove(number_of(token), most_ns);
    if (error == nmi_error::still_running && who != nullptr) {
        list_inside(registry.handler_of(number_of(token)), *who);
    }
    return error;
}

nmi_error unregister_nmi_handler_later(nmi_token token, void (*done)(void*),
                                       void* argument) noexcept {
    return error_of(registry.remove_later(number_of(token), done, argument));
}

nmi_token find_nmi_handler(const char* name) noexcept {
    require_thread_context("find_nmi_handler", __builtin_return_address(0));
    return nmi_token{is_name(name) ? registry.find(name) : 0};
}

nmi_error nmi_handler::add(nmi_type type, const char* name, nmi_handler_t function, void* cookie,
                           nmi_flags flags) noexcept {
    require_thread_context("nmi_handler::add", __builtin_return_address(0));
    if (!is_flags(flags)) return nmi_error::bad_flags;
    if (added()) return nmi_error::already_added;
    return interrupt::add(
        {static_cast<unsigned>(type), name, function, cookie, flags == nmi_flags::first}, type,
        token_);
}

nmi_error nmi_handler::swap(nmi_handler_t function, void* cookie) noexcept {
    require_thread_context("nmi_handler::swap", __builtin_return_address(0));
    if (function == nullptr) return nmi_error::null_handler;
    return error_of(registry.swap(number_of(token_), function, cookie));
}

nmi_error nmi_handler::remove(nmi_handler_statistics* last, std::uint64_t* cpu_handled,
                              unsigned cpus) noexcept {
    require_thread_context("nmi_handler::remove", __builtin_return_address(0));
    if (!added()) return nmi_error::not_added;
    const nmi_error error =
        interrupt::remove(number_of(token_), platform::forever_ns, {last, cpu_handled, cpus});
    // On its way out already, by its token.
    if (error == nmi_error::not_added) registry.wait_for_departure(number_of(token_));
    token_ = {};
    return error;
}

nmi_handler::~nmi_handler() {
    if (!added()) return;
    require_thread_context("~nmi_handler", __builtin_return_address(0));
    static_cast<void>(remove());
}

unsigned nmi_handlers(nmi_handler_statistics* out, unsigned most, std::uint64_t* cpu_handled,
                      unsigned cpus) noexcept {
    require_thread_context("nmi_handlers", __builtin_return_address(0));
    unsigned count = 0;
    return registry.visit([&](unsigned id, unsigned vector) {
        if (count < most) {
            out[count].type = nmi_type{static_cast<std::uint8_t>(vector)};
            registry.read_locked(
                id,
                {&out[count], cpu_handled == nullptr ? nullptr : cpu_handled + count * cpus, cpus});
        }
        ++count;
    });
}

const char* describe(nmi_error error) noexcept {
    switch (error) {
        case nmi_error::none:
            return "no error";
        case nmi_error::null_handler:
            return "the handler is null";
        case nmi_error::bad_type:
            return "there is no such type";
        case nmi_error::bad_flags:
            return "there are no such flags";
        case nmi_error::bad_name:
            return "the name is null, empty or longer than 31 characters";
        case nmi_error::name_taken:
            return "another handler has that name";
        case nmi_error::too_many:
            return "64 handlers are registered already";
        case nmi_error::already_added:
            return "this object is registered already";
        case nmi_error::not_added:
            return "no such handler is registered, or its removal has begun";
        case nmi_error::still_running:
            return "a thread was still inside a handler or a read-side critical section when the "
                   "time was up; the handler is still registered";
    }
    return "unknown error";
}

namespace detail {

void dispatch_forked() noexcept {
    registry.forked();
    entry_forked();
}

}  // namespace detail

}  // namespace nmircu
