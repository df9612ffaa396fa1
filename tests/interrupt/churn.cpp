// SPDX-License-Identifier: MIT
//
// Property: handlers registered, swapped and unregistered by many threads at once, under NMIs on
// all of them, are called exactly while they are registered: no call after a removal has returned,
// no registration that an NMI does not see, and counts that add up.
//
//   churn [--seconds S] [--updaters N] [--stormers N] [--rounds N] [--seed N] [--expect-caught]
//
// The stormers raise NMIs on themselves, on each other and on the updaters. --rounds says how long
// a handler lingers. --expect-caught succeeds only if the churn, run in a child, notices something
// or crashes; the program churn_control, which is this one without grace periods, is run with it.
// NMIRCU_STRESS_SECONDS, if set, says how long.
#include <sys/syscall.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <nmircu/nmi.hpp>

#include "raise.hpp"
#include "storm_kit.hpp"

namespace {

using nmircu::nmi_error;
using nmircu::nmi_flags;
using nmircu::nmi_handler;
using nmircu::nmi_handler_statistics;
using nmircu::nmi_token;
using nmircu::nmi_type;
using nmircu::pt_regs;
using nmircu_test::fail;
using nmircu_test::nmis_taken;
using nmircu_test::now_s;

struct options {
    double seconds = 3;
    unsigned updaters = 8;
    unsigned stormers = 8;
    unsigned rounds = 20;
    unsigned long seed = 1;
    bool expect_caught = false;
} want;

std::atomic<std::uint64_t> stale{0};  // calls after the removal: must stay 0
std::atomic<std::uint64_t> seen{0};   // NMIs, as the callback sees them
std::atomic<std::uint64_t> claimed{0};

// What has been hit: all must be more than 0 in the end.
struct tally {
    const char* what;
    std::atomic<std::uint64_t> times{0};
    void operator++() { times.fetch_add(1, std::memory_order_relaxed); }
};
tally registered_first{"registered first"}, registered_last{"registered last"},
    of_unknown{"registered for unknown NMIs"}, by_object{"registered by object"},
    by_token{"registered by token"}, swapped{"swapped"}, removed{"removed by object"},
    removed_by_token{"removed by token"}, removed_by_name{"removed by name"},
    removed_in_time{"removed within a deadline"}, out_of_time{"deadlines missed"},
    left{"left from inside the handler"}, left_from_thread{"left without waiting"},
    nmi_on_updater{"NMIs on updaters"}, nmi_on_stormer{"NMIs on stormers"},
    statistics_compared{"final statistics compared"};
tally* const tallies[] = {
    &registered_first, &registered_last, &of_unknown,     &by_object,
    &by_token,         &swapped,         &removed,        &removed_by_token,
    &removed_by_name,  &removed_in_time, &out_of_time,    &left,
    &left_from_thread, &nmi_on_updater,  &nmi_on_stormer, &statistics_compared};

bool all_hit() {
    for (const tally* each : tallies) {
        if (each->times.load(std::memory_order_relaxed) == 0) return false;
    }
    return true;
}

enum class life : unsigned { idle, live, leaving, gone };

// What a handler is given. A removed one stays marked until its memory is used again, much later.
struct cookie {
    std::atomic<life> state{life::idle};
    std::atomic<std::uint64_t> calls{0};
    std::atomic<std::uint64_t> claims{0};
    std::atomic<int> inside{0};  // now
    std::atomic<bool> leave_now{false};
    std::atomic<bool> left{false};
    std::atomic<nmi_error> result{nmi_error::none};
    nmi_token token{};
    unsigned owner = 0;
    std::uint64_t owner_calls = 0;  // on the owner's thread, in NMIs and outside

