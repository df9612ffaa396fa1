// SPDX-License-Identifier: MIT
//
// The readers. What tells the kinds apart is where they are when a grace period would like to end.
#include "readers.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <vector>

#include <nmircu/rcu.hpp>

#include "cpus.hpp"
#include "interrupts.hpp"
#include "structure.hpp"

namespace torture {

namespace {

// Mostly brief, now and then long enough for grace periods to begin beside it.
void linger(dice& chance) {
    const unsigned roll = chance.below(64);
    spin(roll == 0 ? 3000 : roll);
    if (roll == 1 && chance.below(64) == 0) sched_yield();
}

void read_plain(dice& chance) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    const look seen;
    linger(chance);
    seen.done(plain);
}

void read_nested(dice& chance, unsigned depth) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    const look outer;
    linger(chance);
    if (depth > 1) read_nested(chance, depth - 1);
    // Still inside: leaving the inner ones must not have ended this one.
    linger(chance);
    outer.done(nested);
}

void read_asleep(dice& chance) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    const look seen;
    usleep(chance.below(300));
    seen.done(sleeping);
}

void read_elsewhere(dice& chance, const std::vector<unsigned>& cpus) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    const look seen;
    linger(chance);
    move_to(cpus[chance.below(unsigned(cpus.size()))]);
    linger(chance);
    seen.done(migrating);
}

// Threads that read and end. A destructor of thread-specific data runs after those of thread_local
// objects, and again as often as the implementation promises while it asks for more: the last round
// is the last that a program gets to see of its thread.
pthread_key_t last_moment;

// ThreadSanitizer has let go of a thread by then: one round less, and no signals on the way there.
constexpr bool watched = nmircu::detail::under_thread_sanitizer;
constexpr std::intptr_t rounds = PTHREAD_DESTRUCTOR_ITERATIONS - (watched ? 1 : 0);

void read_at_the_end(void* round) {
    {
        std::scoped_lock section(nmircu::rcu_default_domain());
        const look seen;
        spin(300);
        seen.done(dying);
    }
    const auto done = reinterpret_cast<std::intptr_t>(round);
    if (done < rounds) {
        pthread_setspecific(last_moment, reinterpret_cast<void*>(done + 1));
    }
}

void* live_and_die(void*) {
    std::optional<enrolled> place;
    if (!watched) place.emplace();
    pthread_setspecific(last_moment, reinterpret_cast<void*>(std::intptr_t{1}));
    return nullptr;
}

// Joins with every signal blocked if ThreadSanitizer watches. pthread_join gives stacks back, and
// with them memory, to ThreadSanitizer's free, which holds a lock of its own then. Elsewhere it
// keeps a signal that arrives there for later; in a call that may block, as this one, it runs the
// handler at once, on top of its free, and waits for the lock that the same thread holds: for ever,
// and with libc's lock for stacks held. Seen in one run in 47 of rcu_torture.without_rseq, always
// here, in the one call that both joins and is interrupted (clang 14).
void join(pthread_t thread) {
    sigset_t all, before;
    sigfillset(&all);
    if (watched) pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_join(thread, nullptr);
    if (watched) pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void read_dying() {
    pthread_t threads[8];
    unsigned created = 0;
    while (created < 8 && pthread_create(&threads[created], nullptr, live_and_die, nullptr) == 0) {
        ++created;
    }
    for (unsigned i = 0; i < created; ++i)
        join(threads[i]);
}

// The thread's rseq area, as glibc registers it (sysdeps/unix/sysv/linux/rseq-internal.h). Without
// one it counts in the shared slot.
class rseq_switch {
  public:
    // Nothing changes if glibc was told not to register one, or the kernel refuses.
    void flip() noexcept {
        if (__rseq_size == 0) return;
        char* const area = static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset;
        const int flags = registered_ ? RSEQ_FLAG_UNREGISTER : 0;
        if (syscall(SYS_rseq, area, area_bytes, flags, RSEQ_SIG) == 0) registered_ = !registered_;
    }
    ~rseq_switch() {
        if (!registered_) flip();
    }

  private:
    static constexpr unsigned area_bytes = 32;
    bool registered_ = true;
};

void read_slowly(dice& chance, rseq_switch& rseq) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    const look seen;
    linger(chance);
    // Enters on one path and leaves on the other.
    if (chance.below(16) == 0) rseq.flip();
    linger(chance);
    seen.done(slow);
}

