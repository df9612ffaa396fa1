// SPDX-License-Identifier: MIT
//
// The rows of the RCU table, and the threads that stand around while each is measured. What the
// goals are for is in docs/figures.md.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "peer.h"
#include "table.hpp"
#include "threads.hpp"

namespace {

using bench::better;
using bench::contestant;
using bench::goal;
using bench::row;

using peers = std::vector<const bench_peer*>;

const peers everyone{&bench_nmircu_inlined, &bench_nmircu_call,  &bench_memb_inlined,
                     &bench_memb_shipped,   &bench_mb_inlined,   &bench_mb_shipped,
                     &bench_qsbr_inlined,   &bench_qsbr_shipped, &bench_bp_inlined,
                     &bench_bp_shipped,     &bench_ck_epoch,     &bench_shared_mutex,
                     &bench_shared_ptr};
// Whose readers must be enrolled, once each: the inlined and the shipped form are one library.
const peers engines{&bench_nmircu_inlined, &bench_memb_inlined, &bench_mb_inlined,
                    &bench_qsbr_inlined,   &bench_bp_inlined,   &bench_ck_epoch};
const peers updaters{&bench_nmircu_inlined, &bench_memb_inlined, &bench_mb_inlined,
                     &bench_qsbr_inlined,   &bench_bp_inlined,   &bench_ck_epoch,
                     &bench_shared_mutex,   &bench_shared_ptr};

const std::string ours = bench_nmircu_inlined.name;
const std::string ours_called = bench_nmircu_call.name;
const std::string memb = bench_memb_inlined.name;
const std::string memb_shipped = bench_memb_shipped.name;

void call(void (*function)()) {
    if (function != nullptr) function();
}

// Becomes a reader of every engine, and one that stands aside where an engine asks for it.
void enroll_everywhere() {
    for (const bench_peer* peer : engines) {
        call(peer->enroll);
        peer->sections(1);  // liburcu-bp and we ourselves enroll in the first section
        call(peer->rest);
    }
}
void resign_everywhere() {
    for (const bench_peer* peer : engines) {
        call(peer->resume);
        call(peer->resign);
    }
}

// A peer's reader during its own rounds only.
class reading {
  public:
    explicit reading(const bench_peer& peer) : peer_(peer) { call(peer.resume); }
    ~reading() { call(peer_.rest); }
    reading(const reading&) = delete;
    reading& operator=(const reading&) = delete;

