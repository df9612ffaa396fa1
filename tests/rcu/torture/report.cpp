// SPDX-License-Identifier: MIT
//
// The tally, for people.
#include "report.hpp"

#include <unistd.h>

#include <cinttypes>
#include <cstdio>

#include <nmircu/rcu.hpp>

#include "tally.hpp"

namespace torture {

namespace {

// Sections entered on the two paths: to know that the slow one was not taken for the fast one.
struct sections {
    std::uint64_t per_cpu, shared;
};
sections count_sections() {
    const auto& domain = nmircu::detail::default_domain;
    sections sum = {0, 0};
    for (unsigned phase = 0; phase < 2; ++phase) {
        // Relaxed: for people.
        sum.shared += domain.shared.enter[phase].load(std::memory_order_relaxed);
        for (const auto& slot : domain.cpu)
            sum.per_cpu += slot.enter[phase].load(std::memory_order_relaxed);
    }
    return sum;
}

// No reads of a kind, or no grace period of an updater: what is missing, or null.
const char* missing(const options& want) {
    for (unsigned kind = 0; kind < reader_kinds; ++kind) {
        if (want.kinds[kind] && reads_of(tally.pipe(reader(kind))) == 0) return readers[kind].name;
    }
    for (unsigned kind = 0; kind < updater_kinds; ++kind) {
        if (want.updaters[kind] && tally.grace_periods(updater(kind)) == 0) {
            return updaters[kind].name;
        }
    }
    if (want.kinds[slow] && count_sections().shared == 0) return "the slow path";
    if (want.forks && tally.children() == 0) return "forks";
    // The only reads that a missing grace period could have spoilt.
    if (tally.pipe()[oldest_allowed] == 0) return "a read that an update overtook";
    return nullptr;
}

void print_histogram(const char* name, const histogram& counts) {
    std::printf("%s", name);
    for (const std::uint64_t count : counts)
        std::printf(" %" PRIu64, count);
    std::printf("\n");
}

void print_readers(const options& want) {
    std::printf("%-10s %14s %14s %14s\n", "readers", "reads", "overtaken", "failures");
    for (unsigned kind = 0; kind < reader_kinds; ++kind) {
        const histogram ages = tally.pipe(reader(kind));
        if (!want.kinds[kind] && reads_of(ages) == 0) continue;
        std::printf("%-10s %14" PRIu64 " %14" PRIu64 " %14" PRIu64 "\n", readers[kind].name,
                    reads_of(ages), ages[oldest_allowed], failures_of(ages));
    }
}

void print_updaters(const options& want) {
    std::printf("%-10s %14s\n", "updaters", "grace periods");
    for (unsigned kind = 0; kind < updater_kinds; ++kind) {
        if (!want.updaters[kind]) continue;
        std::printf("%-10s %14" PRIu64 "\n", updaters[kind].name,
                    tally.grace_periods(updater(kind)));
    }
}

}  // namespace

bool everything_happened(const options& want) {
    return missing(want) == nullptr;
}

void print_header(const options& want) {
    std::printf("rcu_torture: %s\n", describe(want).c_str());
    std::fflush(stdout);
}

void print_status(double seconds) {
    if (isatty(STDOUT_FILENO) == 0) return;
    std::uint64_t grace_periods = 0;
    for (unsigned kind = 0; kind < updater_kinds; ++kind)
        grace_periods += tally.grace_periods(updater(kind));
    const histogram ages = tally.pipe();
    std::printf("%6.0f s: %" PRIu64 " reads, %" PRIu64 " overtaken, %" PRIu64 " failures; %" PRIu64
                " grace periods\n",
                seconds, reads_of(ages), ages[oldest_allowed], failures_of(ages), grace_periods);
}

int print_verdict(const options& want, double seconds) {
    const auto library = nmircu::rcu_read_statistics();
    print_readers(want);
    print_updaters(want);
    if (want.forks) {
        std::printf("children: %" PRIu64 ", of which failed: %" PRIu64 "\n", tally.children(),
                    tally.bad_children());
    }
    if (tally.early_barriers() != 0) {
        std::printf("barriers that returned too early: %" PRIu64 "\n", tally.early_barriers());
    }
    std::printf("library: %" PRIu64 " grace periods, %" PRIu64 " calls shared one; %" PRIu64
                " retired, at most %" PRIu64 " waited; longest %" PRIu64 " us; %.1f s\n",
                library.grace_periods, library.shared, library.retired, library.backlog_peak,
                library.longest_ns / 1000, seconds);
    const sections entered = count_sections();
    std::printf("sections: %" PRIu64 " per CPU, %" PRIu64 " in the shared slot\n", entered.per_cpu,
                entered.shared);
    print_histogram("Reader Pipe: ", tally.pipe());
    print_histogram("Reader Batch:", tally.batch());
    if (tally.failed()) {
        std::printf("rcu_torture: FAILURE\n");
        return failure;
    }
    if (const char* const what = missing(want)) {
        std::printf("rcu_torture: NOTHING TESTED: %s\n", what);
        return nothing_tested;
    }
    std::printf("rcu_torture: SUCCESS\n");
    return success;
}

}  // namespace torture
