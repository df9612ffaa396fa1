// SPDX-License-Identifier: MIT
//
// What the dispatcher costs above a raw sigaction handler that does the same work: with the signal
// around it, as a program pays it, and without, where nanoseconds can be told apart. And what the
// soft mask of IRQs costs beside the kernel's.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>

#include <nmircu/irq.hpp>
#include <nmircu/nmi.hpp>

#include "deferred.hpp"
#include "platform/linux/pt_regs.hpp"
#include "platform/linux/signal_tag.hpp"
#include "rows.hpp"
#include "table.hpp"

namespace {

using bench::better;
using bench::row;

// Two standard signals: ours, and one like it.
constexpr int raw_signal = SIGUSR1;
constexpr int our_signal = nmircu::platform::nmi_signal;

const std::string raw = "raw sigaction handler";
const std::string one_handler = "1 handler";

// The work: a count, as cheap as work can be.
volatile std::uint64_t hits;

void work() {
    hits = hits + 1;
}
void raw_handler(int, siginfo_t*, void*) {
    work();
}
int callback(nmircu::pt_regs*, int) {
    work();
    return 1;
}
int handler(void*, nmircu::pt_regs*, int) {
    work();
    return 1;
}

// As the kernel delivers what raise_to_self asks for.
siginfo_t queued_info(int signal) {
    siginfo_t info = {};
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(nmircu::platform::signal_tag(0));
    return info;
}

// The same system call for both signals; handled before it returns.
void raise_to_self(int signal, std::uint64_t count) {
    siginfo_t info = queued_info(signal);
    const pid_t process = ::getpid(), thread = ::gettid();
    for (; count != 0; --count)
        ::syscall(SYS_rt_tgsigqueueinfo, process, thread, signal, &info);
}

using signal_handler = void (*)(int, siginfo_t*, void*);

signal_handler handler_of(int signal) {
    struct sigaction action;
    ::sigaction(signal, nullptr, &action);
    return action.sa_sigaction;
}

// The handler alone, called as the kernel would call it.
void call_handler(int signal, std::uint64_t count) {
    siginfo_t info = queued_info(signal);
    ucontext_t context = {};
    signal_handler volatile function = handler_of(signal);
    for (; count != 0; --count)
        function(signal, &info, &context);
}

void call_do_nmi(std::uint64_t count) {
    siginfo_t info = queued_info(our_signal);
    ucontext_t context = {};
    nmircu::pt_regs regs{&context, &info, nmircu::nmi_type::local, false};
    for (; count != 0; --count)
        nmircu::do_nmi(&regs, 0);
}

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "error: %s\n", what);
    std::exit(1);
}

void install() {
    if (nmircu::nmi_attach() != 0) give_up("nmi_attach failed");
    // Ours with another function in it: same flags, same mask.
    struct sigaction action;
    ::sigaction(our_signal, nullptr, &action);
    action.sa_sigaction = raw_handler;
    if (::sigaction(raw_signal, &action, nullptr) != 0) give_up("sigaction failed");
}

// What stands behind the NMI during a round.
struct scene {
    unsigned handlers = 0;
    bool callback = false;
    std::uint32_t timing_interval = 16;  // the default
};

class staged {
  public:
    explicit staged(const scene& what) {
        nmircu::nmi_set_timing_interval(what.timing_interval);
        if (what.callback) nmircu::set_nmi_callback(callback);
        for (unsigned i = 0; i < what.handlers; ++i) {
            const std::string name = "bench " + std::to_string(i);
            if (handlers_.emplace_back().add(nmircu::nmi_type::local, name.c_str(), handler,
                                             nullptr) != nmircu::nmi_error::none) {
                give_up("a handler could not be added");
            }
        }
    }
    ~staged() { nmircu::unset_nmi_callback(); }
    staged(const staged&) = delete;
    staged& operator=(const staged&) = delete;

  private:
    std::deque<nmircu::nmi_handler> handlers_;
};

struct named_scene {
    std::string name;
    scene what;
};

