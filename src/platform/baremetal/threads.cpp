// SPDX-License-Identifier: MIT
//
// Starting, switching, halting and waking.
#include "platform/baremetal/threads.hpp"

#include <nmircu/arch/cpu.hpp>
#include <nmircu/platform/irq_mask.hpp>
#include <nmircu/platform/port.hpp>
#include <nmircu/rcu.hpp>

#include "platform/baremetal/clock.hpp"
#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/instructions.hpp"
#include "platform/baremetal/local_apic.hpp"

// Pushes what a function keeps for its caller, exchanges the stacks, and pops it: switch_stack.S.
extern "C" void nmircu_switch_stack(std::uint64_t* save, std::uint64_t load);
extern "C" void nmircu_thread_begins();
extern "C" void nmircu_halt();

namespace nmircu::baremetal {

namespace {

constexpr unsigned most_threads = 32;
constexpr std::size_t stack_bytes = 16384;

constinit thread first_threads[platform::max_cpus]{};
constinit thread other_threads[most_threads]{};
alignas(16) unsigned char stacks[most_threads][stack_bytes];
constinit std::atomic<unsigned> threads_started{0};

void name_thread(thread& self, const char* name) noexcept {
    for (unsigned i = 0; i + 1 < sizeof(self.name) && name[i] != '\0'; ++i)
        self.name[i] = name[i];
}

bool can_run(const thread& which, std::uint64_t now) noexcept {
    // Relaxed: written on this CPU. The word: who changes it wakes this CPU afterwards.
    const std::atomic<std::uint32_t>* const word = which.word.load(std::memory_order_relaxed);
    if (word == nullptr) return true;
    return word->load(std::memory_order_relaxed) != which.value || now >= which.until_ns;
}

// The next one in turn, the running one last; null: none.
thread* find_runnable(cpu_area& cpu) noexcept {
    const std::uint64_t now = now_ns();
    thread* const running = cpu.running;
    thread* candidate = running;
    do {
        // Relaxed: written on this CPU.
        candidate = candidate->next.load(std::memory_order_relaxed);
        if (can_run(*candidate, now)) return candidate;
    } while (candidate != running);
    return nullptr;
}

std::uint64_t earliest(const cpu_area& cpu) noexcept {
    std::uint64_t least = platform::forever_ns;
    const thread* at = cpu.running;
    do {
        least = at->until_ns < least ? at->until_ns : least;
        at = at->next.load(std::memory_order_relaxed);  // as above
    } while (at != cpu.running);
    return least;
}

void switch_to(cpu_area& cpu, thread& next) noexcept {
    thread& before = *cpu.running;
    if (&next == &before) return;
    // An NMI in between finds one record or the other; it leaves either as it was.
    cpu.running = &next;
    cpu.reader = &next.reader;
    nmircu_switch_stack(&before.stack_pointer, next.stack_pointer);
}

// With IRQs masked. Until an interrupt, unless somebody can run.
void halt_until_woken(cpu_area& cpu, bool irqs_were_open) noexcept {
    cpu.halted.store(1, std::memory_order_relaxed);  // ordered by the fence
    // [BT-1] seq_cst fence: the announcement precedes the look at the words. Partner: [BT-2].
    // Weakened: the CPU sleeps although it was woken.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (find_runnable(cpu) == nullptr) {
        if (irqs_were_open) {
            const std::uint64_t until = earliest(cpu);
            if (until != platform::forever_ns) {
                const std::uint64_t now = now_ns();
                start_local_timer(until > now ? until - now : 0);
            }
            nmircu_halt();
            ++cpu.wake_ups;
            if (until != platform::forever_ns) stop_local_timer();
        } else {
            arch::spin_hint();
        }
    }
    cpu.halted.store(0, std::memory_order_relaxed);  // a wake-up too many does no harm
}

bool waits_for(const cpu_area& cpu, const std::atomic<std::uint32_t>& word) noexcept {
    const thread* const first = cpu.threads;
    const thread* at = first;
    do {
        // Relaxed: ordered by the fence at [BT-2].
        if (at->word.load(std::memory_order_relaxed) == &word) return true;
        // [BT-4] acquire: the thread is complete. Partner: [BT-3]. Weakened: as there.
        at = at->next.load(std::memory_order_acquire);
    } while (at != first);
    return false;
}

}  // namespace