// Dirties lines that no cache holds: on a CPU whose stores become visible in order, the count of
// the section that follows waits behind them, in the store buffer, while its loads go ahead. What
// makes it visible in time is the updater's barrier alone.
class cold_memory {
  public:
    void store(dice& chance) noexcept {
        const unsigned first = chance.below(lines);
        for (unsigned i = 0; i < stores; ++i) {
            // A stride that no prefetcher guesses.
            lines_[(first + i * 40'503u) % lines].word = i;
        }
        asm volatile("" ::: "memory");
    }

  private:
    static constexpr unsigned lines = 1u << 20, stores = 48;
    struct alignas(64) line {
        std::uint64_t word;
    };
    std::vector<line> lines_ = std::vector<line>(lines);
};

void read_buffered(dice& chance, cold_memory& memory) {
    memory.store(chance);
    std::scoped_lock section(nmircu::rcu_default_domain());
    const look seen;
    spin(20 + chance.below(40));
    seen.done(buffered);
}

// Enters in a phase that may be over: what happens to a reader that is preempted between its first
// two steps, and what the wait for both phases is for. The thread is given a domain of its own for
// that step, in which the phase stands still and all counters are the real ones. Only where it
// counts per CPU: its shared slot would be another.
class late_reader {
  public:
    void read(dice& chance) {
        domain_.entry.store(nmircu::detail::default_domain.entry.load(std::memory_order_relaxed),
                            std::memory_order_relaxed);  // stale soon
        usleep(chance.below(100));
        enter();
        const look seen;
        usleep(chance.below(300));
        seen.done(late);
        nmircu::rcu_default_domain().unlock();
    }

  private:
    // No signals: a handler's section would ring nobody.
    void enter() {
        nmircu::detail::reader_state& self = nmircu::platform::this_reader();
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        if (self.per_cpu != nullptr) self.domain = &domain_;
        nmircu::rcu_default_domain().lock();
        self.domain = &nmircu::detail::default_domain;
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    nmircu::detail::domain_state domain_{nmircu::detail::default_domain.cpu};
};

// Now and then a rest: whoever waits for the CPU holds up grace periods, and few are short.
template <class Read>
void repeat(dice& chance, Read read) {
    while (stage.goes_on()) {
        read();
        if (chance.below(32) == 0) {
            rest(chance);
            take_signals_again();
        }
    }
}

void run_nmis(dice& chance) {
    repeat(chance, [&] {
        raise_nmi_here();
        raise_nmi_elsewhere(chance);
        spin(chance.below(400));
    });
}

void run_irqs(dice& chance) {
    repeat(chance, [&] {
        raise_irq_here();
        raise_irq_elsewhere(chance);
        spin(chance.below(400));
    });
}

}  // namespace

void prepare_dying() {
    if (pthread_key_create(&last_moment, read_at_the_end) == 0) return;
    std::fputs("rcu_torture: cannot create a key for thread-specific data\n", stderr);
    std::exit(bad_usage);
}

void run_reader(reader kind, dice chance) {
    const enrolled place;
    switch (kind) {
        case plain:
            return repeat(chance, [&] { read_plain(chance); });
        case nested:
            return repeat(chance, [&] { read_nested(chance, 1 + chance.below(5)); });
        case nmi:
            return run_nmis(chance);
        case irq:
            return run_irqs(chance);
        case sleeping:
            return repeat(chance, [&] { read_asleep(chance); });
        case migrating: {
            const std::vector<unsigned> cpus = allowed_cpus();
            return repeat(chance, [&] { read_elsewhere(chance, cpus); });
        }
        case dying:
            return repeat(chance, [] { read_dying(); });
        case slow: {
            rseq_switch rseq;
            return repeat(chance, [&] { read_slowly(chance, rseq); });
        }
        case buffered: {
            cold_memory memory;
            return repeat(chance, [&] { read_buffered(chance, memory); });
        }
        case late: {
            late_reader self;
            return repeat(chance, [&] { self.read(chance); });
        }
        case reader_kinds:
            return;
    }
}

}  // namespace torture
