// SPDX-License-Identifier: MIT
//
// A fault inside a handler ends the program, as any fault does; this says first whose it was.
#pragma once

namespace nmircu::platform {

// From now on, for each fault whose action is the default one now, unless NMIRCU_FAULT_REPORTS=0.
// Context: thread. Idempotent; the setting is read once.
void report_faults_in_handlers() noexcept;

}  // namespace nmircu::platform
