// SPDX-License-Identifier: MIT
//
// Property: a normal end of the program runs outstanding deleters, once each; static destructors
// may still read, retire and synchronize; nothing hangs.
//
//   retire_exit backlog|statics|parked|section|deleter|threads
//
// The CTest registration says what each must print. Deleters print with write(2), because they run
// when stdio may be gone.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include <nmircu/rcu.hpp>

namespace {

std::atomic<int> deleted{0};

struct object : nmircu::rcu_obj_base<object> {
    ~object() { deleted.fetch_add(1, std::memory_order_relaxed); }
};

void say(const char* what, int number) {
    char line[100];
    const int length = std::snprintf(line, sizeof(line), "%s %d\n", what, number);
    if (write(STDOUT_FILENO, line, std::size_t(length)) != length) _exit(3);
}

// Constructed before anything is retired: so destroyed after the outstanding deleters have run.
struct early_static {
    ~early_static() { say("early static destroyed, deleted", deleted.load()); }
} early;

// Retires, reads and synchronizes in its destructor, which runs after the library's last word.
struct retiring_static {
    bool active = false;
    ~retiring_static() {
        if (!active) return;
        (new object)->retire();
        say("reclaimed at once", deleted.load());
        {
            std::scoped_lock section(nmircu::rcu_default_domain());
            (new object)->retire();
        }
        nmircu::rcu_synchronize();
        nmircu::rcu_barrier();
        say("after the barrier", deleted.load());
    }
} retiring;

void retire_many() {
    std::scoped_lock section(nmircu::rcu_default_domain());
    for (int i = 0; i < 1000; ++i)
        (new object)->retire();
}

// Whether the program ends outside all sections, so that a grace period may be waited for.
std::atomic<bool> quiet{true};

[[gnu::destructor(101)]] void after_everything() {
    (new object)->retire();
    if (quiet.load()) nmircu::rcu_synchronize();
}

void end_with_another_thread_inside_a_section() {
    std::atomic<bool> inside{false};
    std::thread([&] {
        nmircu::rcu_default_domain().lock();
        inside.store(true);
        for (;;)
            pause();
    }).detach();
    while (!inside.load())
        std::this_thread::yield();
    quiet.store(false);
    retire_many();
    std::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    const char* const mode = argc > 1 ? argv[1] : "";
    if (std::strcmp(mode, "backlog") == 0) {
        retire_many();
    } else if (std::strcmp(mode, "statics") == 0) {
        retiring.active = true;
        retire_many();
    } else if (std::strcmp(mode, "parked") == 0) {
        end_with_another_thread_inside_a_section();
    } else if (std::strcmp(mode, "section") == 0) {
        retire_many();
        nmircu::rcu_barrier();
        quiet.store(false);
        nmircu::rcu_default_domain().lock();
        (new object)->retire();
        std::exit(0);
    } else if (std::strcmp(mode, "deleter") == 0) {
        // Links of a chain, each retired by the deletion of the one before.
        struct chained : nmircu::rcu_obj_base<chained> {
            explicit chained(int left) : rest(left) {}
            ~chained() {
                deleted.fetch_add(1);
                if (rest > 0) (new chained(rest - 1))->retire();
            }
            int rest;
        };
        (new chained(999))->retire();
    } else if (std::strcmp(mode, "threads") == 0) {
        // Detached threads go on retiring while the program ends.
        for (int i = 0; i < 3; ++i) {
            std::thread([] {
                for (;;)
                    (new object)->retire();
            }).detach();
        }
        while (deleted.load() == 0)
            std::this_thread::yield();
    } else {
        return 2;
    }
    return 0;
}
