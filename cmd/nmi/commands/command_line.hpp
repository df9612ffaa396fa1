// SPDX-License-Identifier: MIT
//
// What the verbs share while argv becomes options. Each verb's own file has an add_VERB that
// describes its options and, once the command line is understood, chooses what is to be done;
// arguments.cpp lists them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <nmi/commands/options.hpp>

namespace nmircu::command {

// Where, behind a verb, PROGRAM and its arguments begin, which are none of ours to understand.
enum class program_begins { at_first_word, behind_dashes };

struct command_line {
    CLI::App app{
        "nmi: NMI handlers in running programs: load, swap, unload, and see what they saw."};
    // Verbs that take a PROGRAM; and the one that was given, taken out of the command line.
    std::map<std::string, program_begins> takes_program;
    std::vector<std::string> program;
    bool has_dashes = false;  // `--` was in front of it
    std::function<int()> chosen;
};

inline constexpr const char* module_help =
    "MODULE[,key=value...]: a module's name, or, with a\n'/' in it, the path of its .so";

// Whether an option that is written like this has its value in the next word.
bool takes_next_word(const CLI::App& command, const std::string& word);

void add_pid(CLI::App& command, int& pid);
void add_seccomp(CLI::App& command, seccomp_filters& filters);
void add_source_options(CLI::App& command, source_options& source);
// -o FILE, repeatable, of the kinds of profile_files.hpp; and --threads.
void add_output_files(CLI::App& command, std::vector<std::string>& files, bool& threads,
                      const std::string& otherwise);

// One for each verb, in its own file.
void add_attach(command_line& line);
void add_backtrace(command_line& line);
void add_detach(command_line& line);
void add_diff(command_line& line);
void add_load(command_line& line);
void add_record(command_line& line);
void add_report(command_line& line);
void add_run(command_line& line);
void add_status(command_line& line);
void add_swap(command_line& line);
void add_top(command_line& line);
void add_unload(command_line& line);
void add_watch(command_line& line);

}  // namespace nmircu::command
