// SPDX-License-Identifier: MIT
//
// A program's own do_nmi behind the NMI vector, and the counts as it sees them. nmi_set_entry:
// thread context; blocks. The rest: any context.
#include "interrupt/entry.hpp"

#include "platform/lock.hpp"
#include "rcu/engine.hpp"

namespace nmircu {

namespace interrupt {

constinit std::atomic<std::remove_pointer_t<nmi_entry_t>*> current_entry{nullptr};

namespace {

// All of it under the lock.
struct entry_update {
    platform::lock updating;
    bool counts_are_shared;
};
constinit entry_update update{};

// What a CPU that does not exist has taken: nothing, unless the program counts there by mistake.
nmi_row no_cpu;

count_words& words_of(int cpu) noexcept {
    return cpu >= 0 && unsigned(cpu) < detail::max_cpus ? nmi_rows[cpu].taken : no_cpu.taken;
}

// Nobody adds to plain words any more. Looks before it writes, so that rows of idle CPUs stay
// untouched pages.
void move_to_shared(count_words& words) noexcept {
    // Relaxed: a grace period has passed since the last addition.
    const std::uint64_t plain = __atomic_load_n(&words.plain, __ATOMIC_RELAXED);
    if (plain == 0) return;
    words.add_shared(plain);
    __atomic_store_n(&words.plain, 0, __ATOMIC_RELAXED);  // as above
}

// A program increments a count with an atomic instruction, which the plain addition of a
// restartable sequence would undo if both met in one word.
void share_counts_locked() noexcept {
    if (update.counts_are_shared) return;
    rcu_assign_pointer(current_entry, take_counted);
    rcu_synchronize();
    for (unsigned cpu = 0; cpu < platform::port::possible_cpus(); ++cpu)
        move_to_shared(nmi_rows[cpu].taken);
    update.counts_are_shared = true;
}

}  // namespace

void entry_forked() noexcept {
    update.updating.reset();
}

}  // namespace interrupt

int nmi_set_entry(nmi_entry_t program) noexcept {
    rcu::require_outside_sections(platform::this_reader(), "nmi_set_entry",
                                  __builtin_return_address(0),
                                  "Set the entry in a thread, outside any section");
    if (program != nullptr) {
        if (const int error = nmi_attach(); error != 0) return error;
    }
    platform::lock_guard guard(interrupt::update.updating);
    interrupt::share_counts_locked();
    rcu_assign_pointer(interrupt::current_entry,
                       program != nullptr ? program : interrupt::take_counted);
    rcu_synchronize();
    return 0;
}

std::uint64_t nmi_count(int cpu) noexcept {
    return interrupt::words_of(cpu).read();
}

std::uint64_t& detail::nmi_count_word(int cpu) noexcept {
    return interrupt::words_of(cpu).shared;
}

}  // namespace nmircu
