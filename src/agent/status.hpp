// SPDX-License-Identifier: MIT
//
// The status reply, as protocol.hpp lists it. Thread context; allocates.
#pragma once

#include <vector>

#include <agent/modules.hpp>
#include <agent/protocol.hpp>

namespace nmircu::agent {

// The reply to `status`: `ok` and the lines. It always fits a message; if it must, by leaving out
// first the oldest retired rows, then the columns of CPUs that took no NMI and the list of threads
// that are not reached.
message status_reply(const platform::source_status& source, const std::vector<module_row>& loaded,
                     const std::vector<module_row>& retired);

}  // namespace nmircu::agent
