// SPDX-License-Identifier: MIT
//
// A profile from a file, for the verbs that read them.
#pragma once

#include <string>

#include <nmi/profile/profile.hpp>

namespace nmircu::command {

// Fails (exit_error) if the file cannot be read or is no profile. `attempt` opens the message.
profile read_profile(const std::string& file, const std::string& attempt);

}  // namespace nmircu::command
