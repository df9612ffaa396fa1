// SPDX-License-Identifier: MIT
//
// The public face of registering IRQ handlers: checks what it is given, keeps the rules of shared
// lines, and passes the rest on to the registry (handler_registry.cpp). Thread context; blocks.
#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/irq.hpp>

#include "interrupt/irq_lines.hpp"
#include "rcu/engine.hpp"

namespace nmircu {

namespace interrupt {

namespace {

constinit vector_arrays arrays[platform::irq_line_limit]{};
constinit handler_registry registry(irq_chains, arrays, platform::irq_line_limit, irq_counts);

// Whether each line's users share it; under the lock, as is every change of irq_line::users.
constinit platform::lock requesting;
constinit bool is_shared[platform::irq_line_limit]{};

unsigned users_locked(int line) noexcept {
    return irq_lines[line].users.load(std::memory_order_relaxed);  // written with the lock held
}
// From the chain, so that a forked child, in which half an update was left behind, counts right.
void count_users_locked(int line) noexcept {
    irq_lines[line].users.store(registry.count_on(static_cast<unsigned>(line)),
                                std::memory_order_relaxed);  // written with the lock held
}

irq_error error_of(registry_result result) noexcept {
    switch (result) {
        case registry_result::done:
            return irq_error::none;
        case registry_result::name_taken:
            return irq_error::name_taken;
        case registry_result::too_many:
            return irq_error::too_many;
        case registry_result::still_running:
        case registry_result::not_registered:
            break;
    }
    return irq_error::not_requested;
}

// Updates wait for handlers, so one from inside a handler would wait for itself.
void require_thread_context(const char* operation, const void* caller) noexcept {
    rcu::require_outside_sections(platform::this_reader(), operation, caller,
                                  "Leave the section or handler first");
}

irq_error check(const new_handler& what, int line, irq_handler_flags flags) noexcept {
    if (const irq_error error = irq_line_error(line); error != irq_error::none) return error;
    if (what.function == nullptr) return irq_error::null_handler;
    if (flags != irq_handler_flags::none && flags != irq_handler_flags::shared) {
        return irq_error::bad_flags;
    }
    if (flags == irq_handler_flags::shared && what.cookie == nullptr) {
        return irq_error::null_cookie;
    }
    return is_name(what.name) ? irq_error::none : irq_error::bad_name;
}

irq_error check_users_locked(const new_handler& what, int line, bool shared) noexcept {
    if (users_locked(line) == 0) return irq_error::none;
    if (!shared || !is_shared[line]) return irq_error::line_busy;
    return registry.find(what.vector, what.cookie) != 0 ? irq_error::cookie_taken : irq_error::none;
}

irq_error add_locked(const new_handler& what, int line, handler_token& token) noexcept {
    // What earlier users left behind.
    if (users_locked(line) == 0) reset_line(line);
    if (const irq_error error = error_of(registry.add(what, token)); error != irq_error::none) {
        return error;
    }
    if (platform::attach_line(line) == 0) return irq_error::none;
    static_cast<void>(registry.remove(token, platform::forever_ns, {}));
    return irq_error::not_attached;
}

irq_error request(const new_handler& what, int line, irq_handler_flags flags,
                  handler_token& token) noexcept {
    if (const irq_error error = check(what, line, flags); error != irq_error::none) return error;
    const bool shared = flags == irq_handler_flags::shared;
    platform::lock_guard guard(requesting);
    if (const irq_error error = check_users_locked(what, line, shared); error != irq_error::none) {
        return error;
    }
    // Before the handler is there; of no consequence while there is none.
    is_shared[line] = shared;
    const irq_error error = add_locked(what, line, token);
    count_users_locked(line);
    return error;
}

irq_error free_locked(handler_token token, int line, final_counts last) noexcept {
    if (registry.handler_of(token) == nullptr) return irq_error::not_requested;
    // Before the handler goes: whoever finds no handler finds the previous owner in charge.
    if (users_locked(line) == 1) platform::detach_line(line);
    const irq_error error = error_of(registry.remove(token, platform::forever_ns, last));
    if (error != irq_error::none) return error;
    count_users_locked(line);
    if (users_locked(line) == 0) reset_line(line);
    return irq_error::none;
}

new_handler described(int line, const char* name, irq_handler_t function, void* cookie) noexcept {
    return {static_cast<unsigned>(line), name, function, cookie, false};
}

}  // namespace

}  // namespace interrupt

using namespace interrupt;

irq_error irq_line_error(int line) noexcept {
    switch (platform::kind_of_line(line)) {
        case platform::line_kind::usable:
            return irq_error::none;
        case platform::line_kind::none:
            return irq_error::no_such_line;
        case platform::line_kind::unstoppable:
            return irq_error::unstoppable_line;
        case platform::line_kind::fault:
            return irq_error::fault_line;
        case platform::line_kind::of_libc:
            return irq_error::line_of_libc;
        case platform::line_kind::of_nmis:
            break;
    }
    return irq_error::line_of_nmis;
}

irq_error request_irq(int line, irq_handler_t handler, irq_handler_flags flags, const char* name,
                      void* cookie) noexcept {
    require_thread_context("request_irq", __builtin_return_address(0));
    handler_token token = 0;
    return request(described(line, name, handler, cookie), line, flags, token);
}

irq_error free_irq(int line, void* cookie) noexcept {
    if (is_usable(line) && registry.runs_here(static_cast<unsigned>(line), cookie)) {
        return irq_error::own_handler;
    }
    require_thread_context("free_irq", __builtin_return_address(0));
    if (const irq_error error = irq_line_error(line); error != irq_error::none) return error;
    platform::lock_guard guard(requesting);
    return free_locked(registry.find(static_cast<unsigned>(line), cookie), line, {});
}

irq_error irq_handler::request(int line, const char* name, irq_handler_t function, void* cookie,
                               irq_handler_flags flags) noexcept {
    require_thread_context("irq_handler::request", __builtin_return_address(0));
    if (requested()) return irq_error::already_requested;
    const irq_error error =
        interrupt::request(described(line, name, function, cookie), line, flags, token_);
    if (error == irq_error::none) line_ = line;
    return error;
}

irq_error irq_handler::release(irq_handler_statistics* last) noexcept {
    if (registry.runs_here(token_)) return irq_error::own_handler;
    require_thread_context("irq_handler::release", __builtin_return_address(0));
    if (!requested()) return irq_error::not_requested;
    platform::lock_guard guard(requesting);
    final_counts counts;
    counts.totals = last;
    const irq_error error = free_locked(token_, line_, counts);
    if (last != nullptr) last->line = line_;
    token_ = 0;
    return error;
}

irq_handler::~irq_handler() {
    if (!requested()) return;
    require_thread_context("~irq_handler", __builtin_return_address(0));
    static_cast<void>(release());
}

unsigned irq_handlers(irq_handler_statistics* out, unsigned most, std::uint64_t* cpu_handled,
                      unsigned cpus) noexcept {
    require_thread_context("irq_handlers", __builtin_return_address(0));
    unsigned count = 0;
    return registry.visit([&](unsigned id, unsigned vector) {
        if (count < most) {
            out[count].line = static_cast<int>(vector);
            registry.read_locked(
                id,
                {&out[count], cpu_handled == nullptr ? nullptr : cpu_handled + count * cpus, cpus});
        }
        ++count;
    });
}

const char* describe(irq_error error) noexcept {
    switch (error) {
        case irq_error::none:
            return "no error";
        case irq_error::null_handler:
            return "the handler is null";
        case irq_error::no_such_line:
            return "there is no such line: lines are signals, 1 to 64";
        case irq_error::unstoppable_line:
            return "SIGKILL and SIGSTOP cannot be caught";
        case irq_error::fault_line:
            return "the signal reports a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, "
                   "SIGSYS), which cannot wait";
        case irq_error::line_of_libc:
            return "signals 32 and 33 belong to the C library; real-time lines begin at SIGRTMIN";
        case irq_error::line_of_nmis:
            return "the signal is this library's NMI";
        case irq_error::bad_flags:
            return "there are no such flags";
        case irq_error::null_cookie:
            return "a shared line needs a cookie that is not null, to tell its users apart";
        case irq_error::bad_name:
            return "the name is null, empty or longer than 31 characters";
        case irq_error::name_taken:
            return "another handler has that name";
        case irq_error::line_busy:
            return "the line has a user already, and not both said that it is shared";
        case irq_error::cookie_taken:
            return "another user of the line has that cookie";
        case irq_error::too_many:
            return "64 handlers are registered already";
        case irq_error::not_attached:
            return "the system refused to give up the signal";
        case irq_error::already_requested:
            return "this object holds a line already";
        case irq_error::not_requested:
            return "nobody has requested that line, or not with that cookie";
        case irq_error::not_disabled:
            return "the line is not disabled: one enable_irq too many";
        case irq_error::too_deep:
            return "the line has been disabled 65,535 times";
        case irq_error::masked:
            return "the calling thread has IRQs masked, and would have to take what has waited";
        case irq_error::own_handler:
            return "a handler cannot wait for itself to end: disable_irq_nosync inside it, and "
                   "free "
                   "the line elsewhere";
    }
    return "unknown error";
}

namespace detail {

void irqs_forked() noexcept {
    requesting.reset();
    registry.forked();
    // A line that was being freed may be the system's again already, and its handler still
    // registered: it is not called, and free_irq ends it.
    for (int line = 0; line < platform::irq_line_limit; ++line)
        count_users_locked(line);
    disabled_lines_forked();
}

}  // namespace detail

}  // namespace nmircu
