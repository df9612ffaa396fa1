// SPDX-License-Identifier: MIT
//
// What every consumer of the installed package builds: a handler that reads published data is hit
// once and removed, and the data is replaced under a reader's feet. Exit status 0 if all of it
// holds.
#include <atomic>
#include <mutex>
#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

namespace {

std::atomic<const int*> published{nullptr};
std::atomic<int> seen{0};

int handle(void* cookie, nmircu::pt_regs*, int) {
    const int* value = nmircu::rcu_dereference(published);
    static_cast<std::atomic<int>*>(cookie)->store(*value, std::memory_order_relaxed);
    return 1;
}

void replace(const int* next) {
    const int* old = published.load(std::memory_order_relaxed);
    nmircu::rcu_assign_pointer(published, next);
    nmircu::rcu_synchronize();
    delete old;
}

}  // namespace

int main() {
    replace(new int{6});
    replace(new int{7});
    {
        std::scoped_lock section(nmircu::rcu_default_domain());
        if (*nmircu::rcu_dereference(published) != 7) return 1;
    }
    if (nmircu::nmi_attach() != 0) return 2;
    nmircu::nmi_handler handler;
    if (handler.add(nmircu::nmi_type::local, "consumer", handle, &seen) !=
        nmircu::nmi_error::none) {
        return 3;
    }
    if (nmircu::nmi_raise_self() != 0) return 4;
    if (handler.remove() != nmircu::nmi_error::none) return 5;
    replace(nullptr);
    return seen.load(std::memory_order_relaxed) == 7 ? 0 : 6;
}