  private:
    const bench_peer& peer_;
};

bench::round_function while_reading(const bench_peer& peer, bench::round_function round) {
    return [&peer, round = std::move(round)](double seconds) {
        const reading now(peer);
        return round(seconds);
    };
}

// A row of reader loops. `loop` picks one from a peer; peers without it are left out.
template <class Loop>
row readers(std::string name, const peers& who, Loop bench_peer::*loop) {
    row out{std::move(name), "ns", better::less, {}, memb};
    for (const bench_peer* peer : who) {
        if (peer->*loop == nullptr) continue;
        const auto function = peer->*loop;
        out.contestants.push_back(
            {peer->name, while_reading(*peer, bench::nanoseconds_each(function))});
    }
    return out;
}

// A grace period in which nobody reads has nobody to sleep for: CPU time tells it all.
row idle_waiters(std::string name, const peers& who) {
    row out{std::move(name), "ns", better::less, {}, memb};
    for (const bench_peer* peer : who) {
        if (peer->synchronize == nullptr) continue;
        out.contestants.push_back(
            {peer->name, while_reading(*peer, bench::nanoseconds_of(peer->synchronize,
                                                                    bench::stopwatch::cpu))});
    }
    return out;
}

void set_goal(row& wanted, const std::string& who, const goal& what) {
    for (contestant& one : wanted.contestants)
        if (one.name == who) one.goal = what;
}

void run_readers(bench::table& table) {
    peers with_zero = everyone;
    with_zero.push_back(&bench_no_reader);

    row enter_exit = readers("enter + exit", with_zero, &bench_peer::sections);
    set_goal(enter_exit, ours, {1.0, memb});
    set_goal(enter_exit, ours_called, {1.0, memb_shipped});
    table.run(enter_exit);

    row nested = readers("nested enter + exit", with_zero, &bench_peer::nested);
    table.run(nested);

    row read = readers("protected pointer read", with_zero, &bench_peer::reads);
    set_goal(read, ours, {1.0, memb});
    table.run(read);

    // Behind a chain of dependent work nearly everything disappears, even a lock of 15 ns: the row
    // shows what a fence costs, and has no goal, for it cannot tell the others apart.
    row worked = readers("protected read amid 20 ns of work", with_zero, &bench_peer::worked);
    table.run(worked);
}

std::string idle_row(unsigned threads) {
    return "synchronize, idle, " + std::to_string(threads) +
           (threads == 1 ? " thread" : " threads");
}

void run_idle(bench::table& table, unsigned threads) {
    row idle = idle_waiters(idle_row(threads), updaters);
    if (threads == 1) {
        set_goal(idle, ours, {0.5, memb});
    } else {
        set_goal(idle, ours, {1.5, ours, idle_row(1)});
    }
    table.run(idle);
}

// Threads that exist and sleep, enrolled wherever somebody asks for it.
void run_crowd(bench::table& table, unsigned threads) {
    const std::string slow_row = "enter + exit, " + std::to_string(threads) + " threads exist";
    const bool wants_readers = threads == 5000 && table.wants(slow_row);
    if (!wants_readers && !table.wants(idle_row(threads))) return;
    // The caller is one of them.
    const bench::crowd crowd(threads - 1, enroll_everywhere, resign_everywhere);
    run_idle(table, threads);
    if (wants_readers) {
        row slow =
            readers(slow_row, {&bench_nmircu_inlined, &bench_memb_inlined}, &bench_peer::sections);
        set_goal(slow, ours, {1.1, ours, "enter + exit"});
        table.run(slow);
    }
}

// With a partner of the same peer on another CPU, for the length of a round.
bench::round_function beside(const bench_peer& peer, std::function<void()> partner_turn,
                             bench::round_function round) {
    return [&peer, turn = std::move(partner_turn), round = std::move(round)](double seconds) {
        bench::stay_on_cpu(0);
        double result;
        {
            const reading now(peer);
            const auto arrive = [&peer] { call(peer.enroll); };
            const auto leave = [&peer] { call(peer.resign); };
            call(peer.rest);  // starting a thread may block
            const bench::partner other(arrive, turn, leave);
            call(peer.resume);
            result = round(seconds);
            call(peer.rest);  // and so may its end
        }
        bench::stay_on_cpu(-1);
        return result;
    };
}

void update_and_pause(const bench_peer& peer) {
    using clock = std::chrono::steady_clock;
    const auto next = clock::now() + std::chrono::microseconds(100);
    peer.update();
    while (clock::now() < next) {
    }
}

void run_pairs(bench::table& table) {
    row reads{"protected read, an updater loops", "ns", better::less, {}, memb};
    // The faster an updater, the more often its barriers interrupt the reader: so this one is
    // paced.
    row paced{"protected read, 10,000 updates a second", "ns", better::less, {}, memb};
    row waits{"synchronize, a reader loops", "ns", better::less, {}, memb};
    row updates{"updates, a reader loops", "per second", better::more, {}, memb};
    for (const bench_peer* peer : updaters) {
        // A lock's reader sleeps; the others, if anything, spin.
        const auto by =
            peer == &bench_shared_mutex ? bench::stopwatch::wall : bench::stopwatch::cpu;
        const auto read = [peer] { static_cast<void>(peer->reads(1024)); };
        reads.contestants.push_back(
            {peer->name, beside(*peer, peer->update, bench::nanoseconds_each(peer->reads, by))});
        paced.contestants.push_back({peer->name, beside(
                                                     *peer, [peer] { update_and_pause(*peer); },
                                                     bench::nanoseconds_each(peer->reads, by))});
        if (peer->synchronize != nullptr) {
            waits.contestants.push_back(
                {peer->name,
                 beside(*peer, read,
                        bench::nanoseconds_of(peer->synchronize, bench::stopwatch::wall))});
        }
        const auto update = bench::nanoseconds_of(peer->update, bench::stopwatch::wall);
        updates.contestants.push_back(
            {peer->name, beside(*peer, read, [update](double seconds) mutable {
                 return 1e9 / update(seconds);
             })});
    }
    table.run(reads);
    set_goal(paced, ours, {1.0, memb});
    table.run(paced);
    table.run(waits);
    table.run(updates);
}

struct flood {
    double objects_per_second;  // retired and reclaimed
    double peak;                // of those that wait
};

// Four threads retire as fast as they can.
flood flood_with(const bench_peer& peer, double seconds) {
    using clock = std::chrono::steady_clock;
    constexpr std::uint64_t batch = 64;
    std::atomic<std::uint64_t> retired{0}, peak{0};
    const std::uint64_t reclaimed_before = peer.reclaimed();
    const auto start = clock::now();
    const auto end = start + std::chrono::duration<double>(seconds);
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                call(peer.enroll);
                while (clock::now() < end) {
                    peer.retire(batch);
                    // Relaxed, here and below: counts for people.
                    const std::uint64_t all = retired.fetch_add(batch, std::memory_order_relaxed);
                    const std::uint64_t done = peer.reclaimed() - reclaimed_before;
                    const std::uint64_t waiting = all + batch > done ? all + batch - done : 0;
                    std::uint64_t seen = peak.load(std::memory_order_relaxed);
                    while (waiting > seen &&
                           !peak.compare_exchange_weak(seen, waiting, std::memory_order_relaxed)) {
                    }
                }
                call(peer.resign);
            });
        }
    }
    peer.barrier();
    const std::chrono::duration<double> spent = clock::now() - start;
    return {double(retired.load(std::memory_order_relaxed)) / spent.count(),
            double(peak.load(std::memory_order_relaxed))};
}

