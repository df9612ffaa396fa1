// SPDX-License-Identifier: MIT
//
// What a platform calls in the layers above it: when the program starts, when it forks, and when an
// interrupt arrives.
#pragma once

struct pt_regs;

namespace nmircu::detail {

// Context: nmi, inside a section that the platform enters before and leaves afterwards, both in
// permanent code: runs the program's own do_nmi if nmi_set_entry has set one, else ours.
void take_nmi(pt_regs* regs, long error_code) noexcept;
// The same for a maskable one, with IRQs masked.
void take_irq(pt_regs* regs, int line) noexcept;

enum class barrier_choice { best, symmetric };

// Thread context, once, early; readers may run already. symmetric: do not even try the cheap
// reader.
void start_engine(barrier_choice choice) noexcept;

// Thread context. Something that may retire in handlers, where no thread can be created, begins.
void start_reclaimer_for_handlers() noexcept;
// Before that: no handler of this process ever retires, so it needs no thread for them.
void expect_no_retiring_handlers() noexcept;

// Around a fork: in the parent before and after it; in the child, all signals blocked, before
// anything else runs.
void engine_before_fork() noexcept;
void engine_after_fork() noexcept;
void engine_forked() noexcept;
void dispatch_forked() noexcept;
void irqs_forked() noexcept;
void deferred_before_fork() noexcept;
void deferred_after_fork() noexcept;
void deferred_forked() noexcept;

}  // namespace nmircu::detail
