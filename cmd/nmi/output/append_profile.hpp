// SPDX-License-Identifier: MIT
//
// One profile of several processes.
#pragma once

#include <nmi/profile/profile.hpp>

namespace nmircu::command {

// Adds what `more` holds to `all`; requires the same value types, or an `all` without samples. What
// each has lost is added up: of comments "KEY: NUMBER" that both have.
void append_profile(profile& all, const profile& more);

}  // namespace nmircu::command
