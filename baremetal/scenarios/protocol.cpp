// SPDX-License-Identifier: MIT
//
// The documents' protocol, with code and data that really go away: a handler is copied into memory
// of its own, published, hit by a storm of NMIs on all other CPUs, unpublished; after a grace
// period its data are poisoned and its code is overwritten with breakpoints. Nobody may be inside
// either by then, and every NMI must have been claimed by exactly one generation or by nobody.
//
// Cycles take turns: set_nmi_callback ... unset_nmi_callback, rcu_synchronize; and nmi_handler add,
// swap, remove. `nmis` and `swaps` on the command line say how much is enough. The scenario
// protocol_control leaves the wait out, and must be caught.
#include <nmircu/arch/cpu.hpp>

#include "baremetal/exceptions.hpp"
#include "baremetal/scenario.hpp"
#include "baremetal/scenarios/tally.hpp"

extern "C" const unsigned char handler_code[], handler_code_data[], handler_code_end[];

namespace nmircu::baremetal {

namespace {

constexpr std::uint64_t alive = 0x600d, poison = 0x6b6b6b6b;
constexpr unsigned BP = 3;

// handler_code.S knows the layout.
struct generation_data {
    std::uint64_t state;
    std::uint64_t hits;
    std::uint64_t stale;  // calls that met poison, of all generations here
    std::uint64_t rounds;
};

struct alignas(64) handler_memory {
    unsigned char code[128];
    generation_data data;
};
constinit handler_memory memories[2]{};

enum class waiting : bool { no, yes };

constinit tally stop, storming, ran_overwritten_code;
constinit std::uint64_t claimed = 0;  // by generations that are gone

// A stale call ends up in a breakpoint; it returns to its caller, as if it had handled the NMI.
bool take_breakpoint(pt_regs* regs) {
    const auto at = regs->rip - 1;
    const auto begin = reinterpret_cast<std::uintptr_t>(memories);
    if (regs->vector != BP || at < begin || at >= begin + sizeof memories) return false;
    ran_overwritten_code.add();
    regs->rip = *reinterpret_cast<const std::uint64_t*>(regs->rsp);
    regs->rsp += 8;
    regs->rax = 1;
    return true;
}

std::uint64_t read(const std::uint64_t& word) noexcept {
    return __atomic_load_n(&word, __ATOMIC_RELAXED);  // a count
}

// One handler, from its birth to its end.
class generation {
  public:
    generation(handler_memory& memory, std::uint64_t rounds) noexcept : memory_(memory) {
        memory.data.rounds = rounds;
        __atomic_store_n(&memory.data.hits, 0, __ATOMIC_RELAXED);       // nobody knows it yet
        __atomic_store_n(&memory.data.state, alive, __ATOMIC_RELAXED);  // as above
        __builtin_memcpy(memory.code, handler_code,
                         static_cast<std::size_t>(handler_code_end - handler_code));
        const auto data = reinterpret_cast<std::uintptr_t>(&memory.data);
        __builtin_memcpy(memory.code + (handler_code_data - handler_code) - sizeof data, &data,
                         sizeof data);
    }
    [[nodiscard]] nmi_callback_t callback() const noexcept {
        return reinterpret_cast<nmi_callback_t>(reinterpret_cast<std::uintptr_t>(memory_.code));
    }
    [[nodiscard]] nmi_handler_t handler() const noexcept {
        return reinterpret_cast<nmi_handler_t>(reinterpret_cast<std::uintptr_t>(memory_.code));
    }
    // Until it was called, if NMIs come at all.
    void await_hit() const noexcept {
        for (unsigned turn = 0; turn < 1'000'000 && read(memory_.data.hits) == 0; ++turn)
            arch::spin_hint();
    }
    // Nobody may be inside any more.
    void free() noexcept {
        claimed += __atomic_exchange_n(&memory_.data.hits, poison, __ATOMIC_RELAXED);  // a count
        __atomic_store_n(&memory_.data.state, poison, __ATOMIC_RELAXED);  // nobody looks
        __builtin_memset(memory_.code, 0xcc, sizeof memory_.code);
    }

