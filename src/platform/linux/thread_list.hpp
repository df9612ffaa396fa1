// SPDX-License-Identifier: MIT
//
// Which threads this process has and which signals they block, as /proc tells it. A picture of a
// moment: threads come and go meanwhile. Context: thread; allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace nmircu::platform {

// Every thread that existed during the whole call, and perhaps some that did not; ascending.
// Empty: /proc/self/task cannot be read.
std::vector<int> list_threads();

// From now on no list shows this thread. For a handful of threads that belong to the one who asks
// and not to the program. One that ends is to be shown before, for its number is given out again.
void hide_thread(int thread_id);
void show_thread(int thread_id);
std::vector<int> hidden_threads();

// Bit (signo - 1) is set if `thread_id` blocks the signal. Empty: no such thread, or no /proc.
std::optional<std::uint64_t> blocked_signals(int thread_id);

}  // namespace nmircu::platform
