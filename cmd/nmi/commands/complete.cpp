// SPDX-License-Identifier: MIT
//
// Candidates for the word that is written; see complete.hpp.
#include <nmi/commands/complete.hpp>

#include <cstdio>

#include <nmi/commands/command_line.hpp>
#include <nmi/complaint.hpp>
#include <nmi/library_directory.hpp>
#include <nmi/target/agents.hpp>

namespace nmircu::command {
namespace {

using words = std::vector<std::string>;

const words files{":files"};

// Words that options take; which of them does, its own check says.
const char* const known_values[] = {"auto", "perf",   "timer", "wall",
                                    "cpu",  "offcpu", "fp",    "dwarf"};

words values_of(CLI::Option& option) {
    if (option.get_type_name() == "MODULE") return known_modules();
    words found;
    try {
        const CLI::Validator& check = *option.get_validator(0);
        for (std::string value : known_values) {
            if (check(value).empty()) found.push_back(value);
        }
    } catch (const CLI::OptionNotFound&) {  // anything goes
        return files;
    }
    return found;
}

words options_of(const CLI::App& command) {
    words names;
    for (const CLI::Option* option : command.get_options()) {
        for (const std::string& name : option->get_lnames())
            names.push_back("--" + name);
        for (const std::string& name : option->get_snames())
            names.push_back("-" + name);
    }
    return names;
}

words verbs_of(const CLI::App& app) {
    words names{"--help", "--version"};
    for (const CLI::App* verb : app.get_subcommands({}))
        names.push_back(verb->get_name());
    return names;
}

words pids() {
    words found;
    for (const agent_socket& one : find_agents()) {
        if (one.why.empty()) found.push_back(std::to_string(one.pid));
    }
    return found;
}

words positional_of(const CLI::App& command, std::size_t number) {
    std::size_t at = 0;
    for (const CLI::Option* option : command.get_options()) {
        if (!option->get_positional() || at++ != number) continue;
        if (option->get_name() == "PID") return pids();
        if (option->get_name() == "NAME") return {};
        words found = option->get_name() == "MODULE" ? known_modules() : words{};
        found.push_back(":files");
        return found;
    }
    return {};
}

words behind_verb(const command_line& line, CLI::App& command, const words& given) {
    const auto program = line.takes_program.find(command.get_name());
    const bool at_first_word =
        program != line.takes_program.end() && program->second == program_begins::at_first_word;
    std::size_t positionals = 0;
    for (std::size_t at = 1; at + 1 < given.size(); ++at) {
        const std::string& word = given[at];
        const bool is_option = word.size() > 1 && word[0] == '-';
        if (word == "--" || (at_first_word && !is_option)) return files;
        if (!is_option) ++positionals;
        if (!is_option || !takes_next_word(command, word)) continue;
        if (at + 2 == given.size()) return values_of(*command.get_option_no_throw(word));
        ++at;
    }
    if (given.back().starts_with('-')) return options_of(command);
    return at_first_word ? files : positional_of(command, positionals);
}

words candidates(command_line& line, const words& given) {
    if (given.size() < 2) return verbs_of(line.app);
    for (CLI::App* verb : line.app.get_subcommands(std::function<bool(CLI::App*)>{})) {
        if (verb->get_name() == given[0]) return behind_verb(line, *verb, given);
    }
    return {};
}

}  // namespace

int complete(command_line& line, const std::vector<std::string>& given) {
    const std::string begun = given.empty() ? "" : given.back();
    for (const std::string& candidate : candidates(line, given)) {
        if (candidate == ":files" || candidate.starts_with(begun)) std::puts(candidate.c_str());
    }
    return exit_ok;
}

}  // namespace nmircu::command
