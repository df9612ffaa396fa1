// SPDX-License-Identifier: MIT
//
// Names of threads, by the threads; see thread_name.hpp. Context: nmi.
#include <agent/thread_name.hpp>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <bit>

#include <nmircu/module.h>
#include <nmircu/nmi.hpp>

#include <agent/host.hpp>

namespace nmircu::agent {
namespace {

constexpr std::uint32_t last_due = 1024;

// Relaxed: a thread that sees a change late tells its name a sample later.
constinit std::atomic<std::uint32_t> epoch{1};

// Of this thread. Zero-initialised and initial-exec: touching it in a thread's first instant
// allocates nothing. A nested interrupt counts too, and may tell twice.
struct told {
    std::uint32_t epoch;
    std::uint32_t samples;
};
constinit thread_local told told_here __attribute__((tls_model("initial-exec"))){};

void record(std::uint32_t flags) noexcept {
    const auto cpu = static_cast<std::uint32_t>(smp_processor_id());
    auto* const out = static_cast<nmi_thread_name*>(
        rings().reserve(cpu, NMI_RECORD_THREAD_NAME, sizeof(nmi_thread_name)));
    if (out == nullptr) return;
    out->time_ns = host_table().now_ns();
    out->thread_id = host_table().thread_id();
    out->flags = flags;
    // Not libc's, which is a call through a table the loader may still have to fill.
    ::syscall(SYS_prctl, PR_GET_NAME, out->name);
    out->name[sizeof out->name - 1] = '\0';
    ring::writer::commit(out);
}

}  // namespace

void record_thread_name() noexcept {
    told& here = told_here;
    const std::uint32_t now = epoch.load(std::memory_order_relaxed);  // see its declaration
    if (here.epoch != now) here = {now, 0};
    if (here.samples >= last_due) return;
    if (std::has_single_bit(++here.samples)) record(here.samples == 1 ? NMI_THREAD_FIRST : 0);
}

void forget_told_names() noexcept {
    epoch.fetch_add(1, std::memory_order_relaxed);  // see its declaration
}

}  // namespace nmircu::agent
