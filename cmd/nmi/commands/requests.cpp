// SPDX-License-Identifier: MIT
//
// nmi load, nmi swap, nmi unload: one request to the agent of a running program each. Whatever can
// be found wrong without the program is found before it is disturbed.
#include <nmi/commands/command_line.hpp>
#include <nmi/commands/load_request.hpp>
#include <nmi/commands/options.hpp>
#include <nmi/commands/recording.hpp>
#include <nmi/complaint.hpp>
#include <nmi/target/connect.hpp>
#include <nmi/target/status_reply.hpp>

namespace nmircu::command {
message load_request(const module_spec& module, const std::string& path,
                     const source_options& source) {
    message request{"load", path, std::to_string(source.rate_hz.value_or(default_rate_hz)),
                    source.kind.value_or("auto")};
    request.insert(request.end(), module.arguments.begin(), module.arguments.end());
    return request;
}

int load(const load_options& options) {
    const std::string attempt = fmt::format("load {} into {}", options.module.module, options.pid);
    const std::string path = find_module(options.module, attempt);
    client connection = connect_or_attach(options.pid, options.filters, attempt);
    const source_options source = shared_source(options.source, connection, attempt);
    const message answer = expect_ok(
        connection.request(load_request(options.module, path, source), slow_deadline), attempt);
    if (answer.size() > 1 && !answer[1].empty()) say(answer[1]);
    return exit_ok;
}

int swap(const swap_options& options) {
    const std::string attempt = fmt::format("swap {} in {}", options.name, options.pid);
    const std::string path = find_module(options.module, attempt);
    client connection = connect_to(options.pid, attempt);
    message request{"swap", options.name, path};
    request.insert(request.end(), options.module.arguments.begin(), options.module.arguments.end());
    const message answer = expect_ok(connection.request(request, slow_deadline), attempt);
    if (answer.size() > 1 && !answer[1].empty()) say(answer[1]);
    return exit_ok;
}

int unload(const unload_options& options) {
    const std::string attempt = fmt::format("unload {} from {}", options.name, options.pid);
    client connection = connect_to(options.pid, attempt);
    const message answer =
        expect_ok(connection.request({"unload", options.name}, slow_deadline), attempt);
    if (!answer.empty() && !answer[0].empty()) say(answer[0]);
    return exit_ok;
}

void add_load(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "load", "Load a handler into a running program; attach to it first, if it has no agent.");
    const auto options = std::make_shared<load_options>();
    const auto module = std::make_shared<std::string>();
    add_pid(command, options->pid);
    add_seccomp(command, options->filters);
    command.add_option("MODULE", *module, module_help)->required()->type_name("");
    add_source_options(command, options->source);
    command.callback([&line, options, module] {
        options->module = parse_module_spec(*module);
        line.chosen = [options] { return load(*options); };
    });
}

void add_swap(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "swap", "Replace a loaded handler: every interrupt is seen by the old one or the new one.");
    const auto options = std::make_shared<swap_options>();
    const auto module = std::make_shared<std::string>();
    add_pid(command, options->pid);
    command.add_option("NAME", options->name, "the handler to replace")->required()->type_name("");
    command.add_option("MODULE", *module, module_help)->required()->type_name("");
    command.callback([&line, options, module] {
        options->module = parse_module_spec(*module);
        line.chosen = [options] { return swap(*options); };
    });
}

void add_unload(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "unload", "Take a handler out of a program; when this returns, its code is gone.");
    const auto options = std::make_shared<unload_options>();
    add_pid(command, options->pid);
    command.add_option("NAME", options->name, "the handler")->required()->type_name("");
    command.callback([&line, options] { line.chosen = [options] { return unload(*options); }; });
}

}  // namespace nmircu::command
