// SPDX-License-Identifier: MIT
//
// Who finds the callers in a copied slice of a stack. The recorder hands it every stack sample as
// it is read. Thread context; may read files, and allocate.
#pragma once

#include <cstdint>
#include <vector>

#include <nmi/profile/memory_map.hpp>
#include <nmi/profile/sample.hpp>

namespace nmircu::command {

// whole: up to the outermost frame. cut: the stack goes on behind the slice, or the limit of frames
// was reached. failed: there is no call frame information for some frame, or it makes no sense.
enum class unwinding : std::uint8_t { whole, cut, failed };

class stack_unwinder {
  public:
    virtual ~stack_unwinder() = default;

    // Writes to `addresses` what a sample holds: the interrupted instruction, then return
    // addresses, innermost first; however it ends, at least the first, and all that were found.
    // `sample` is not to be trusted. `map` knows what is mapped where; it is as recent as a look at
    // /proc when the interrupted instruction was in none of what it knew.
    virtual unwinding unwind(const stack_sample& sample, const memory_map& map,
                             std::vector<std::uint64_t>& addresses) = 0;
};

}  // namespace nmircu::command
