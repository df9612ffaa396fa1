// SPDX-License-Identifier: MIT
//
// NMIs and plain signals: their handlers, which read, and who takes them. Every thread of the
// program that enrols may be interrupted at any instruction.
#pragma once

#include "options.hpp"
#include "stage.hpp"

namespace torture {

// Installs the handlers that `want` asks for. Exits with a line if the system refuses.
void install_handlers(const options& want);
// Nobody is inside an NMI handler any more when this returns.
void remove_handlers();

// The calling thread's place among those that are interrupted.
class enrolled {
  public:
    enrolled() noexcept;
    ~enrolled();
    enrolled(const enrolled&) = delete;
    enrolled& operator=(const enrolled&) = delete;

  private:
    unsigned place_;
};
// In a forked child, where the others are not.
void forget_enrolled() noexcept;

// Between two sections of a thread, outside handlers. ThreadSanitizer blocks all signals while it
// runs handlers that it has kept for later, and keeps the mask before that in one place for a
// thread. A handler that comes to another kept signal has it store the full mask there: the thread
// then blocks all signals for good (clang 14: ProcessPendingSignals inside itself). Nothing
// otherwise.
void take_signals_again() noexcept;

// On this thread, handled when they return; on any other one, sooner or later.
void raise_nmi_here() noexcept;
void raise_irq_here() noexcept;
void raise_nmi_elsewhere(dice& chance) noexcept;
void raise_irq_elsewhere(dice& chance) noexcept;

// Replaces the element in the handler of an NMI on this thread. False: the pool was empty.
bool replace_in_handler() noexcept;

}  // namespace torture
