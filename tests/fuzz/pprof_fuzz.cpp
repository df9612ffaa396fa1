// SPDX-License-Identifier: MIT
//
// Property: whatever a stored profile's bytes are, it is refused in one line, or it can be shown in
// every form, and what is stored of it again is the same profile.
//
// Input: a file of pprof's, compressed or not.
#include <nmi/output/flamegraph.hpp>
#include <nmi/output/folded.hpp>
#include <nmi/output/profile_files.hpp>
#include <nmi/output/speedscope.hpp>
#include <nmi/pprof/pprof.hpp>

#include "input.hpp"

namespace {

using namespace nmircu::command;

void show(const profile& of) {
    profile_table(of, "name", 10, 80);
    speedscope(of, true, "name");
    const stack_counts stacks = stacks_of(of, thread_roots::name_and_id);
    folded(stacks);
    html_page(flamegraph(stacks, {"c", profile_figures(of)}), "t");
    differential_flamegraph(stacks, stacks_of(of, thread_roots::none), {"c", "s"});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string why;
    const std::optional<profile> found =
        decode_pprof({reinterpret_cast<const char*>(data), size}, why);
    fuzz::require(found.has_value() == why.empty(), "a profile, or a reason");
    fuzz::require(why.find('\n') == std::string::npos, "the reason is one line");
    if (!found) return 0;
    show(*found);
    const std::string stored = encode_pprof(*found);
    const std::optional<profile> again = decode_pprof(stored, why);
    fuzz::require(again.has_value(), "what is written can be read");
    fuzz::require(encode_pprof(*again) == stored, "and is the same");
    return 0;
}
