// SPDX-License-Identifier: MIT
//
// The table of modules; see modules.hpp.
#include <agent/modules.hpp>

#include <algorithm>
#include <cstring>

#include <nmircu/deferred.hpp>
#include <nmircu/platform/port.hpp>

#include <agent/footprint.hpp>
#include <agent/host.hpp>
#include <agent/own_thread.hpp>
#include <agent/thread_name.hpp>

#include "platform/linux/wall_slots.hpp"

namespace nmircu::agent {
namespace {

constexpr std::size_t most_retired = 64;
constexpr std::size_t error_bytes = 512;

refusal malformed(const std::string& what) {
    return {failure::malformed, what, "src/agent/protocol.hpp lists the requests"};
}

bool read_number(const std::string& text, std::uint32_t& out) {
    if (text.empty() || text.size() > 9) return false;
    out = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        out = out * 10 + static_cast<std::uint32_t>(c - '0');
    }
    return true;
}

bool read_settings(const message& request, platform::source_settings& out) {
    using platform::source_kind;
    if (!read_number(request[2], out.rate_hz)) return false;
    if (request[3] == "auto") {
        out.kind = source_kind::automatic;
    } else if (request[3] == "perf") {
        out.kind = source_kind::perf;
    } else if (request[3] == "timer") {
        out.kind = source_kind::timer;
    } else if (request[3] == "wall") {
        out.kind = source_kind::wall;
        out.start_thread = start_another_thread;
        out.report_repeat = record_repeat;
    } else {
        return false;
    }
    return true;
}

// What an operator should know of the source that was chosen; empty if it is just what he asked
// for.
std::string describe_source(const platform::source_status& source) {
    std::string text = source.reason;
    if (!text.empty()) text = std::string("using ") + platform::name_of(source.kind) + ": " + text;
    if (source.limit_hz != 0) {
        if (!text.empty()) text += "; ";
        text += "this kernel's timers give a thread at most " + std::to_string(source.limit_hz) +
                " interrupts per second";
    }
    return text;
}

// Splits `key=value`; the views point into `given`, which must stay.
bool split_arguments(std::vector<std::string>& given, std::vector<nmi_argument>& out) {
    for (std::string& text : given) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) return false;
        text[equals] = '\0';
        out.push_back({text.c_str(), text.c_str() + equals + 1});
    }
    return true;
}

std::vector<std::string> fields_from(const message& request, std::size_t first) {
    return {request.begin() + static_cast<std::ptrdiff_t>(std::min(first, request.size())),
            request.end()};
}

// Calls the module's init, if it has one.
std::optional<refusal> initialise(const code_object& code, std::vector<std::string> given) {
    std::vector<nmi_argument> arguments;
    if (!split_arguments(given, arguments)) return malformed("an argument is not key=value");
    const struct nmi_module& module = code.module();
    if (module.init == nullptr) {
        if (arguments.empty()) return std::nullopt;
        return refusal{failure::module_refused, std::string(module.name) + " takes no arguments",
                       "leave them out"};
    }
    char error[error_bytes] = {};
    const int result =
        module.init(&host_table(), arguments.data(), static_cast<std::uint32_t>(arguments.size()),
                    error, sizeof error);
    if (result == 0) return std::nullopt;
    error[error_bytes - 1] = '\0';
    const std::string why = error[0] != '\0' ? error : "it does not say why";
    return refusal{failure::module_refused, std::string(module.name) + " refuses: " + why,
                   "see the module's description"};
}

void* cookie_of(const code_object& code) {
    return reinterpret_cast<void*>(code.module().handler);
}

void add_counts(module_row& sum, const module_row& row) {
    sum.path = row.path;
    sum.counts.generation += row.counts.generation;
    sum.counts.calls += row.counts.calls;
    sum.counts.handled += row.counts.handled;
    sum.counts.timed_calls += row.counts.timed_calls;
    sum.counts.total_ns += row.counts.total_ns;
    sum.counts.longest_ns = std::max(sum.counts.longest_ns, row.counts.longest_ns);
    for (std::size_t cpu = 0; cpu < sum.cpu_handled.size(); ++cpu)
        sum.cpu_handled[cpu] += row.cpu_handled[cpu];
}

unsigned cpu_count() {
    return platform::port::possible_cpus();
}

}  // namespace

module_table::module_table(on_control run, create_function create)
    : run_on_control_(std::move(run)), create_(create) {}

// Only the worker changes entries_, and it alone calls this.
module_table::entry* module_table::find(const std::string& name) {
    for (const auto& candidate : entries_) {
        if (candidate->name == name) return candidate.get();
    }
    return nullptr;
}

