// SPDX-License-Identifier: MIT
//
// Handlers that read, and one that updates.
#include "interrupts.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <mutex>

#include <nmircu/nmi.hpp>

#include "../../interrupt/raise.hpp"
#include "structure.hpp"
#include "updaters.hpp"

namespace torture {

namespace {

constexpr unsigned places = 256;
std::atomic<int> roll_of_threads[places];
constexpr int irq_signal = SIGUSR1;
constinit bool irqs_raise_nmis = false;

nmircu::nmi_handler reading, updating;

// What is asked of the handler on this thread, and what came of it.
enum class update { none, wanted, done, no_room };
constinit thread_local std::atomic<update> wanted_update{update::none};

// Mostly brief, now and then long enough for grace periods to begin beside it.
void linger() noexcept {
    spin(shared_roll(32) == 0 ? 3000 : shared_roll(100));
}

int read_in_nmi(void*, nmircu::pt_regs*, int) {
    const look seen;
    linger();
    seen.done(nmi);
    return 1;
}

int update_in_nmi(void*, nmircu::pt_regs*, int) {
    // Relaxed: this thread's own.
    if (wanted_update.load(std::memory_order_relaxed) != update::wanted) return 0;
    wanted_update.store(retire_one(handler) ? update::done : update::no_room,
                        std::memory_order_relaxed);
    return 1;
}

void read_in_irq(int) {
    const int kept = errno;
    {
        std::scoped_lock section(nmircu::rcu_default_domain());
        const look seen;
        linger();
        if (irqs_raise_nmis && shared_roll(8) == 0) raise_nmi_here();
        seen.done(irq);
    }
    errno = kept;
}

[[noreturn]] void give_up(const char* what, const char* why) {
    std::fprintf(stderr, "rcu_torture: cannot %s: %s\n", what, why);
    std::exit(bad_usage);
}

void add(nmircu::nmi_handler& registration, const char* name, nmircu::nmi_handler_t function) {
    const auto error = registration.add(nmircu::nmi_type::local, name, function, nullptr);
    if (error != nmircu::nmi_error::none) give_up("add an NMI handler", describe(error));
}

int another_thread(dice& chance) noexcept {
    // Relaxed: whoever is gone is gone.
    return roll_of_threads[chance.below(places)].load(std::memory_order_relaxed);
}

}  // namespace

void install_handlers(const options& want) {
    const bool nmis = want.kinds[nmi] || want.updaters[handler];
    if (nmis) {
        const int error = nmircu::nmi_attach();
        if (error != 0) give_up("take the signal of the NMIs", std::strerror(error));
    }
    if (want.kinds[nmi]) add(reading, "reading", read_in_nmi);
    if (want.updaters[handler]) add(updating, "updating", update_in_nmi);
    irqs_raise_nmis = want.kinds[nmi];
    if (!want.kinds[irq]) return;
    struct sigaction action = {};
    action.sa_handler = read_in_irq;
    action.sa_flags = SA_RESTART;
    if (sigaction(irq_signal, &action, nullptr) != 0) give_up("take SIGUSR1", std::strerror(errno));
}

void remove_handlers() {
    for (nmircu::nmi_handler* const one : {&reading, &updating}) {
        if (one->added()) static_cast<void>(one->remove());
    }
}

enrolled::enrolled() noexcept : place_(0) {
    const int self = int(syscall(SYS_gettid));
    // With more threads than places, some are left in peace.
    for (; place_ < places; ++place_) {
        int nobody = 0;
        if (roll_of_threads[place_].compare_exchange_strong(nobody, self,
                                                            std::memory_order_relaxed)) {
            return;
        }
    }
}

enrolled::~enrolled() {
    if (place_ < places) roll_of_threads[place_].store(0, std::memory_order_relaxed);
}

void forget_enrolled() noexcept {
    for (auto& place : roll_of_threads)
        place.store(0, std::memory_order_relaxed);
}

void take_signals_again() noexcept {
    if (!nmircu::detail::under_thread_sanitizer) return;
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void raise_nmi_here() noexcept {
    raise_here();
}

void raise_irq_here() noexcept {
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), irq_signal);
    take_pending_signals();
}

void raise_nmi_elsewhere(dice& chance) noexcept {
    if (const int thread = another_thread(chance); thread != 0) nmircu::nmi_raise(thread);
}

void raise_irq_elsewhere(dice& chance) noexcept {
    if (const int thread = another_thread(chance); thread != 0) {
        syscall(SYS_tgkill, getpid(), thread, irq_signal);
    }
}

bool replace_in_handler() noexcept {
    wanted_update.store(update::wanted, std::memory_order_relaxed);
    raise_nmi_here();
    return wanted_update.exchange(update::none, std::memory_order_relaxed) == update::done;
}

}  // namespace torture
