// SPDX-License-Identifier: MIT
//
// The verb `interrupt`: one NMI on every thread of the program, or on those that are named.
// Control thread.
#pragma once

#include <agent/protocol.hpp>

namespace nmircu::agent {

// `request` has the verb first; the result is the reply.
message interrupt_threads(const message& request);

}  // namespace nmircu::agent