const std::vector<named_scene> scenes{
    {"callback", {.callback = true}},
    {one_handler, {.handlers = 1}},
    {"2 handlers", {.handlers = 2}},
    {"4 handlers", {.handlers = 4}},
    {"16 handlers", {.handlers = 16}},
    {"1 handler, never timed", {.handlers = 1, .timing_interval = 0}},
    {"1 handler, always timed", {.handlers = 1, .timing_interval = 1}},
};

bench::round_function on(const scene& what, bench::round_function round) {
    return [what, round = std::move(round)](double seconds) {
        const staged now(what);
        return round(seconds);
    };
}

// Fails the benchmark rather than reporting how fast nothing happened.
std::function<void(std::uint64_t)> counted(std::function<void(std::uint64_t)> loop) {
    return [loop = std::move(loop)](std::uint64_t count) {
        const std::uint64_t before = hits;
        loop(count);
        if (hits - before < count) give_up("an interrupt was not handled");
    };
}

using raiser = void (*)(int signal, std::uint64_t count);

row against_raw(std::string name, raiser raise) {
    const auto loop = [raise](int signal) {
        return bench::nanoseconds_each(counted([=](std::uint64_t count) { raise(signal, count); }));
    };
    row out{std::move(name), "ns", better::less, {{raw, loop(raw_signal)}}, raw};
    for (const auto& [scene_name, what] : scenes)
        out.contestants.push_back({scene_name, on(what, loop(our_signal))});
    return out;
}

// The difference of two rounds that follow each other.
bench::round_function difference(bench::round_function more, bench::round_function less,
                                 double divisor) {
    return [more = std::move(more), less = std::move(less), divisor](double seconds) {
        return (more(seconds / 2) - less(seconds / 2)) / divisor;
    };
}

void run_handler_path(bench::table& table) {
    table.run(against_raw("handler path without the signal", call_handler));

    const auto path = [](int signal) {
        return bench::nanoseconds_each(
            counted([=](std::uint64_t count) { call_handler(signal, count); }));
    };
    row above{"handler path above raw", "ns", better::less, {}, {}};
    for (const auto& [name, what] : scenes) {
        above.contestants.push_back(
            {name, difference(on(what, path(our_signal)), path(raw_signal), 1)});
        if (name == one_handler) above.contestants.back().goal = {15, {}};
    }
    const scene one{.handlers = 1}, sixteen{.handlers = 16};
    above.contestants.push_back(
        {"each further handler",
         difference(on(sixteen, path(our_signal)), on(one, path(our_signal)), 15),
         bench::goal{2, {}}});
    table.run(above);

    row core{"do_nmi alone", "ns", better::less, {}, one_handler};
    for (const auto& [name, what] : scenes)
        core.contestants.push_back({name, on(what, bench::nanoseconds_each(counted(call_do_nmi)))});
    table.run(core);
}

void run_signals(bench::table& table) {
    row signals = against_raw("signal to self", raise_to_self);
    for (auto& who : signals.contestants) {
        if (who.name == one_handler) who.goal = {1.02, raw};
    }
    table.run(signals);
}

// All lines, which is what the soft mask masks.
void mask_signals(std::uint64_t count) {
    sigset_t all, before;
    sigfillset(&all);
    for (; count != 0; --count) {
        pthread_sigmask(SIG_BLOCK, &all, &before);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
}
void mask_irqs(std::uint64_t count) {
    for (; count != 0; --count)
        nmircu::local_irq_restore(nmircu::local_irq_save());
}

void run_masks(bench::table& table) {
    const std::string signals = "pthread_sigmask";
    table.run({"masked region",
               "ns",
               better::less,
               {{signals, bench::nanoseconds_each(mask_signals)},
                {"local_irq_save", bench::nanoseconds_each(mask_irqs), bench::goal{0.01, signals}}},
               signals});
}

}  // namespace

int main(int argc, char** argv) {
    bench::table table("bench_interrupt", argc, argv);
    install();
    run_signals(table);
    run_handler_path(table);
    run_masks(table);
    run_deferred_work(table);
    bench::run_parallel(table);
    bench::run_registration(table);
    return table.finish();
}
