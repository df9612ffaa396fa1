// SPDX-License-Identifier: MIT
//
// Status as JSON; see status_json.hpp.
#include <nmi/output/status_json.hpp>

#include <nlohmann/json.hpp>

namespace nmircu::command {
namespace {

using json = nlohmann::ordered_json;

json handler_json(const handler_status& handler) {
    return {
        {"name", handler.name},
        {"loaded", !handler.retired},
        {"generation", handler.generation},
        {"path", handler.path},
        {"calls", handler.calls},
        {"handled", handler.handled},
        {"handled_by_cpu", handler.handled_by_cpu},
        {"timed_calls", handler.timed_calls},
        {"mean_ns", handler.mean_ns()},
        {"longest_ns", handler.longest_ns},
    };
}

json source_json(const source_line& source) {
    return {
        {"kind", source.kind},         {"rate_hz", source.rate_hz},
        {"threads", source.threads},   {"unreachable_threads", source.unreachable},
        {"overruns", source.overruns}, {"reason", source.reason},
    };
}

}  // namespace

std::string status_json(const program_status& status) {
    json handlers = json::array();
    for (const handler_status& handler : status.handlers)
        handlers.push_back(handler_json(handler));
    const json document{
        {"pid", status.pid},
        {"agent_version", status.version},
        {"source", source_json(status.source)},
        {"cpus", status.cpus},
        {"nmis_by_cpu", status.nmis},
        {"handlers", handlers},
        {"unknown_nmis", status.unknown},
        {"forwarded_signals", status.forwarded},
        {"lost_records_by_cpu", status.lost},
        {"grace_periods",
         {{"count", status.grace_periods},
          {"median_ns", status.grace_median_ns},
          {"longest_ns", status.grace_longest_ns}}},
    };
    // Names and paths are bytes; those that are no UTF-8 are replaced, not a reason to fail.
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace nmircu::command
