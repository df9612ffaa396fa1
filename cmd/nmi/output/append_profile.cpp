// SPDX-License-Identifier: MIT
//
// Indices moved behind those that are there; see append_profile.hpp.
#include <nmi/output/append_profile.hpp>

#include <charconv>
#include <map>

namespace nmircu::command {
namespace {

// "KEY: NUMBER" of which the number was read; false if it is no such line.
bool read_count(const std::string& comment, std::string& key, std::uint64_t& count) {
    const std::size_t colon = comment.find(": ");
    if (colon == std::string::npos) return false;
    const char* const end = comment.data() + comment.size();
    const auto [stopped, error] = std::from_chars(comment.data() + colon + 2, end, count);
    key = comment.substr(0, colon);
    return error == std::errc() && stopped == end;
}

void add_counts(profile& all, const profile& more) {
    std::map<std::string, std::uint64_t> counts;
    std::string key;
    std::uint64_t count = 0;
    for (const std::string& comment : more.comments) {
        if (read_count(comment, key, count)) counts[key] = count;
    }
    for (std::string& comment : all.comments) {
        if (!read_count(comment, key, count) || counts.count(key) == 0) continue;
        comment = key + ": " + std::to_string(count + counts[key]);
    }
}

std::uint32_t size_of(const auto& list) {
    return static_cast<std::uint32_t>(list.size());
}

}  // namespace

void append_profile(profile& all, const profile& more) {
    if (all.samples.empty() && all.value_types.size() < more.value_types.size()) {
        all.value_types = more.value_types;
        all.period_type = more.period_type;
        all.period = more.period;
        all.default_value_type = more.default_value_type;
    }
    if (all.value_types.size() != more.value_types.size()) return;
    add_counts(all, more);
    const std::uint32_t mappings = size_of(all.mappings);
    const std::uint32_t functions = size_of(all.functions);
    const std::uint32_t locations = size_of(all.locations);
    all.mappings.insert(all.mappings.end(), more.mappings.begin(), more.mappings.end());
    all.functions.insert(all.functions.end(), more.functions.begin(), more.functions.end());
    for (profile_location one : more.locations) {
        if (one.mapping) *one.mapping += mappings;
        for (profile_line& line : one.lines)
            line.function += functions;
        all.locations.push_back(std::move(one));
    }
    for (profile_sample one : more.samples) {
        for (std::uint32_t& location : one.locations)
            location += locations;
        all.samples.push_back(std::move(one));
    }
}

}  // namespace nmircu::command