// Runs the init of loaded code; if that refuses, nothing is left of it.
std::optional<refusal> module_table::bring_in(code_object& code, const arguments& given) {
    // What the handlers before it were told is not known to its reader.
    forget_told_names();
    std::optional<refusal> refused;
    {
        const resource_offer offer(code.given, run_on_control_, create_);
        refused = initialise(code, given);
    }
    if (refused) {
        code.given.ticks.stop();
        deferred_flush_all();
        run_on_control_([&] {
            code.given.memory.release();
            code.unload();
        });
    }
    return refused;
}

std::string module_table::send_away(code_object& code) {
    code.given.ticks.stop();
    deferred_flush_all();  // nobody queues any more
    platform::forget_standing_samples();
    if (code.module().exit != nullptr) code.module().exit();
    deferred_flush_all();  // not even an item of itself
    std::string left;
    run_on_control_([&] {
        code.given.memory.release();
        left = code.unload();
    });
    return left;
}

std::optional<refusal> module_table::start_source(const platform::source_settings& settings,
                                                  std::string& text) {
    const refusal stopped{failure::source_failed, "the program is about to end", "start it again"};
    if (stopped_) return stopped;
    const platform::source_status running = platform::current_source();
    if (running.running) {
        const bool same_kind =
            settings.kind == platform::source_kind::automatic || settings.kind == running.kind;
        if (same_kind && settings.rate_hz == running.rate_hz) return std::nullopt;
        return refusal{failure::source_failed,
                       std::string("the program is interrupted at ") +
                           std::to_string(running.rate_hz) + " Hz by " +
                           platform::name_of(running.kind) +
                           " already, and a program has one source",
                       "ask for the same, or unload the other handlers first"};
    }
    const std::string failed = platform::start_source(settings, 0);
    if (!failed.empty()) {
        return refusal{failure::source_failed, "cannot interrupt the program: " + failed,
                       "try another source or rate"};
    }
    settings_ = settings;
    text = describe_source(platform::current_source());
    return std::nullopt;
}

std::optional<refusal> module_table::publish(entry& fresh,
                                             const platform::source_settings& settings,
                                             std::string& text) {
    const nmi_error error =
        fresh.handler.add(nmi_type::local, fresh.name.c_str(), call_module, cookie_of(*fresh.code));
    if (error != nmi_error::none) {
        return refusal{error == nmi_error::name_taken ? failure::name_taken : failure::internal,
                       "cannot add a handler " + fresh.name + ": " + describe(error),
                       "unload another one first"};
    }
    std::optional<refusal> refused;
    if (!fresh.wants_source) return std::nullopt;
    run_on_control_([&] { refused = start_source(settings, text); });
    if (refused) static_cast<void>(fresh.handler.remove());
    return refused;
}

message module_table::load(const message& request) {
    const change under_way(*this);
    platform::source_settings settings;
    const bool wants_source = request.size() < 4 || request[3] != "none";
    if (request.size() < 4 || (wants_source && !read_settings(request, settings))) {
        return error_reply(malformed("load takes PATH RATE SOURCE key=value..."));
    }
    auto fresh = std::make_unique<entry>();
    fresh->code = std::make_unique<code_object>();
    code_object& code = *fresh->code;
    std::optional<refusal> refused;
    run_on_control_([&] { refused = code.load(request[1]); });
    if (refused) return error_reply(*refused);

    fresh->wants_source = wants_source && (code.flags() & NMI_MODULE_ASKS) == 0;
    fresh->name = code.module().name;
    if (find(fresh->name) != nullptr) {
        run_on_control_([&] { code.unload(); });
        return error_reply({failure::name_taken, "a handler " + fresh->name + " is loaded already",
                            "swap it for this one, or unload it first"});
    }
    refused = bring_in(code, fields_from(request, 4));
    if (refused) return error_reply(*refused);

    std::string text;
    entry& added = *fresh;
    {
        const std::lock_guard held(lock_);
        entries_.push_back(std::move(fresh));
    }
    refused = publish(added, settings, text);
    if (!refused) return {"ok", added.name, one_line(text)};
    send_away(code);
    drop(&added);
    return error_reply(*refused);
}

message module_table::swap(const message& request) {
    const change under_way(*this);
    if (request.size() < 3) return error_reply(malformed("swap takes NAME PATH key=value..."));
    const std::string& name = request[1];
    entry* const which = find(name);
    if (which == nullptr) {
        return error_reply({failure::name_unknown, "no handler " + name + " is loaded",
                            "the status lists those that are"});
    }
    auto next = std::make_unique<code_object>();
    std::optional<refusal> refused;
    run_on_control_([&] { refused = next->load(request[2]); });
    if (refused) return error_reply(*refused);
    if (name != next->module().name) {
        const std::string other = next->module().name;
        run_on_control_([&] { next->unload(); });
        return error_reply({failure::module_invalid,
                            request[2] + " is called " + other + ", not " + name,
                            "unload " + name + " and load the other"});
    }
    refused = bring_in(*next, fields_from(request, 3));
    if (refused) return error_reply(*refused);

    const nmi_error error = which->handler.swap(call_module, cookie_of(*next));
    if (error != nmi_error::none) {
        send_away(*next);
        return error_reply({failure::internal, "cannot swap " + name + ": " + describe(error),
                            "unload it and load the other"});
    }
    {
        const std::lock_guard held(lock_);
        which->code.swap(next);
    }
    return {"ok", name, one_line(send_away(*next))};
}

