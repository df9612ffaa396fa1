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
        {"total_ns", handler.total_ns},
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

json unreachable_json(const program_status& status) {
    json list = json::array();
    for (const unreachable_thread& thread : status.unreachable) {
        list.push_back({{"tid", thread.tid}, {"name", thread.name}, {"reason", thread.reason}});
    }
    return list;
}

json document_of(const program_status& status) {
    json handlers = json::array();
    for (const handler_status& handler : status.handlers)
        handlers.push_back(handler_json(handler));
    return {
        {"schema", 1},
        {"pid", status.pid},
        {"program", status.program},
        {"agent_version", status.version},
        {"time_unix_ns", status.time_unix_ns},
        {"source", source_json(status.source)},
        {"unreachable", unreachable_json(status)},
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
}

// Names and paths are bytes; those that are no UTF-8 are replaced, not a reason to fail.
std::string text_of(const json& document, json_layout layout) {
    const int indent = layout == json_layout::indented ? 2 : -1;
    return document.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string status_json(const program_status& status, json_layout layout) {
    return text_of(document_of(status), layout);
}

std::string agents_json(const std::vector<program_status>& agents,
                        const std::vector<silent_agent>& silent, json_layout layout) {
    json document{{"schema", 1}, {"agents", json::array()}, {"silent", json::array()}};
    for (const program_status& status : agents)
        document["agents"].push_back(document_of(status));
    for (const silent_agent& one : silent) {
        document["silent"].push_back({{"pid", one.pid}, {"socket", one.socket}, {"why", one.why}});
    }
    return text_of(document, layout);
}

}  // namespace nmircu::command