  private:
    handler_memory& memory_;
};

// The documents' four lines.
void callback_cycle(std::uint64_t rounds, waiting waits) noexcept {
    generation one(memories[0], rounds);
    set_nmi_callback(one.callback());
    one.await_hit();
    unset_nmi_callback();
    if (waits == waiting::yes) rcu_synchronize();
    one.free();
}

bool chain_cycle(nmi_handler& registration, std::uint64_t rounds) noexcept {
    generation one(memories[0], rounds);
    if (registration.add(nmi_type::local, "storm", one.handler(), nullptr) != nmi_error::none) {
        return false;
    }
    one.await_hit();
    generation two(memories[1], rounds);
    if (registration.swap(two.handler(), nullptr) != nmi_error::none) return false;
    one.free();
    two.await_hit();
    if (registration.remove() != nmi_error::none) return false;
    two.free();
    return true;
}

// To itself, and now and then to its neighbour, who may be anywhere.
void storm(void*) {
    const unsigned self = static_cast<unsigned>(smp_processor_id());
    const unsigned neighbour = self % (cpus() - 1) + 1;
    storming.add();
    for (unsigned turn = 0; stop.get() == 0; ++turn) {
        nmi_raise_self();
        if (turn % 16 == 0) nmi_raise(static_cast<int>(neighbour));
    }
}

std::uint64_t taken() noexcept {
    std::uint64_t sum = 0;
    for (unsigned cpu = 0; cpu < cpus(); ++cpu)
        sum += nmi_count(static_cast<int>(cpu));
    return sum;
}

std::uint64_t stale() noexcept {
    return read(memories[0].data.stale) + read(memories[1].data.stale);
}
bool is_caught() noexcept {
    return stale() + ran_overwritten_code.get() != 0;
}

void begin_storm() noexcept {
    set_exception_hook(take_breakpoint);
    nmi_set_unknown_policy(nmi_unknown_policy::ignore);  // between two handlers
    nmi_set_longest_allowed(0);                          // an emulated CPU may be held up anywhere
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        start_on(cpu, storm, nullptr);
    static_cast<void>(wait_until(second_ns, [] { return storming.get() == cpus() - 1; }));
}

bool end_storm() noexcept {
    stop.set(1);
    for (unsigned cpu = 1; cpu < cpus(); ++cpu) {
        if (!wait_for_cpu(cpu, 5 * second_ns)) return false;
    }
    return true;
}

verdict run() {
    if (cpus() < 2) return failed("this takes two CPUs (qemu: -smp 2)");
    const std::uint64_t enough_nmis = option_number("nmis", 1'000'000);
    const std::uint64_t enough_swaps = option_number("swaps", 10'000);
    const std::uint64_t rounds = option_number("rounds", 3);
    begin_storm();
    nmi_handler registration;
    std::uint64_t swaps = 0;
    while (!is_caught() && (swaps < enough_swaps || taken() < enough_nmis)) {
        callback_cycle(rounds, waiting::yes);
        if (!chain_cycle(registration, rounds)) return failed("a registration was refused");
        swaps += 3;  // handlers that came and went
    }
    if (!end_storm()) return failed("a CPU does not come out of the storm");
    const std::uint64_t all = taken(), unknown = nmi_unknown_count();
    if (is_caught()) {
        return failed(stale(), " calls met poisoned data and ", ran_overwritten_code.get(),
                      " overwritten code");
    }
    if (all != claimed + unknown + nmi_swallowed_count() || claimed == 0) {
        return failed(all, " NMIs were taken, but ", claimed, " claimed and ", unknown, " unknown");
    }
    return passed(all, " NMIs, ", swaps, " swaps: ", claimed, " claimed, ", unknown,
                  " between handlers, no stale call");
}

verdict run_control() {
    if (cpus() < 2) return failed("this takes two CPUs (qemu: -smp 2)");
    begin_storm();
    std::uint64_t cycles = 0;
    while (!is_caught() && cycles++ < 100'000)
        callback_cycle(option_number("rounds", 100), waiting::no);
    if (!is_caught()) return passed(cycles, " cycles freed without waiting, and nobody noticed");
    return failed("freed without waiting: caught after ", cycles, " cycles");
}

}  // namespace

NMIRCU_SCENARIO = {"protocol", "handlers come and go in a storm of NMIs", 240, run};
NMIRCU_SCENARIO = {"protocol_control", "fails: the same without waiting for the handlers", 60,
                   run_control};

}  // namespace nmircu::baremetal
