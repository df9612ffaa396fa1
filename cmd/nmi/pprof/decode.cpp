// SPDX-License-Identifier: MIT
//
// A profile out of untrusted bytes; see pprof.hpp. Messages refer to each other by id, before or
// after they come, and strings come last: so first everything is read as it stands, then the
// references are looked up.
#include <nmi/pprof/pprof.hpp>

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <nmi/pprof/gzip.hpp>
#include <nmi/pprof/wire.hpp>

namespace nmircu::command {
namespace {

using namespace pprof_field;

constexpr std::size_t most_bytes = std::size_t{128} << 20;

// Caught in decode_pprof.
struct damage {
    std::string why;
};

// Calls `take` for every field of a message.
template <class Take>
void each_field(std::string_view text, const char* what, const Take& take) {
    wire::reader fields(text);
    while (fields.next())
        take(fields);
    if (!fields.good()) throw damage{fmt::format("{} is cut off or damaged", what)};
}

template <class Take>
void each_number(const wire::reader& field, const char* what, const Take& take) {
    if (!field.each_number(take)) throw damage{fmt::format("{} is damaged", what)};
}

class decoder {
  public:
    profile decode(std::string_view text) {
        read(text);
        if (table_.empty() || !table_[0].empty()) {
            throw damage{"its string table does not begin with an empty string"};
        }
        if (value_types_.empty()) throw damage{"it has no sample type"};
        for (const std::string_view one : value_types_)
            out_.value_types.push_back(value_type_of(one));
        for (const std::string_view one : mappings_)
            add_mapping(one);
        for (const std::string_view one : functions_)
            add_function(one);
        for (const std::string_view one : locations_)
            add_location(one);
        for (const std::string_view one : samples_)
            add_sample(one);
        for (const std::uint64_t index : comments_)
            out_.comments.push_back(string(index));
        if (!period_type_.empty()) out_.period_type = value_type_of(period_type_);
        choose_default();
        return std::move(out_);
    }

  private:
    void read(std::string_view text) {
        each_field(text, "the profile", [&](const wire::reader& field) {
            switch (field.field()) {
                case value_types:
                    return message(field, value_types_);
                case samples:
                    return message(field, samples_);
                case mappings:
                    return message(field, mappings_);
                case locations:
                    return message(field, locations_);
                case functions:
                    return message(field, functions_);
                case strings:
                    return message(field, table_);
                case time:
                    out_.time_ns = static_cast<std::int64_t>(field.number());
                    return;
                case duration:
                    out_.duration_ns = static_cast<std::int64_t>(field.number());
                    return;
                case period_type:
                    period_type_ = field.bytes();
                    return;
                case period:
                    out_.period = static_cast<std::int64_t>(field.number());
                    return;
                case comments:
                    return each_number(field, "its comments",
                                       [&](std::uint64_t index) { comments_.push_back(index); });
                case default_value_type:
                    default_name_ = field.number();
                    return;
                default:
                    return;  // of later versions
            }
        });
    }

    static void message(const wire::reader& field, std::vector<std::string_view>& to) {
        if (!field.is_bytes()) throw damage{fmt::format("field {} is a number", field.field())};
        to.push_back(field.bytes());
    }

    // A long string that is referred to often must not become many long strings.
    std::string string(std::uint64_t index) {
        if (index >= table_.size()) throw damage{fmt::format("there is no string {}", index)};
        const std::string_view text = table_[static_cast<std::size_t>(index)];
        if (text.size() > most_bytes - string_bytes_) throw damage{"its strings are too long"};
        string_bytes_ += text.size();
        return std::string(text);
    }

    profile_value_type value_type_of(std::string_view text) {
        profile_value_type made;
        each_field(text, "a sample type", [&](const wire::reader& field) {
            if (field.field() == value_type) made.type = string(field.number());
            if (field.field() == value_unit) made.unit = string(field.number());
        });
        return made;
    }

    using ids = std::unordered_map<std::uint64_t, std::uint32_t>;
    static void know(ids& known, std::uint64_t id, std::size_t index, const char* what) {
        if (id == 0) throw damage{fmt::format("a {} has no id", what)};
        if (!known.emplace(id, static_cast<std::uint32_t>(index)).second) {
            throw damage{fmt::format("two {}s have the id {}", what, id)};
        }
    }
    static std::uint32_t find(const ids& known, std::uint64_t id, const char* what) {
        const auto found = known.find(id);
        if (found == known.end()) throw damage{fmt::format("there is no {} {}", what, id)};
        return found->second;
    }

    void add_mapping(std::string_view text) {
        profile_mapping made;
        std::uint64_t id = 0;
        each_field(text, "a mapping", [&](const wire::reader& field) {
            switch (field.field()) {
                case mapping_id:
                    id = field.number();
                    return;
                case mapping_begin:
                    made.begin = field.number();
                    return;
                case mapping_end:
                    made.end = field.number();
                    return;
                case mapping_offset:
                    made.file_offset = field.number();
                    return;
                case mapping_file:
                    made.file = string(field.number());
                    return;
                case mapping_build_id:
                    made.build_id = string(field.number());
                    return;
                default:
                    return;
            }
        });
        know(mapping_ids_, id, out_.mappings.size(), "mapping");
        out_.mappings.push_back(std::move(made));
    }