    void begin() {
        calls.store(0, std::memory_order_relaxed);
        claims.store(0, std::memory_order_relaxed);
        left.store(false, std::memory_order_relaxed);
        state.store(life::live, std::memory_order_relaxed);
    }
};

constexpr unsigned nobody = ~0u;
thread_local unsigned this_updater = nobody;
thread_local bool claimed_here = false;

void end_of_nmi() {
    if (claimed_here) claimed.fetch_add(1, std::memory_order_relaxed);
    claimed_here = false;
}

// Asked before the handlers, on each NMI; the last one on this thread is over.
int callback(pt_regs*, int) {
    end_of_nmi();
    seen.fetch_add(1, std::memory_order_relaxed);
    ++(this_updater == nobody ? nmi_on_stormer : nmi_on_updater);
    return 0;
}

void check_alive(const cookie& self) {
    if (self.state.load(std::memory_order_relaxed) == life::gone) {
        stale.fetch_add(1, std::memory_order_relaxed);
    }
}

void is_gone(void* argument) {
    static_cast<cookie*>(argument)->state.store(life::gone, std::memory_order_relaxed);
}

void leave(cookie& self) {
    self.result.store(nmircu::unregister_nmi_handler_later(self.token, is_gone, &self),
                      std::memory_order_relaxed);
    self.left.store(true, std::memory_order_release);
}

int handler(void* given, pt_regs*, int) {
    cookie& self = *static_cast<cookie*>(given);
    check_alive(self);
    self.inside.fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t call = self.calls.fetch_add(1, std::memory_order_relaxed);
    if (self.owner == this_updater) ++self.owner_calls;
    if (self.leave_now.load(std::memory_order_relaxed) &&
        self.leave_now.exchange(false, std::memory_order_acquire)) {
        leave(self);
    }
    for (unsigned i = 0; i < want.rounds; ++i)
        asm volatile("");
    check_alive(self);
    const int events = int(call % 3);
    self.inside.fetch_sub(1, std::memory_order_relaxed);
    if (events == 0) return 0;
    self.claims.fetch_add(1, std::memory_order_relaxed);
    claimed_here = true;
    return events;
}
// Another function to swap to.
int other_handler(void* given, pt_regs* regs, int cpu) {
    return handler(given, regs, cpu);
}

// One registration, made in one of the ways there are and ended in another.
class registration {
  public:
    registration(unsigned owner, unsigned number)
        : name_("updater " + std::to_string(owner) + "." + std::to_string(number)) {
        for (cookie& each : cookies_)
            each.owner = owner;
    }

    void turn(std::mt19937_64& random) {
        if (!there_) return begin(random);
        if (object_.added() && random() % 3 == 0) return swap();
        end(random);
    }
    void finish() {
        if (there_) end_by(ways - 1);
    }

  private:
    static constexpr unsigned ways = 6;

    void require(nmi_error error, const char* what) {
        if (error != nmi_error::none) fail(name_ + ": " + what + ": " + describe(error));
    }
    cookie& next_cookie() {
        turn_ = (turn_ + 1) % most_cookies;
        cookies_[turn_].begin();
        return cookies_[turn_];
    }
    cookie& current() { return cookies_[turn_]; }

    void begin(std::mt19937_64& random) {
        cookie& mine = next_cookie();
        past_calls_ = past_claims_ = 0;
        missed_ = 0;
        is_local_ = random() % 8 != 0;
        const nmi_type type = is_local_ ? nmi_type::local : nmi_type::unknown;
        const nmi_flags flags = random() % 2 == 0 ? nmi_flags::first : nmi_flags::none;
        ++(flags == nmi_flags::first ? registered_first : registered_last);
        if (!is_local_) ++of_unknown;
        if (random() % 2 == 0) {
            require(object_.add(type, name_.c_str(), handler, &mine, flags), "add");
            mine.token = object_.token();
            ++by_object;
        } else {
            require(nmircu::register_nmi_handler(type, handler, &mine, flags, name_.c_str(),
                                                 &mine.token),
                    "register_nmi_handler");
            ++by_token;
        }
        there_ = true;
        if (nmircu::find_nmi_handler(name_.c_str()) != mine.token) fail(name_ + ": not found");
        require_called();
    }

    // By an NMI that begins now.
    void require_called() {
        const std::uint64_t before = current().owner_calls;
        if (raise_here() != 0) fail("nmi_raise_self");
        // Of an unknown NMI it is asked only if nobody claims it.
        if (is_local_ && current().owner_calls == before) fail(name_ + ": registration lost");
    }
    void require_not_called(cookie& old) {
        const std::uint64_t before = old.owner_calls;
        if (raise_here() != 0) fail("nmi_raise_self");
        if (old.owner_calls != before) fail(name_ + ": called after its removal");
    }

    void swap() {
        cookie& old = current();
        cookie& mine = next_cookie();
        mine.token = object_.token();
        swaps_ = !swaps_;
        require(object_.swap(swaps_ ? other_handler : handler, &mine), "swap");
        require_nobody_inside(old);
        old.state.store(life::gone, std::memory_order_relaxed);
        past_calls_ += old.calls.load(std::memory_order_relaxed);
        past_claims_ += old.claims.load(std::memory_order_relaxed);
        ++swapped;
        require_called();
        require_not_called(old);
    }

