// SPDX-License-Identifier: MIT
//
// MODULE[,key=value...] as given on the command line: what it names, which file that is, and
// whether the file can be a module at all, found out before any program is asked to load it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nmircu::command {

struct module_spec {
    std::string module;                  // a name, or a path if it has a '/'
    std::vector<std::string> arguments;  // key=value
};

// Fails (exit_usage) on an empty module, an argument without '=' or with an empty key.
module_spec parse_module_spec(std::string_view text);

// The absolute path of the module's file. Fails (exit_error) if there is none or it is no module:
// not a shared object for this machine, no symbol nmi_module, another ABI version. `attempt` opens
// the message: "load profiler into 1234".
std::string find_module(const module_spec& spec, const std::string& attempt);

}  // namespace nmircu::command
