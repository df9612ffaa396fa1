// SPDX-License-Identifier: MIT
//
// Profiles as pprof's files: github.com/google/pprof, proto/profile.proto, compressed with gzip.
// Ours have both a mapping with its build-id and names for every location, the labels `thread` and
// `thread_id`, and in the comments what was lost. Thread context.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nmi/profile/profile.hpp>

namespace nmircu::command {

// The whole file. Equal profiles give equal files.
std::string encode_pprof(const profile& from);

// Any valid profile, compressed or not. Nothing if it is none: `why` says what is wrong, in words
// that go on after "it is no profile: ". Whatever the bytes are, this ends; more than 128 MiB once
// uncompressed are refused.
std::optional<profile> decode_pprof(std::string_view bytes, std::string& why);

namespace pprof_field {

// Numbers of the fields in profile.proto.
enum in_profile : unsigned {
    value_types = 1,
    samples = 2,
    mappings = 3,
    locations = 4,
    functions = 5,
    strings = 6,
    time = 9,
    duration = 10,
    period_type = 11,
    period = 12,
    comments = 13,
    default_value_type = 14,
};
enum in_value_type : unsigned { value_type = 1, value_unit = 2 };
enum in_sample : unsigned { sample_locations = 1, sample_values = 2, sample_labels = 3 };
enum in_label : unsigned { label_key = 1, label_text = 2, label_number = 3 };
enum in_mapping : unsigned {
    mapping_id = 1,
    mapping_begin = 2,
    mapping_end = 3,
    mapping_offset = 4,
    mapping_file = 5,
    mapping_build_id = 6,
    mapping_has_functions = 7,
    mapping_has_files = 8,
    mapping_has_lines = 9,
};
enum in_location : unsigned {
    location_id = 1,
    location_mapping = 2,
    location_address = 3,
    location_lines = 4,
};
enum in_line : unsigned { line_function = 1, line_number = 2 };
enum in_function : unsigned {
    function_id = 1,
    function_name_text = 2,
    function_system_name = 3,
    function_file = 4,
};

}  // namespace pprof_field

}  // namespace nmircu::command
