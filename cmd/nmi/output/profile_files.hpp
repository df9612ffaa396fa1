// SPDX-License-Identifier: MIT
//
// The files a profile is written to, each of the kind its name ends in. Thread context.
#pragma once

#include <string>
#include <vector>

#include <nmi/profile/profile.hpp>

namespace nmircu::command {

enum class threads_apart { no, yes };

// Fails (exit_usage) if a name ends in nothing we know, or occurs twice; then (exit_error) if a
// file could not be written. Nothing is changed. `attempt` opens the message.
void check_profile_files(const std::vector<std::string>& files, const std::string& attempt);

// All of them, even if one cannot be written; that is said in a line on stderr, and gives false.
// `name`: what the profile is called if it does not say so itself.
bool write_profile_files(const profile& of, const std::vector<std::string>& files,
                         threads_apart threads, const std::string& name);

// The table for people: a heading, the hottest functions, what was lost.
std::string profile_table(const profile& of, const std::string& name, std::size_t rows,
                          std::size_t width);

// What stands below the command in pictures: "1,234 samples · 3 threads · 1,000 Hz · 2.0 s".
std::string profile_figures(const profile& of);

}  // namespace nmircu::command
