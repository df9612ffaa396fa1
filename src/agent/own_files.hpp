// SPDX-License-Identifier: MIT
//
// A table of descriptors for the agent alone. The control thread, and nobody else, leaves the
// process's table for one of its own. So the program finds the numbers it would find without us,
// cannot close what is ours, and hands none of it to a child; and we keep none of its pipes open.
//
// The price: what the control thread opens is of no use to another thread. Whatever needs a
// descriptor (sockets, perf events, /proc, dlopen) runs on the control thread; a module's own
// functions run elsewhere, because a handler must be able to use what its init opened.
//
// Where the system call is refused, the descriptors stay in the common table, moved to high
// numbers.
#pragma once

namespace nmircu::agent {

enum class file_table : unsigned char { own, shared };

// On the control thread, once, first. Everything is closed in its table but `keep` (-1: nothing).
file_table leave_shared_files(int keep);

// A new descriptor of ours: where it may stay, with close-on-exec. The old number is gone.
int adopt_file(int fd);

// In the child of a fork: closes what a shared table has left there. Async-signal-safe.
void close_inherited_files();
// Closes a descriptor that adopt_file returned.
void close_own_file(int fd);

}  // namespace nmircu::agent
