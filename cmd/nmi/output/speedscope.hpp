// SPDX-License-Identifier: MIT
//
// A profile for speedscope.app: its own JSON format,
// https://www.speedscope.app/file-format-schema.json
#pragma once

#include <string>

#include <nmi/output/stacks.hpp>
#include <nmi/profile/profile.hpp>

namespace nmircu::command {

// `threads`: one profile inside the file for each thread; else one for all.
std::string speedscope(const profile& of, bool threads, const std::string& name);

}  // namespace nmircu::command
