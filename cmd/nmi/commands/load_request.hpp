// SPDX-License-Identifier: MIT
//
// The one request that both `nmi load` and `nmi run` make.
#pragma once

#include <string>

#include <nmi/commands/options.hpp>
#include <nmi/target/client.hpp>

namespace nmircu::command {

message load_request(const module_spec& module, const std::string& path,
                     const source_options& source);

}  // namespace nmircu::command
