// SPDX-License-Identifier: MIT
//
// Property: whatever a program's /proc/PID/maps looks like (paths are the program's own choice), it
// is read: every mapping has its begin before its end, an address is found where the last text put
// it, and nothing that was known of other addresses is lost.
//
// Input: texts of maps, one after the other, separated by NUL.
#include <nmi/profile/memory_map.hpp>

#include "input.hpp"

namespace {

using namespace nmircu::command;

// Of an earlier line there may be nothing left, so only the last one of each text is looked up.
void check(const memory_map& map, const std::string& text) {
    const std::vector<mapping> lines = parse_maps(text);
    for (const mapping& line : lines)
        fuzz::require(line.begin < line.end, "a mapping is not empty");
    if (lines.empty()) return;
    const mapping& last = lines.back();
    for (const std::uint64_t address :
         {last.begin, last.begin + (last.end - last.begin) / 2, last.end - 1}) {
        const code_place place = map.find(address);
        fuzz::require(place.object < map.objects().size(), "an address is in its mapping");
        fuzz::require(map.objects()[place.object].path == last.path, "a mapping has its path");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    memory_map map(0x7fffffff);  // no such process: nothing is opened
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t end = std::min(bytes.find('\0', at), bytes.size());
        const std::string text = bytes.substr(at, end - at);
        map.update(text);
        check(map, text);
        at = end + 1;
    }
    return 0;
}
