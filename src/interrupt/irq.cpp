// SPDX-License-Identifier: MIT
//
// The dispatch of a maskable interrupt. Its thread has IRQs masked; NMIs may come at any
// instruction. No lock, no allocation, no unbounded loop.
//
//   take_irq -> line disabled: parked (parked_interrupts.hpp)
//      |
//   handle_irq -> irq_enter -> count -> the line's chain, all of it
//                                 -> previous owner of the signal -> unhandled
#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/irq.hpp>

#include "interrupt/chain_walk.hpp"
#include "interrupt/irq_lines.hpp"
#include "interrupt/timing.hpp"

namespace nmircu {

namespace interrupt {

constinit std::atomic<const chain*> irq_chains[platform::irq_line_limit];
handler_row irq_handler_rows[detail::max_cpus];
chain_row irq_chain_rows[detail::max_cpus];
constinit irq_line irq_lines[platform::irq_line_limit]{};

namespace {

// Rows lie this far apart: add_per_cpu finds the running CPU's with a shift.
constexpr unsigned taken_shift = 11;
constexpr std::size_t taken_bytes = std::size_t{1} << taken_shift;
struct alignas(taken_bytes) taken_row {
    count_words line[platform::irq_line_limit];
};
static_assert(sizeof(taken_row) == taken_bytes);
taken_row taken[detail::max_cpus];

unsigned ask_chain(detail::reader_state& self, pt_regs* regs, int line, int cpu) noexcept {
    const chain* const handlers = rcu_dereference(irq_chains[line]);
    if (handlers == nullptr || handlers->count == 0) return 0;
    if (dispatch_is_timed(self)) {
        return walk_chain<true>(self, irq_counts, *handlers, regs, line, cpu).events;
    }
    return walk_chain<false>(self, irq_counts, *handlers, regs, line, cpu).events;
}

// What stays of an interrupt that is not shown to the handlers now; or that it is to be.
bool is_kept(irq_line& state, const pt_regs* regs, int line) noexcept {
    switch (state.parked.park(regs, platform::line_queues(line))) {
        case parked_interrupts::arrival::line_is_open:
            return false;
        case parked_interrupts::arrival::parked:
            break;
        case parked_interrupts::arrival::merged:
            state.merged.add_shared(1);
            break;
        case parked_interrupts::arrival::dropped:
            state.dropped.add_shared(1);
            break;
    }
    return true;
}

}  // namespace

void handle_irq(pt_regs* regs, int line) noexcept {
    detail::reader_state& self = platform::this_reader();
    ++self.irq_depth;
    const int cpu = smp_processor_id();
    add_per_cpu<taken_shift>(self, taken[0].line[line], cpu, 1);
    if (ask_chain(self, regs, line, cpu) == 0) {
        irq_line& state = irq_lines[line];
        const bool has_owner = platform::hand_line_to_previous_owner(regs, line);
        (has_owner ? state.forwarded : state.unhandled).add_shared(1);
    }
    --self.irq_depth;
}

}  // namespace interrupt

// The caller is inside a section: see lifecycle.hpp.
void detail::take_irq(pt_regs* regs, int line) noexcept {
    if (interrupt::is_kept(interrupt::irq_lines[line], regs, line)) return;
    interrupt::handle_irq(regs, line);
}

bool in_irq() noexcept {
    return platform::this_reader().irq_depth != 0;
}

bool irqs_disabled() noexcept {
    return platform::irqs_are_masked() || in_irq() || in_nmi();
}

irq_line_statistics irq_read_line(int line) noexcept {
    if (line < 0 || line >= platform::irq_line_limit) return {};
    const interrupt::irq_line& state = interrupt::irq_lines[line];
    irq_line_statistics out{};
    for (unsigned cpu = 0; cpu < platform::port::possible_cpus(); ++cpu)
        out.taken += interrupt::taken[cpu].line[line].read();
    out.unhandled = state.unhandled.read();
    out.forwarded = state.forwarded.read();
    out.merged = state.merged.read();
    out.dropped = state.dropped.read() + platform::lost_on_line(line);
    out.users = state.users.load(std::memory_order_relaxed);  // a look
    out.disabled = static_cast<unsigned>(state.parked.depth());
    return out;
}

}  // namespace nmircu
