// SPDX-License-Identifier: MIT
//
// nmi status: what is loaded in a running program and what came of it, as a table or as JSON.
#include <cstdio>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/options.hpp>
#include <nmi/complaint.hpp>
#include <nmi/output/status_json.hpp>
#include <nmi/output/table.hpp>
#include <nmi/target/connect.hpp>
#include <nmi/target/status_reply.hpp>

namespace nmircu::command {

int status(const status_options& options) {
    const std::string attempt = fmt::format("status of {}", options.pid);
    client connection = connect_to(options.pid, attempt);
    const program_status found =
        read_status(expect_ok(connection.request({"status"}, quick_deadline), attempt));
    const std::string text = options.json
                                 ? status_json(found)
                                 : source_text(found.source) + "\n" + interrupt_table(found);
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) fail(exit_error, "{}: cannot write it out; try > FILE", attempt);
    return exit_ok;
}

void add_status(command_line& line) {
    CLI::App& command =
        *line.app.add_subcommand("status", "Show the handlers of a program and what they counted.");
    const auto options = std::make_shared<status_options>();
    add_pid(command, options->pid);
    command.add_flag("--json", options->json, "for scripts");
    command.callback([&line, options] { line.chosen = [options] { return status(*options); }; });
}

}  // namespace nmircu::command
