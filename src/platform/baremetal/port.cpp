// SPDX-License-Identifier: MIT
//
// What is left of the port: the barrier, the CPUs, and where lines of text go. Any context.
#include <nmircu/platform/port.hpp>

#include "platform/baremetal/console.hpp"
#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/panic.hpp"

namespace nmircu::baremetal {

constinit cpu_area cpu_areas[platform::max_cpus]{};
constinit unsigned cpu_count = 1;

}  // namespace nmircu::baremetal

namespace nmircu::platform {

void port::barrier_everyone() noexcept {
    // [BM-3] seq_cst fence: what the updater did before precedes what it looks at next. Every count
    // of every reader is a full barrier too, so of an updater and a reader one sees the other
    // (store buffering); and so is every push of a retired object, a locked exchange.
    // Partners: [BM-1] and [BM-2], nmircu/platform/reader.hpp. Weakened: as there.
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

unsigned port::possible_cpus() noexcept {
    return baremetal::cpu_count;
}

void port::report(const char* text) noexcept {
    baremetal::print_line(text);
}

void port::panic(const char* text) noexcept {
    baremetal::panic(text);
}

}  // namespace nmircu::platform