message module_table::unload(const message& request) {
    const change under_way(*this);
    if (request.size() != 2) return error_reply(malformed("unload takes NAME"));
    entry* const which = find(request[1]);
    if (which == nullptr) {
        return error_reply({failure::name_unknown, "no handler " + request[1] + " is loaded",
                            "the status lists those that are"});
    }
    return {"ok", one_line(unload_entry(*which))};
}

message module_table::detach() {
    const change under_way(*this);
    std::string left;
    while (!entries_.empty()) {
        const std::string one = unload_entry(*entries_.back());
        if (!one.empty()) left += (left.empty() ? "" : "; ") + one;
    }
    footprint size;
    run_on_control_([&] {
        platform::stop_source();
        size = own_footprint();
    });
    return {"ok", std::to_string(size.mapped_bytes), std::to_string(size.resident_bytes),
            one_line(left)};
}

bool module_table::is_last_with_source(const entry& which) const {
    return which.wants_source &&
           std::none_of(entries_.begin(), entries_.end(),
                        [&](const auto& one) { return one.get() != &which && one->wants_source; });
}

// Empty, or why its code is still mapped.
std::string module_table::unload_entry(entry& which) {
    which.code->given.ticks.stop();
    if (is_last_with_source(which)) run_on_control_([] { platform::stop_source(); });
    retire(take_out(which));
    const std::string left = send_away(*which.code);
    drop(&which);
    return left;
}

module_row module_table::take_out(entry& which) {
    module_row row{which.name, which.code->path(), {}, std::vector<std::uint64_t>(cpu_count())};
    static_cast<void>(which.handler.remove(&row.counts, row.cpu_handled.data(), cpu_count()));
    return row;
}

void module_table::retire(module_row row) {
    const std::lock_guard held(lock_);
    for (module_row& known : retired_) {
        if (known.name != row.name) continue;
        add_counts(known, row);
        return;
    }
    if (retired_.size() == most_retired) retired_.erase(retired_.begin());
    retired_.push_back(std::move(row));
}

void module_table::drop(const entry* which) {
    std::unique_ptr<entry> last;  // destroyed without the lock
    const std::lock_guard held(lock_);
    const auto at = std::find_if(entries_.begin(), entries_.end(),
                                 [&](const auto& one) { return one.get() == which; });
    last = std::move(*at);
    entries_.erase(at);
}

std::vector<module_row> module_table::loaded() {
    const unsigned cpus = cpu_count();
    std::vector<nmi_handler_statistics> counts(most_nmi_handlers);
    std::vector<std::uint64_t> handled(std::size_t{most_nmi_handlers} * cpus);
    const unsigned found = nmi_handlers(counts.data(), most_nmi_handlers, handled.data(), cpus);
    std::vector<module_row> rows;
    const std::lock_guard held(lock_);
    for (unsigned i = 0; i < found; ++i) {
        module_row row{counts[i].name, "", counts[i], {}};
        const auto first = handled.begin() + static_cast<std::ptrdiff_t>(i) * cpus;
        row.cpu_handled.assign(first, first + cpus);
        for (const auto& one : entries_) {
            if (one->name == row.name) row.path = one->code->path();
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

std::vector<module_row> module_table::retired() {
    const std::lock_guard held(lock_);
    return retired_;
}

bool module_table::inherit(module_table& parents) {
    if (parents.changing_.load(std::memory_order_relaxed)) return false;  // this is a fork's child
    settings_ = parents.settings_;
    entries_ = std::move(parents.entries_);
    for (const auto& one : entries_) {
        one->code->keep_number();
        one->code->given.forked();
    }
    return true;
}

void module_table::resume_source() {
    std::string unused;
    const bool wanted = std::any_of(entries_.begin(), entries_.end(),
                                    [](const auto& one) { return one->wants_source; });
    if (wanted) start_source(settings_, unused);
}

int module_table::memory_of(const std::string& name) {
    const std::lock_guard held(lock_);
    for (const auto& one : entries_) {
        if (one->name == name) return one->code->given.memory.file();
    }
    return -1;
}

void module_table::stop_for_good() {
    stopped_ = true;
    platform::stop_source();
}

}  // namespace nmircu::agent
