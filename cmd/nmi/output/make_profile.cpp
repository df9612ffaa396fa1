// SPDX-License-Identifier: MIT
//
// Places into locations, names into functions; see make_profile.hpp.
#include <nmi/output/make_profile.hpp>

#include <fcntl.h>

#include <map>
#include <span>

#include <fmt/format.h>
#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {
namespace {

// The inner end of a stack, as far as each outer frame is a place that code can call from. Places
// outermost first.
std::span<const code_place> believable(std::span<const code_place> places, symbolizer& names) {
    for (std::size_t at = places.size() - 1; at-- > 0;) {
        if (!names.is_call(places[at])) return places.subspan(at + 1);
    }
    return places;
}

std::string build_id_of(const mapped_object& object) {
    if (!object.file) return {};
    const std::unique_ptr<elf_file> file =
        elf_file::open(unique_fd(fcntl(object.file.get(), F_DUPFD_CLOEXEC, 0)));
    return file == nullptr ? "" : file->build_id();
}

class maker {
  public:
    maker(const recorder& seen, symbolizer& names)
        : seen_(seen), names_(names), ranges_(seen.map().ranges()) {}

    profile make(const recording_facts& facts) {
        out_.value_types = {{"samples", "count"}};
        if (facts.rate_hz != 0) {
            out_.value_types.push_back({facts.time, "nanoseconds"});
            out_.period_type = {facts.time, "nanoseconds"};
            out_.period = static_cast<std::int64_t>(1'000'000'000 / facts.rate_hz);
            out_.default_value_type = 1;  // as pprof expects it
        }
        out_.time_ns = facts.begin_ns;
        out_.duration_ns = static_cast<std::int64_t>(facts.seconds * 1e9);
        out_.comments = loss_comments(facts.lost);
        out_.comments.insert(out_.comments.begin(), command_comment(facts.command));
        seen_.calls().for_each_stack(
            [this](std::uint32_t thread, std::span<const code_place> places,
                   std::uint64_t samples) { add(thread, places, samples); });
        return std::move(out_);
    }

  private:
    void add(std::uint32_t thread, std::span<const code_place> places, std::uint64_t samples) {
        profile_sample one;
        if (!seen_.is_unwound()) places = believable(places, names_);
        for (auto place = places.rbegin(); place != places.rend(); ++place)
            one.locations.push_back(location_of(*place));
        one.values.push_back(static_cast<std::int64_t>(samples));
        if (out_.period != 0) {
            one.values.push_back(static_cast<std::int64_t>(samples) * out_.period);
        }
        one.thread = seen_.threads().name(thread);
        one.thread_id = seen_.threads().thread_id(thread);
        out_.samples.push_back(std::move(one));
    }

    std::uint32_t location_of(const code_place& place) {
        const auto [at, is_new] =
            locations_.try_emplace(place, static_cast<std::uint32_t>(out_.locations.size()));
        if (!is_new) return at->second;
        profile_location made;
        made.address = place.file_offset;
        if (place.object != code_place::no_object) place_in_program(place, made);
        // The function whose code it is has the name it has without debug information, too.
        const std::vector<line_in_source>& lines = names_.lines(place);
        for (const line_in_source& line : lines) {
            const std::string& name =
                &line == &lines.back() ? names_.name(place).function : line.function;
            made.lines.push_back({function_of({name, name, line.file}), line.line});
        }
        out_.locations.push_back(std::move(made));
        return at->second;
    }

    // Its address, and which mapping that is in. Where the object was mapped several times, the
    // first will do: the place in the file is the same.
    void place_in_program(const code_place& place, profile_location& made) {
        for (const memory_map::known_range& range : ranges_) {
            if (range.object != place.object || place.file_offset < range.file_offset ||
                place.file_offset - range.file_offset >= range.end - range.begin) {
                continue;
            }
            made.address = range.begin + (place.file_offset - range.file_offset);
            made.mapping = mapping_of(range);
            return;
        }
        // It is gone, and something else has its addresses.
        made.mapping = mapping_of({0, 0, place.object, 0});
    }

    std::uint32_t mapping_of(const memory_map::known_range& range) {
        const auto [at, is_new] = mappings_.try_emplace(
            {range.object, range.begin}, static_cast<std::uint32_t>(out_.mappings.size()));
        if (!is_new) return at->second;
        const mapped_object& object = seen_.map().objects()[range.object];
        out_.mappings.push_back(
            {range.begin, range.end, range.file_offset, object.path, build_id_of(object)});
        return at->second;
    }

    std::uint32_t function_of(const profile_function& function) {
        const auto [at, is_new] =
            functions_.try_emplace(function, static_cast<std::uint32_t>(out_.functions.size()));
        if (is_new) out_.functions.push_back(function);
        return at->second;
    }

    const recorder& seen_;
    symbolizer& names_;
    const std::vector<memory_map::known_range> ranges_;
    profile out_;
    std::map<code_place, std::uint32_t> locations_;
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> mappings_;
    std::map<profile_function, std::uint32_t> functions_;
};

}  // namespace

profile make_profile(const recorder& seen, symbolizer& names, const recording_facts& facts) {
    return maker(seen, names).make(facts);
}

}  // namespace nmircu::command
