// SPDX-License-Identifier: MIT
//
// A profile into pprof's format; see pprof.hpp.
#include <nmi/pprof/pprof.hpp>

#include <unordered_map>
#include <utility>

#include <nmi/output/utf8.hpp>
#include <nmi/pprof/gzip.hpp>
#include <nmi/pprof/wire.hpp>

namespace nmircu::command {
namespace {

using namespace pprof_field;

// profile.proto's strings are UTF-8, and readers insist; names and paths are any bytes.
std::string as_utf8(std::string_view text) {
    std::string clean;
    while (!text.empty()) {
        const std::size_t bytes = first_character(text).bytes;
        clean += bytes == 0 ? "?" : text.substr(0, bytes);
        text.remove_prefix(bytes == 0 ? 1 : bytes);
    }
    return clean;
}

class encoder {
  public:
    std::string encode(const profile& from) {
        index("");  // the table begins with it
        for (const profile_value_type& type : from.value_types)
            file_.bytes(value_types, encode(type));
        for (const profile_sample& one : from.samples)
            file_.bytes(samples, encode(one));
        std::uint64_t id = 0;
        for (const profile_mapping& one : from.mappings)
            file_.bytes(mappings, encode(one, ++id, from));
        id = 0;
        for (const profile_location& one : from.locations)
            file_.bytes(locations, encode(one, ++id));
        id = 0;
        for (const profile_function& one : from.functions)
            file_.bytes(functions, encode(one, ++id));
        file_.number(time, from.time_ns);
        file_.number(duration, from.duration_ns);
        file_.bytes(period_type, encode(from.period_type));
        file_.number(period, from.period);
        std::vector<std::uint64_t> said;
        for (const std::string& comment : from.comments)
            said.push_back(index(comment));
        if (!said.empty()) file_.packed(comments, said);
        if (from.default_value_type + 1 < from.value_types.size()) {  // not the last
            file_.number(default_value_type, index(from.value_types[from.default_value_type].type));
        }
        for (const std::string& text : table_)
            file_.bytes(strings, text);
        return file_.out();
    }

  private:
    std::uint64_t index(const std::string& text) {
        const auto [at, is_new] = strings_.try_emplace(as_utf8(text), table_.size());
        if (is_new) table_.push_back(at->first);
        return at->second;
    }

    std::string encode(const profile_value_type& type) {
        wire::writer out;
        out.number(value_type, index(type.type));
        out.number(value_unit, index(type.unit));
        return out.out();
    }

    std::string encode(const profile_sample& one) {
        wire::writer out;
        std::vector<std::uint64_t> ids(one.locations.begin(), one.locations.end());
        for (std::uint64_t& id : ids)
            ++id;
        if (!ids.empty()) out.packed(sample_locations, ids);
        out.packed(sample_values, one.values);
        if (!one.thread.empty()) {
            wire::writer label;
            label.number(label_key, index("thread"));
            label.number(label_text, index(one.thread));
            out.bytes(sample_labels, label.out());
        }
        if (one.thread_id != 0) {
            wire::writer label;
            label.number(label_key, index("thread_id"));
            label.number(label_number, one.thread_id);
            out.bytes(sample_labels, label.out());
        }
        return out.out();
    }

    std::string encode(const profile_mapping& one, std::uint64_t id, const profile& whole) {
        bool has_files = false, has_lines = false;
        for (const profile_location& location : whole.locations) {
            if (location.mapping != id - 1) continue;
            for (const profile_line& line : location.lines) {
                has_files = has_files || !whole.functions[line.function].file.empty();
                has_lines = has_lines || line.line != 0;
            }
        }
        wire::writer out;
        out.number(mapping_id, id);
        out.number(mapping_begin, one.begin);
        out.number(mapping_end, one.end);
        out.number(mapping_offset, one.file_offset);
        out.number(mapping_file, index(one.file));
        out.number(mapping_build_id, index(one.build_id));
        out.number(mapping_has_functions, std::uint64_t{1});
        out.number(mapping_has_files, std::uint64_t{has_files});
        out.number(mapping_has_lines, std::uint64_t{has_lines});
        return out.out();
    }

    static std::string encode(const profile_location& one, std::uint64_t id) {
        wire::writer out;
        out.number(location_id, id);
        if (one.mapping) out.number(location_mapping, std::uint64_t{*one.mapping} + 1);
        out.number(location_address, one.address);
        for (const profile_line& line : one.lines) {
            wire::writer inside;
            inside.number(line_function, std::uint64_t{line.function} + 1);
            inside.number(line_number, line.line);
            out.bytes(location_lines, inside.out());
        }
        return out.out();
    }

    std::string encode(const profile_function& one, std::uint64_t id) {
        wire::writer out;
        out.number(function_id, id);
        out.number(function_name_text, index(one.name));
        out.number(function_system_name, index(one.system_name));
        out.number(function_file, index(one.file));
        return out.out();
    }

    wire::writer file_;
    std::unordered_map<std::string, std::uint64_t> strings_;
    std::vector<std::string> table_;
};

}  // namespace

std::string encode_pprof(const profile& from) {
    return gzip(encoder().encode(from));
}

}  // namespace nmircu::command