void become_first_thread(cpu_area& cpu) noexcept {
    thread& self = first_threads[cpu.number];
    self.reader.domain = &detail::default_domain;
    self.reader.until_timed = 1;
    self.cpu = &cpu;
    self.number = cpu.number;
    self.until_ns = platform::forever_ns;
    name_thread(self, "first");
    self.next.store(&self, std::memory_order_relaxed);  // nobody knows it yet
    cpu.threads = &self;
    cpu.running = &self;
    cpu.reader = &self.reader;
}

thread& first_thread(unsigned cpu) noexcept {
    return first_threads[cpu];
}

}  // namespace nmircu::baremetal

// A new thread's first instructions, on its own stack: switch_stack.S.
extern "C" [[noreturn]] void nmircu_run_thread() {
    using namespace nmircu::baremetal;
    sti();
    this_cpu_area().running->function();
    // It has ended: it never can run again.
    std::atomic<std::uint32_t> never{0};
    for (;;)
        nmircu::platform::port::wait(never, 0, nmircu::platform::forever_ns);
}

namespace nmircu::platform {

using namespace baremetal;

unsigned port::current_thread() noexcept {
    return this_cpu_area().running->number;
}

wait_result port::wait(std::atomic<std::uint32_t>& word, std::uint32_t value,
                       std::uint64_t ns) noexcept {
    cpu_area& cpu = this_cpu_area();
    thread& self = *cpu.running;
    const std::uint64_t now = now_ns();
    const std::uint32_t flags = mask_irqs();
    self.value = value;
    self.until_ns = ns >= forever_ns - now ? forever_ns : now + ns;
    self.word.store(&word, std::memory_order_relaxed);  // ordered by [BT-1]
    for (;;) {
        if (thread* const next = find_runnable(cpu); next != nullptr) {
            switch_to(cpu, *next);
            break;  // this thread can run
        }
        halt_until_woken(cpu, flags != 0);
    }
    self.word.store(nullptr, std::memory_order_relaxed);  // a wake-up too many does no harm
    self.until_ns = forever_ns;
    unmask_irqs(flags);
    // Relaxed: a futex orders nothing either.
    return word.load(std::memory_order_relaxed) != value ? wait_result::woken
                                                         : wait_result::timed_out;
}

void port::wake_all(std::atomic<std::uint32_t>& word) noexcept {
    // [BT-2] seq_cst fence: the change of the word precedes the look at who sleeps. Partner:
    // [BT-1]. Weakened: as there.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (unsigned number = 0; number < cpu_count; ++number) {
        const cpu_area& cpu = cpu_areas[number];
        // Relaxed: ordered by the fence. This CPU too: an NMI may have come before its HLT.
        if (cpu.halted.load(std::memory_order_relaxed) == 0 || !waits_for(cpu, word)) continue;
        send_ipi(cpu.apic_id, icr_fixed | icr_assert | wake_vector);
    }
}

bool port::start_thread(void (*function)(), const char* name) noexcept {
    // Relaxed: a place of one's own is all that it gives.
    const unsigned place = threads_started.fetch_add(1, std::memory_order_relaxed);
    if (place >= most_threads) return false;
    cpu_area& cpu = this_cpu_area();
    thread& next = other_threads[place];
    next.reader.domain = &detail::default_domain;
    next.reader.until_timed = 1;
    next.function = function;
    next.cpu = &cpu;
    next.number = cpu.number + (place + 1) * max_cpus;
    next.until_ns = forever_ns;
    name_thread(next, name);
    // What nmircu_switch_stack pops: six registers and an address to return to.
    auto* const top = reinterpret_cast<std::uint64_t*>(stacks[place] + stack_bytes);
    top[-2] = reinterpret_cast<std::uintptr_t>(nmircu_thread_begins);
    for (int slot = -8; slot < -2; ++slot)
        top[slot] = 0;
    next.stack_pointer = reinterpret_cast<std::uintptr_t>(top - 8);
    const std::uint32_t flags = mask_irqs();
    thread* const after = cpu.threads;
    next.next.store(after->next.load(std::memory_order_relaxed), std::memory_order_relaxed);
    // [BT-3] release: the thread is complete before it is in the ring. Partners: [BT-4], and
    // [BQ-5], ask_cpus.cpp. Weakened: who wakes follows the ring into nowhere.
    after->next.store(&next, std::memory_order_release);
    unmask_irqs(flags);
    return true;
}

}  // namespace nmircu::platform
