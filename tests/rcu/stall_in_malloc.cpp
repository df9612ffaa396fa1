// SPDX-License-Identifier: MIT
//
// Property: a stall is reported while the reader sits inside malloc and holds its lock. This
// program's malloc has a lock that the reader's handler, which interrupted malloc, keeps for as
// long as it spins; an allocation anywhere in the report would wait for it for ever.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <thread>

#include <nmircu/nmi.hpp>

extern "C" void* __libc_malloc(std::size_t);
extern "C" void* __libc_calloc(std::size_t, std::size_t);
extern "C" void* __libc_realloc(void*, std::size_t);
extern "C" void __libc_free(void*);

namespace {

std::atomic<bool> locked{false};
std::atomic<bool> may_leave{false}, inside{false};
thread_local bool is_reader __attribute__((tls_model("initial-exec"))) = false;

class allocator_lock {
  public:
    allocator_lock() {
        while (locked.exchange(true, std::memory_order_acquire)) {
        }
        if (is_reader) nmircu::nmi_raise_self();
    }
    ~allocator_lock() { locked.store(false, std::memory_order_release); }
};

int park(void*, nmircu::pt_regs*, int) {
    inside.store(true, std::memory_order_release);
    while (!may_leave.load(std::memory_order_acquire)) {
    }
    return 1;
}

}  // namespace

extern "C" {
void* malloc(std::size_t bytes) {
    allocator_lock held;
    return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
    allocator_lock held;
    return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
    allocator_lock held;
    return __libc_realloc(old, bytes);
}
void free(void* old) {
    allocator_lock held;
    __libc_free(old);
}
}

int main() {
    nmircu::rcu_set_stall_limit(50);
    if (nmircu::nmi_attach() != 0) return 1;
    nmircu::nmi_handler handler;
    if (handler.add(nmircu::nmi_type::local, "parked", park, nullptr) != nmircu::nmi_error::none) {
        return 1;
    }
    int pipes[2];
    if (pipe(pipes) != 0) return 1;
    dup2(pipes[1], STDERR_FILENO);

    // Both exist before malloc is locked.
    std::atomic<bool> go{false};
    std::thread updater([&] {
        while (!inside.load(std::memory_order_acquire)) {
        }
        nmircu::rcu_synchronize();
    });
    std::thread reader([&] {
        while (!go.load(std::memory_order_acquire)) {
        }
        is_reader = true;
        void* volatile memory = malloc(10);
        is_reader = false;
        free(memory);
    });
    go.store(true, std::memory_order_release);

    char text[2048];
    const ssize_t length = read(pipes[0], text, sizeof(text) - 1);
    text[length > 0 ? length : 0] = '\0';
    may_leave.store(true, std::memory_order_release);
    reader.join();
    updater.join();
    std::printf("%s", text);
    return std::strstr(text, "in handler \"parked\"") != nullptr ? 0 : 1;
}
