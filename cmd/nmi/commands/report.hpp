// SPDX-License-Identifier: MIT
//
// What `nmi run` says when the program has ended: the tables, the flame graph, the folded stacks.
#pragma once

#include <nmi/commands/options.hpp>
#include <nmi/commands/session.hpp>

namespace nmircu::command {

// `family`: its children, if they were followed. False if some of it could not be written; a line
// on stderr has said so.
bool report(const run_options& options, const recorder& seen, const outcome& result,
            children* family);

}  // namespace nmircu::command