    void end(std::mt19937_64& random) {
        const unsigned way = unsigned(random() % ways);
        if (way == 0) return try_in_time(random() % 4 == 0 ? 0 : random() % 20'000);
        end_by(way);
    }

    void end_by(unsigned way) {
        cookie& old = current();
        switch (way) {
            case 1:
                require(nmircu::unregister_nmi_handler(old.token), "unregister by token");
                ++removed_by_token;
                break;
            case 2:
                require(nmircu::unregister_nmi_handler(name_.c_str()), "unregister by name");
                ++removed_by_name;
                break;
            case 3:
                if (is_local_) return leave_from_inside();
                [[fallthrough]];
            case 4:
                leave(old);
                ++left_from_thread;
                return has_left();
            default:
                if (object_.added()) return remove();
                require(nmircu::unregister_nmi_handler(old.token), "unregister");
        }
        over();
    }

    void remove() {
        nmi_handler_statistics last;
        require(object_.remove(&last), "remove");
        require_nobody_inside(current());
        const std::uint64_t calls = past_calls_ + current().calls.load(std::memory_order_relaxed),
                            claims =
                                past_claims_ + current().claims.load(std::memory_order_relaxed);
        if (last.calls != calls || last.handled != claims) {
            fail(name_ + ": counted " + std::to_string(calls) + " calls and " +
                 std::to_string(claims) + " claims, statistics say " + std::to_string(last.calls) +
                 " and " + std::to_string(last.handled) + "; generation " +
                 std::to_string(last.generation) + ", " + std::to_string(missed_) +
                 " deadlines missed" + (is_local_ ? "" : ", of type unknown"));
        }
        ++statistics_compared;
        ++removed;
        over();
    }

    void try_in_time(std::uint64_t most_ns) {
        switch (nmircu::unregister_nmi_handler_within(current().token, most_ns)) {
            case nmi_error::none:
                ++removed_in_time;
                return over();
            case nmi_error::still_running:
                ++out_of_time;
                ++missed_;
                return require_called();
            default:
                fail(name_ + ": unregister_nmi_handler_within");
        }
    }

    void leave_from_inside() {
        current().leave_now.store(true, std::memory_order_release);
        if (raise_here() != 0) fail("nmi_raise_self");
        // Somebody else's NMI may be doing it.
        while (!current().left.load(std::memory_order_acquire))
            std::this_thread::yield();
        ++left;
        has_left();
    }

    void has_left() {
        require(current().result.load(std::memory_order_relaxed), "unregister_nmi_handler_later");
        require_not_called(current());
        if (object_.added()) {
            if (object_.remove() != nmi_error::not_added) fail(name_ + ": removed twice");
        } else {
            nmircu::rcu_barrier();
        }
        if (current().state.load(std::memory_order_relaxed) != life::gone) {
            fail(name_ + ": the barrier did not wait for a handler that has left");
        }
        over();
    }

    void require_nobody_inside(const cookie& old) {
        if (old.inside.load(std::memory_order_relaxed) != 0) {
            fail(name_ + ": somebody is inside after the removal");
        }
    }

    // Nobody is inside the handler, and nobody will be.
    void over() {
        require_nobody_inside(current());
        current().state.store(life::gone, std::memory_order_relaxed);
        there_ = false;
        if (object_.added() && object_.remove() != nmi_error::not_added) {
            fail(name_ + ": removed twice");
        }
        require_not_called(current());
    }

    static constexpr unsigned most_cookies = 64;
    const std::string name_;
    cookie cookies_[most_cookies];
    unsigned turn_ = 0;
    bool there_ = false, is_local_ = true, swaps_ = false;
    std::uint64_t past_calls_ = 0, past_claims_ = 0;  // of cookies swapped out
    unsigned missed_ = 0;
    nmi_handler object_;
};

void update(unsigned number, double until) {
    this_updater = number;
    std::mt19937_64 random(want.seed * 1000 + number);
    registration several[] = {{number, 0}, {number, 1}, {number, 2}};
    // On, for a while, until everything has been hit.
    while (now_s() < (all_hit() ? until : until + 60) &&
           stale.load(std::memory_order_relaxed) == 0) {
        for (registration& each : several)
            each.turn(random);
    }
    for (registration& each : several)
        each.finish();
}

pid_t this_thread() {
    return pid_t(syscall(SYS_gettid));
}

std::vector<std::atomic<pid_t>> threads_to_hit(0);

// Once nobody raises any more.
void take_last_nmi(std::atomic<unsigned>& raising) {
    while (raising.load(std::memory_order_acquire) != 0)
        std::this_thread::yield();
    static_cast<void>(this_thread());  // a system call: what was pending has been delivered
    take_pending_signals();
    end_of_nmi();
}

void storm(unsigned number, const std::atomic<bool>& stop) {
    // The updaters get their turn among threads that never sleep.
    setpriority(PRIO_PROCESS, unsigned(this_thread()), 10);
    std::minstd_rand random(unsigned(want.seed * 100 + number));
    while (!stop.load(std::memory_order_acquire)) {
        const pid_t target = threads_to_hit[random() % threads_to_hit.size()].load();
        // EAGAIN is possible; a signal that is pending already is merged.
        if (target != 0) static_cast<void>(nmircu::nmi_raise(target));
        if (raise_here() != 0) fail("nmi_raise_self");
    }
}

void report(double seconds) {
    std::printf(
        "churn: %.1f s, seed %lu, %llu NMIs: %llu claimed, %llu forwarded, %llu unknown, "
        "%llu swallowed; %llu stale calls\n",
        seconds, want.seed, (unsigned long long)nmis_taken(), (unsigned long long)claimed.load(),
        (unsigned long long)nmircu::nmi_forwarded_count(),
        (unsigned long long)nmircu::nmi_unknown_count(),
        (unsigned long long)nmircu::nmi_swallowed_count(), (unsigned long long)stale.load());
    for (const tally* each : tallies)
        std::printf("  %10llu %s\n", (unsigned long long)each->times.load(), each->what);
    std::fflush(stdout);
}

int churn() {
    if (nmircu::nmi_attach() != 0) fail("nmi_attach");
    nmircu::nmi_set_unknown_policy(nmircu::nmi_unknown_policy::ignore);
    nmircu::nmi_set_longest_allowed(0);
    nmircu::set_nmi_callback(callback);
    const double start = now_s();
    threads_to_hit = std::vector<std::atomic<pid_t>>(want.updaters + want.stormers);
    std::atomic<bool> stop{false};
    std::atomic<unsigned> updating{want.updaters}, raising{want.stormers};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < want.updaters; ++i) {
        threads.emplace_back([&, i] {
            threads_to_hit[i].store(this_thread());
            update(i, start + want.seconds);
            if (updating.fetch_sub(1) == 1) stop.store(true, std::memory_order_release);
            take_last_nmi(raising);
        });
    }
    for (unsigned i = 0; i < want.stormers; ++i) {
        threads.emplace_back([&, i] {
            threads_to_hit[want.updaters + i].store(this_thread());
            storm(i, stop);
            raising.fetch_sub(1, std::memory_order_release);
            take_last_nmi(raising);
        });
    }
    for (auto& thread : threads)
        thread.join();
    report(now_s() - start);
    if (stale.load() != 0) fail("a handler was called after its removal had returned");
    if (nmircu::nmi_handlers(nullptr, 0, nullptr, 0) != 0) fail("a handler is left over");
    const std::uint64_t accounted = claimed.load() + nmircu::nmi_forwarded_count() +
                                    nmircu::nmi_unknown_count() + nmircu::nmi_swallowed_count();
    if (nmis_taken() != seen.load()) fail("an NMI that the callback did not see");
    if (nmis_taken() != accounted) fail("the counts do not add up");
    for (const tally* each : tallies) {
        if (each->times.load() == 0) fail(std::string("nothing was tested: 0 ") + each->what);
    }
    return 0;
}

void parse(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--expect-caught") {
            want.expect_caught = true;
            continue;
        }
        if (i + 1 == argc) fail("no value for " + name);
        const char* const value = argv[++i];
        if (name == "--seconds") want.seconds = std::atof(value);
        if (name == "--updaters") want.updaters = unsigned(std::atoi(value));
        if (name == "--stormers") want.stormers = unsigned(std::atoi(value));
        if (name == "--rounds") want.rounds = unsigned(std::atoi(value));
        if (name == "--seed") want.seed = std::strtoul(value, nullptr, 10);
    }
    const char* const stress = std::getenv("NMIRCU_STRESS_SECONDS");
    if (stress != nullptr && !want.expect_caught) want.seconds = std::atof(stress);
}

}  // namespace

int main(int argc, char** argv) {
    parse(argc, argv);
    return want.expect_caught ? nmircu_test::expect_caught(churn, want.seconds + 60) : churn();
}