// The retiring thread's share of the work, on CPU 0; whoever reclaims is on `reclaimer_cpu`. Left
// to the scheduler, the figure is one of two, by chance.
bench::round_function retiring(const bench_peer& peer, int reclaimer_cpu) {
    return
        [&peer, reclaimer_cpu, one = bench::nanoseconds_each(peer.retire)](double seconds) mutable {
            bench::stay_on_cpu(0);
            bench::keep_others_on_cpu(reclaimer_cpu);
            const double result = one(seconds);
            bench::keep_others_on_cpu(-1);
            bench::stay_on_cpu(-1);
            peer.barrier();
            return result;
        };
}

void run_retirement(bench::table& table) {
    const double seconds = table.quick() ? 0.03 : 0.1;
    row apart{"allocate + retire, reclaimer on another CPU", "ns", better::less, {}, memb};
    row same{"allocate + retire, reclaimer on the same CPU", "ns", better::less, {}, memb};
    row throughput{"retired by 4 threads, then a barrier", "per second", better::more, {}, memb};
    row backlog{"the same: peak backlog", "objects", better::less, {}, memb};
    for (const bench_peer* peer : {&bench_nmircu_inlined, &bench_memb_inlined, &bench_bp_inlined}) {
        apart.contestants.push_back({peer->name, retiring(*peer, 1)});
        same.contestants.push_back({peer->name, retiring(*peer, 0)});
        throughput.contestants.push_back({peer->name, [peer, seconds](double) {
                                              return flood_with(*peer, seconds).objects_per_second;
                                          }});
        backlog.contestants.push_back(
            {peer->name, [peer, seconds](double) { return flood_with(*peer, seconds).peak; }});
    }
    set_goal(throughput, ours, {2.0, memb});
    set_goal(backlog, ours, {1.0, memb});
    table.run(apart);
    table.run(same);
    table.run(throughput);
    table.run(backlog);
}

}  // namespace

int main(int argc, char** argv) {
    bench::table table("bench_rcu", argc, argv);
    enroll_everywhere();
    // The first rows want a process of one thread; nothing here may start another before them.
    run_readers(table);
    run_idle(table, 1);
    run_pairs(table);
    for (const unsigned threads : {100u, 1000u, 5000u})
        run_crowd(table, threads);
    // Last: who retires has a thread from then on.
    run_retirement(table);
    return table.finish();
}
