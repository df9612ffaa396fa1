// SPDX-License-Identifier: MIT
//
// Unwinds copied slices of stacks by the unwinding tables of the objects they ran in: for
// --call-graph dwarf. Nothing of the target is trusted: every walk ends, reads nothing but the
// slice and the tables, and says how it ended. Thread context.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nmi/profile/memory_map.hpp>
#include <nmi/profile/stack_unwinder.hpp>
#include <nmi/unwind/expression.hpp>
#include <nmi/unwind/frame_table.hpp>
#include <nmi/unwind/stack_slice.hpp>

namespace nmircu::command {

enum class walk_end : std::uint8_t {
    outermost,         // the tables say that nobody called
    limit,             // most_frames
    beyond_slice,      // the next frame is not in the slice
    no_code,           // what should be a return address lies in no code
    no_rules,          // code without unwinding tables and without frame pointer
    bad_rules,         // tables that make no sense
    unknown_register,  // a register was needed that a callee has not saved
    no_progress,       // the caller's frame would not lie above its callee's
};
inline constexpr std::size_t walk_ends = 8;
const char* name_of(walk_end end);

class slice_unwinder : public stack_unwinder {
  public:
    static constexpr std::size_t most_frames = 1024;

    // Appends places in code as the profiler's records have them: the interrupted instruction, then
    // return addresses, innermost first. Of a frame that a signal interrupted, it is the address
    // after the interrupted one, so that in every frame but the first the one before counts.
    unwinding unwind(const stack_sample& sample, const memory_map& map,
                     std::vector<std::uint64_t>& addresses) override;
    // The same of what needs not have come from a profiler.
    walk_end unwind(const stack_slice& slice, const memory_map& map,
                    std::vector<std::uint64_t>& addresses);

    [[nodiscard]] std::uint64_t ended(walk_end end) const {
        return ends_[static_cast<std::size_t>(end)];
    }
    // "12 no unwinding tables, 3 ..."; what is neither outermost, limit nor beyond_slice. Empty if
    // there is none.
    [[nodiscard]] std::string failures() const;

  private:
    walk_end walk(const stack_slice& slice, const memory_map& map,
                  std::vector<std::uint64_t>& addresses);
    frame_table& table(const memory_map& map, std::uint32_t object);

    std::vector<std::unique_ptr<frame_table>> tables_;  // by object
    std::array<std::uint64_t, walk_ends> ends_{};
};

}  // namespace nmircu::command
