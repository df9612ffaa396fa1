// SPDX-License-Identifier: MIT
//
// What modules are offered: the table of module.h, and the rings behind its two record functions.
#pragma once

#include <nmircu/module.h>
#include <nmircu/nmi.hpp>

#include <ring/writer.hpp>

#include "platform/linux/sources.hpp"

namespace nmircu::agent {

// The program's rings; constant-initialised and never destroyed, because handlers may run until the
// last instruction. Created by the control thread before a module can be loaded.
ring::writer& rings() noexcept;

// Valid for ever. Its functions are for handlers: context nmi, as module.h says one by one.
const nmi_host& host_table() noexcept;

// Writes a repeat of the wall source as a record; false: the ring is full. Context: thread.
bool record_repeat(const platform::thread_repeat& what) noexcept;

// The function to register for a module's handler, which travels as the cookie. Context: nmi.
int call_module(void* cookie, nmircu::pt_regs* regs, int cpu) noexcept;

}  // namespace nmircu::agent
