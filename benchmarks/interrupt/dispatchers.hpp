// SPDX-License-Identifier: MIT
//
// Ways to run a handler at a signal, ours and other people's, behind a signal each, so that they
// can all be there at once. The handler's work is a count of the thread's own: what threads share
// is the dispatchers' business, and measured.
#pragma once

#include <csignal>
#include <cstdint>
#include <string>

namespace bench {

struct dispatcher {
    std::string name;
    int signal;
};

// raw: the work is the signal handler, which cannot be replaced safely: what the kernel leaves.
// profile_handler: that of gperftools' libprofiler, a list under one spinlock.
// global_rwlock: a list under one pthread_rwlock, read in the signal handler.
extern const dispatcher raw, nmircu, profile_handler, global_rwlock;

// Each of the four has a handler registered from the constructor to the destructor. Nobody else
// raises the signals: gperftools' timer is stopped.
class installed_dispatchers {
  public:
    installed_dispatchers();
    ~installed_dispatchers();
    installed_dispatchers(const installed_dispatchers&) = delete;
    installed_dispatchers& operator=(const installed_dispatchers&) = delete;
};

// Handled before it returns, `count` times; ends the program if one was not handled.
void raise_signals(const dispatcher& who, std::uint64_t count);
// The same without the kernel: the signal's handler is called as the kernel would call it.
void call_signal_handler(const dispatcher& who, std::uint64_t count);

// A second handler, called after the first. `swap` replaces what it does; null: cannot be done
// without missing signals. None of them may be called in two threads at once.
struct registration {
    const dispatcher& of;
    std::string name;
    void (*add)();
    void (*remove)();
    void (*swap)();
};
extern const registration nmircu_registration, profile_handler_registration,
    global_rwlock_registration;
// What sigaction alone can do: another signal handler, under a mutex. It does not wait for those
// who are inside the old one, which may therefore never be freed.
void swap_raw();

[[noreturn]] void give_up(const char* what);

}  // namespace bench
