// SPDX-License-Identifier: MIT
//
// Children that are recorded with their parent. The recorder listens on a socket of its own; a
// followed process knows the path: from the environment, which programs hand on to what they
// execute, or from memory, if it is a fork. Its agent connects there and is then asked as any
// other. Where nobody listens any more, there is no agent in the child and nothing follows its
// children.
#pragma once

namespace nmircu::agent {

// Where to connect from now on; null or empty: nobody follows. Too long a path counts as none.
// Context: thread, one at a time.
void follow(const char* path) noexcept;

// Context: thread; async-signal-safe.
bool follows() noexcept;

// A connected, non-blocking socket to the recorder; -1: nobody is there, or somebody of another
// user. Waits a second at most. Control thread.
int connect_to_recorder() noexcept;

}  // namespace nmircu::agent
