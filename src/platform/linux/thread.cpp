// SPDX-License-Identifier: MIT
//
// The engine's own thread, and its last word at the end of the program.
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include <nmircu/platform/port.hpp>

#include "platform/linux/libc_signals.hpp"
#include "platform/linux/signal_tag.hpp"

namespace nmircu::platform {

namespace {

// Deleters are the program's code: room for more than our own, of which only touched pages count.
constexpr std::size_t stack_bytes = std::size_t{1} << 20;

struct attributes {
    pthread_attr_t value;
    bool usable;

    attributes() noexcept : usable(pthread_attr_init(&value) == 0) {
        if (!usable) return;
        pthread_attr_setdetachstate(&value, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&value, stack_bytes);
    }
    ~attributes() {
        if (usable) pthread_attr_destroy(&value);
    }
    attributes(const attributes&) = delete;
    attributes& operator=(const attributes&) = delete;
};

struct beginning {
    void (*function)();
    sem_t begun;  // which race checkers understand
};

void* run(void* argument) {
    beginning& mine = *static_cast<beginning*>(argument);
    void (*const function)() = mine.function;
    sem_post(&mine.begun);
    function();
    return nullptr;
}

// Until the thread is past its own beginning, in which libraries allocate: AddressSanitizer's
// allocator does not keep its locks over a fork, and whoever starts us may fork next. A handler
// that interrupts this may have forked, and in its child nobody begins.
void wait_until_begun(beginning& thread, pid_t process) noexcept {
    int cancel = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    do {
        timespec end;
        clock_gettime(CLOCK_REALTIME, &end);  // race checkers know sem_timedwait, not sem_clockwait
        end.tv_sec += 1;
        if (sem_timedwait(&thread.begun, &end) == 0) break;
    } while (getpid() == process);
    pthread_setcancelstate(cancel, nullptr);
}

// Everything that the program's own handlers might be meant for.
sigset_t signals_of_others() noexcept {
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, perf_signal);
    sigdelset(&set, nmi_signal);
    return set;
}

}  // namespace

bool port::start_thread(void (*function)(), const char* name) noexcept {
    const attributes wanted;
    if (!wanted.usable) return false;
    // A new thread inherits the mask; there is no moment in which a signal could reach it.
    const sigset_t blocked = signals_of_others();
    sigset_t before;
    libc.set_mask(SIG_SETMASK, &blocked, &before);
    beginning shared{function, {}};
    sem_init(&shared.begun, 0, 0);
    const pid_t process = getpid();
    pthread_t thread;
    const bool created = pthread_create(&thread, &wanted.value, run, &shared) == 0;
    if (created) {
        pthread_setname_np(thread, name);
        wait_until_begun(shared, process);
    }
    libc.set_mask(SIG_SETMASK, &before, nullptr);
    return created;
}

void port::at_exit(void (*function)()) noexcept {
    // If it fails, what is retired late stays unreclaimed in a program that ends anyway.
    static_cast<void>(std::atexit(function));
}

}  // namespace nmircu::platform