    void add_function(std::string_view text) {
        profile_function made;
        std::uint64_t id = 0;
        each_field(text, "a function", [&](const wire::reader& field) {
            switch (field.field()) {
                case function_id:
                    id = field.number();
                    return;
                case function_name_text:
                    made.name = string(field.number());
                    return;
                case function_system_name:
                    made.system_name = string(field.number());
                    return;
                case function_file:
                    made.file = string(field.number());
                    return;
                default:
                    return;
            }
        });
        know(function_ids_, id, out_.functions.size(), "function");
        out_.functions.push_back(std::move(made));
    }

    profile_line line_of(std::string_view text) const {
        profile_line made;
        std::uint64_t function = 0;
        each_field(text, "a line", [&](const wire::reader& field) {
            if (field.field() == line_function) function = field.number();
            if (field.field() == line_number) made.line = static_cast<std::int64_t>(field.number());
        });
        made.function = find(function_ids_, function, "function");
        return made;
    }

    void add_location(std::string_view text) {
        profile_location made;
        std::uint64_t id = 0;
        each_field(text, "a location", [&](const wire::reader& field) {
            switch (field.field()) {
                case location_id:
                    id = field.number();
                    return;
                case location_mapping:
                    if (field.number() == 0) return;
                    made.mapping = find(mapping_ids_, field.number(), "mapping");
                    return;
                case location_address:
                    made.address = field.number();
                    return;
                case location_lines:
                    made.lines.push_back(line_of(field.bytes()));
                    return;
                default:
                    return;
            }
        });
        know(location_ids_, id, out_.locations.size(), "location");
        out_.locations.push_back(std::move(made));
    }

    void add_label(std::string_view text, profile_sample& to) {
        std::string key;
        std::uint64_t index = 0, number = 0;
        each_field(text, "a label", [&](const wire::reader& field) {
            if (field.field() == label_key) key = string(field.number());
            if (field.field() == label_text) index = field.number();
            if (field.field() == label_number) number = field.number();
        });
        if (key == "thread") to.thread = string(index);
        if (key == "thread_id") to.thread_id = static_cast<std::int64_t>(number);
    }

    void add_sample(std::string_view text) {
        profile_sample made;
        each_field(text, "a sample", [&](const wire::reader& field) {
            switch (field.field()) {
                case sample_locations:
                    return each_number(field, "a stack", [&](std::uint64_t id) {
                        made.locations.push_back(find(location_ids_, id, "location"));
                    });
                case sample_values:
                    return each_number(field, "a sample", [&](std::uint64_t value) {
                        made.values.push_back(static_cast<std::int64_t>(value));
                    });
                case sample_labels:
                    return add_label(field.bytes(), made);
                default:
                    return;
            }
        });
        if (made.values.size() != out_.value_types.size()) {
            throw damage{fmt::format("a sample has {} values where {} were promised",
                                     made.values.size(), out_.value_types.size())};
        }
        out_.samples.push_back(std::move(made));
    }

    // As pprof chooses: what the file says, or the last.
    void choose_default() {
        const std::vector<profile_value_type>& types = out_.value_types;
        out_.default_value_type = static_cast<std::uint32_t>(types.size() - 1);
        if (default_name_ == 0) return;
        const std::string name = string(default_name_);
        const auto named = std::find_if(types.begin(), types.end(),
                                        [&](const auto& type) { return type.type == name; });
        if (named == types.end()) throw damage{"its default sample type is none of its types"};
        out_.default_value_type = static_cast<std::uint32_t>(named - types.begin());
    }

    profile out_;
    std::size_t string_bytes_ = 0;
    std::vector<std::string_view> value_types_, samples_, mappings_, locations_, functions_, table_;
    std::string_view period_type_;
    std::vector<std::uint64_t> comments_;
    std::uint64_t default_name_ = 0;
    ids mapping_ids_, function_ids_, location_ids_;
};

}  // namespace

std::optional<profile> decode_pprof(std::string_view bytes, std::string& why) {
    std::string plain;
    if (bytes.empty()) {
        why = "it is empty";
        return std::nullopt;
    }
    if (is_gzip(bytes)) {
        std::optional<std::string> text = gunzip(bytes, most_bytes, why);
        if (!text) return std::nullopt;
        plain = *std::move(text);
        bytes = plain;
    }
    if (bytes.size() > most_bytes) {
        why = "it is too large";
        return std::nullopt;
    }
    try {
        return decoder().decode(bytes);
    } catch (const damage& found) {
        why = found.why;
        return std::nullopt;
    }
}

}  // namespace nmircu::command
