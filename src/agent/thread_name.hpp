// SPDX-License-Identifier: MIT
//
// Threads tell their names themselves, as many end before anybody outside can look.
#pragma once

namespace nmircu::agent {

// As record_thread_name of module.h. Context: nmi.
void record_thread_name() noexcept;

// From now on every thread tells its name anew: another handler is loaded. Any context.
void forget_told_names() noexcept;

}  // namespace nmircu::agent
