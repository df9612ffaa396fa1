// SPDX-License-Identifier: MIT
//
// Into a running program, and out of it; see recording.hpp.
#include <nmi/commands/recording.hpp>

#include <algorithm>

#include <nmi/commands/leave.hpp>
#include <nmi/complaint.hpp>
#include <nmi/target/connect.hpp>
#include <nmi/target/status_reply.hpp>

namespace nmircu::command {
namespace {

program_status status_of(client& connection, const std::string& attempt) {
    return read_status(expect_ok(connection.request({"status"}, quick_deadline), attempt));
}

bool is_loaded(const handler_status& handler) {
    return !handler.retired;
}

}  // namespace

connected connect_for_recording(int pid, seccomp_filters filters, const std::string& attempt) {
    bool is_ours = false;
    client connection = connect_or_attach(pid, filters, attempt, &is_ours);
    const program_status found = status_of(connection, attempt);
    for (const handler_status& handler : found.handlers) {
        if (!is_loaded(handler) || handler.name != "profiler") continue;
        fail(exit_error,
             "{}: a profiler is loaded there already, and its records are somebody else's; try nmi "
             "unload {} profiler, or wait for the other nmi to end",
             attempt, pid);
    }
    return {std::move(connection), is_ours ? agent_origin::is_ours : agent_origin::was_there};
}

source_options shared_source(source_options wanted, client& connection,
                             const std::string& attempt) {
    if (wanted.rate_hz && wanted.kind) return wanted;
    const source_line running = status_of(connection, attempt).source;
    if (running.kind == "none") return wanted;
    if (!wanted.rate_hz) wanted.rate_hz = static_cast<std::uint32_t>(running.rate_hz);
    if (!wanted.kind) wanted.kind = running.kind;
    return wanted;
}

void leave_program(client& connection, int pid, agent_origin origin, const std::string& attempt) {
    if (origin == agent_origin::was_there || connection.closed()) return;
    const reply status = connection.request({"status"}, quick_deadline);
    if (!status.ok) return;  // it has ended
    const program_status found = read_status(status.fields);
    if (std::any_of(found.handlers.begin(), found.handlers.end(), is_loaded)) return;
    try {
        leave(connection, pid, attempt);
    } catch (const complaint& why) {
        if (!connection.closed()) say(why.what());
    }
}

leave_on_failure::~leave_on_failure() {
    if (origin_ == agent_origin::was_there || std::uncaught_exceptions() == exceptions_) return;
    try {
        client connection = connect_to(pid_, attempt_);
        leave_program(connection, pid_, origin_, attempt_);
    } catch (const complaint&) {  // there is one on its way already
    }
}

}  // namespace nmircu::command
