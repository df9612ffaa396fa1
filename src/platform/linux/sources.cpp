// SPDX-License-Identifier: MIT
//
// Chooses a source, keeps the one that runs, and serialises everybody who touches it. What a source
// does is in source_perf.cpp, source_timer.cpp and source_wall.cpp. Context: thread.
#include "platform/linux/sources.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <mutex>

#include "platform/linux/signal_tag.hpp"
#include "platform/linux/signal_vector.hpp"
#include "platform/linux/source_perf.hpp"
#include "platform/linux/source_signals.hpp"
#include "platform/linux/source_timer.hpp"
#include "platform/linux/source_wall.hpp"
#include "platform/linux/switch_rate.hpp"
#include "platform/linux/thread_list.hpp"
#include "platform/linux/thread_turnover.hpp"
#include "platform/linux/wall_slots.hpp"

namespace nmircu::platform {
namespace {

// A thread seen at the last scan. It is taken to block the signal once it did so at two looks in a
// row: every thread blocks all signals for a moment, the first of its life for example.
struct seen_thread {
    int thread_id;
    bool blocked_before;
    bool blocks;
};

struct source_state {
    std::mutex lock;
    std::uint64_t mask_before_fork = 0;
    bool watches_forks = false;

    // Everything below is protected by `lock`.
    source_kind kind = source_kind::automatic;
    bool running = false;
    int owner_pid = 0;  // of the process whose threads are interrupted
    bool may_fall_back = false;
    std::uint32_t rate_hz = 0;
    int excluded_tid = 0;
    std::string reason;
    perf_source perf;
    timer_source timer;
    switch_rate switches;
    wall_source wall;
    thread_turnover turnover;
    std::vector<seen_thread> threads;  // ascending
    std::size_t next_look = 0;
};

// Never destroyed: threads may start while the process is exiting.
source_state& state() {
    static source_state& only = *new source_state;
    return only;
}

// Whether threads have to report their start. Relaxed everywhere: a thread that misses a change is
// found by the listing that start_source makes after it, or by the next rescan.
constinit std::atomic<bool> starts_matter{false};
// Whether one ever has. Relaxed: it is asked for long afterwards.
constinit std::atomic<bool> starts_are_reported{false};

// Raw, because the program's threading library may be interposed, and 8 bytes, the kernel's size.
std::uint64_t set_blocked_signals(std::uint64_t mask) {
    std::uint64_t before = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &before, sizeof mask);
    return before;
}

// Forgets a source that interrupts another process, this one's parent.
void disown_locked(source_state& s) {
    s.perf.abandon();
    s.timer.abandon();
    s.wall.abandon();
    s.threads.clear();
    s.running = false;
    starts_matter.store(false, std::memory_order_relaxed);  // see its declaration
}

class source_lock {
  public:
    source_lock() : mask_before_(set_blocked_signals(~std::uint64_t{0})) {
        source_state& s = state();
        s.lock.lock();
        // A child that came about without the fork handlers below.
        if (s.running && s.owner_pid != ::getpid()) disown_locked(s);
    }
    source_lock(const source_lock&) = delete;
    source_lock& operator=(const source_lock&) = delete;
    ~source_lock() {
        state().lock.unlock();
        set_blocked_signals(mask_before_);
    }
    // The calling thread's own mask, which /proc does not show at the moment.
    [[nodiscard]] std::uint64_t mask_before() const { return mask_before_; }

  private:
    std::uint64_t mask_before_;
};

void before_fork() {
    const std::uint64_t mask = set_blocked_signals(~std::uint64_t{0});
    state().lock.lock();
    state().mask_before_fork = mask;
}
void after_fork_in_parent() {
    const std::uint64_t mask = state().mask_before_fork;
    state().lock.unlock();
    set_blocked_signals(mask);
}
void after_fork_in_child() {
    disown_locked(state());
    after_fork_in_parent();
}

int signal_of(source_kind kind) {
    return kind == source_kind::perf ? perf_signal : nmi_signal;
}

bool is_blocked(std::uint64_t mask, int signo) {
    return (mask >> (signo - 1) & 1) != 0;
}

// Whatever the source raises must find the trampoline, from its first signal on.
std::string attach(int signo) {
    set_signal_filter(accept_signal);
    const int error = attach_signal(signo);
    if (error == 0) return {};
    return std::string("cannot install a handler for ") + ::sigabbrev_np(signo) + ": " +
           std::strerror(error);
}

// Takes over a fresh list and keeps what is known of the threads that are still there.
void update_seen_locked(source_state& s, const std::vector<int>& list) {
    std::vector<seen_thread> fresh;
    fresh.reserve(list.size());
    auto old = s.threads.begin();
    for (const int thread_id : list) {
        if (thread_id == s.excluded_tid) continue;
        while (old != s.threads.end() && old->thread_id < thread_id)
            ++old;
        const bool known = old != s.threads.end() && old->thread_id == thread_id;
        fresh.push_back(known ? *old : seen_thread{thread_id, false, false});
    }
    s.threads.swap(fresh);
}

void look_at_masks_locked(source_state& s, std::uint64_t own_mask) {
    constexpr std::size_t most_looks = 64;
    const int self = static_cast<int>(::syscall(SYS_gettid));
    const std::size_t looks = std::min(most_looks, s.threads.size());
    for (std::size_t i = 0; i < looks; ++i) {
        seen_thread& thread = s.threads[s.next_look++ % s.threads.size()];
        const auto mask = thread.thread_id == self ? own_mask : blocked_signals(thread.thread_id);
        const bool blocks_now = mask && is_blocked(*mask, signal_of(s.kind));
        thread.blocks = blocks_now && thread.blocked_before;
        thread.blocked_before = blocks_now;
    }
    s.next_look %= std::max<std::size_t>(s.threads.size(), 1);
}

void scan_locked(source_state& s, const std::vector<int>& list, std::uint64_t own_mask) {
    update_seen_locked(s, list);
    look_at_masks_locked(s, own_mask);
    if (s.kind != source_kind::wall) return;
    std::vector<int> blocking;
    for (const seen_thread& thread : s.threads) {
        if (thread.blocks) blocking.push_back(thread.thread_id);
    }
    s.wall.rescan(list, blocking);
}

std::string start_timer_locked(source_state& s) {
    if (std::string failure = attach(nmi_signal); !failure.empty()) return failure;
    // Before the list is taken: a thread it does not show reports its own start.
    starts_matter.store(true, std::memory_order_relaxed);
    const std::vector<int> list = list_threads();
    std::string failure = list.empty() ? "cannot read /proc/self/task: is /proc mounted?"
                                       : s.timer.start(s.rate_hz, s.excluded_tid, list);
    if (!failure.empty()) starts_matter.store(false, std::memory_order_relaxed);
    s.kind = source_kind::timer;
    return failure;
}

std::string start_wall_locked(source_state& s, const source_settings& settings) {
    if (std::string failure = attach(nmi_signal); !failure.empty()) return failure;
    starts_matter.store(true, std::memory_order_relaxed);  // as of the timers
    const std::vector<int> list = list_threads();
    std::string failure = list.empty() ? "cannot read /proc/self/task: is /proc mounted?"
                                       : s.wall.start(settings, s.excluded_tid, list);
    if (!failure.empty()) starts_matter.store(false, std::memory_order_relaxed);
    s.kind = source_kind::wall;
    return failure;
}

std::string start_perf_locked(source_state& s) {
    if (std::string failure = attach(perf_signal); !failure.empty()) return failure;
    s.kind = source_kind::perf;
    return s.perf.start(s.rate_hz, s.excluded_tid);
}

std::string start_locked(source_state& s, const source_settings& settings) {
    const source_kind wanted = settings.kind;
    s.reason.clear();
    if (wanted == source_kind::wall) return start_wall_locked(s, settings);
    if (wanted == source_kind::timer) return start_timer_locked(s);
    // At rates that the tick can give, it is the cheaper one; sources.hpp has by how much.
    if (wanted == source_kind::automatic && s.rate_hz <= tick_hz() &&
        start_timer_locked(s).empty()) {
        return {};
    }
    std::string perf_failure = start_perf_locked(s);
    if (perf_failure.empty() || wanted == source_kind::perf) return perf_failure;
    std::string timer_failure = start_timer_locked(s);
    if (timer_failure.empty()) {
        s.reason = std::move(perf_failure);
        return {};
    }
    return perf_failure + "; and " + timer_failure;
}

void stop_locked(source_state& s) {
    starts_matter.store(false, std::memory_order_relaxed);  // see its declaration
    s.perf.stop();
    s.timer.stop();
    s.wall.stop();
    s.threads.clear();
    s.running = false;
}

// The program closed our descriptors and new ones cannot be had.
void replace_perf_locked(source_state& s, std::string failure) {
    s.reason = "perf lost its descriptors, and " + failure;
    if (!s.may_fall_back) return;  // tried again at the next scan
    if (const std::string why = start_timer_locked(s); !why.empty()) {
        s.kind = source_kind::perf;
        s.reason += "; and " + why;
    }
}

// Why not perf, if it is better not used: empty, or in one phrase.
std::string objection_to_perf_locked(source_state& s, const std::vector<int>& list) {
    if (s.switches.stays_high()) {
        return "the threads are switched " + std::to_string(s.switches.per_second()) +
               " times per second of CPU time, which perf makes expensive";
    }
    // Of threads whose start nobody reports timers would tell nothing. Relaxed: see there.
    if (starts_are_reported.load(std::memory_order_relaxed) && s.turnover.stays_high(list)) {
        return "threads live for moments only, of which perf tells too little";
    }
    return {};
}

void leave_perf_locked(source_state& s, std::string why) {
    s.perf.stop();
    if (start_timer_locked(s).empty()) {
        s.reason = std::move(why);
        return;
    }
    s.may_fall_back = false;
    start_perf_locked(s);
}

std::vector<unreachable_thread> unreachable_locked(const source_state& s) {
    std::vector<unreachable_thread> out;
    for (const auto& failure : s.timer.failures())
        out.push_back({failure.thread_id, describe_timer_failure(failure.error)});
    for (const int thread_id : s.wall.left_out()) {
        out.push_back({thread_id, "the wall source covers no more than " +
                                      std::to_string(most_wall_threads) + " threads"});
    }
    const char* blocks = s.kind == source_kind::perf ? "blocks SIGTRAP" : "blocks SIGSTKFLT";
    const std::size_t without_timer = out.size();
    for (const seen_thread& thread : s.threads) {
        const auto end = out.begin() + static_cast<std::ptrdiff_t>(without_timer);
        const bool listed = std::any_of(out.begin(), end, [&](const unreachable_thread& u) {
            return u.thread_id == thread.thread_id;
        });
        if (thread.blocks && !listed) out.push_back({thread.thread_id, blocks});
    }
    return out;
}

void watch_forks_locked(source_state& s) {
    if (s.watches_forks) return;
    ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    s.watches_forks = true;
}

}  // namespace

const char* name_of(source_kind kind) noexcept {
    switch (kind) {
        case source_kind::automatic:
            return "auto";
        case source_kind::perf:
            return "perf";
        case source_kind::timer:
            return "timer";
        case source_kind::wall:
            return "wall";
    }
    return "";
}

std::string start_source(const source_settings& settings, int excluded_tid) {
    if (settings.rate_hz < 1 || settings.rate_hz > highest_rate_hz) {
        return "a rate of " + std::to_string(settings.rate_hz) + " Hz is out of range: 1 to " +
               std::to_string(highest_rate_hz);
    }
    const source_lock held;
    source_state& s = state();
    if (s.running) return "an interrupt source is already running: stop it first";
    watch_forks_locked(s);
    reset_source_counts();
    s.rate_hz = settings.rate_hz;
    s.excluded_tid = excluded_tid;
    s.may_fall_back = settings.kind == source_kind::automatic;
    s.threads.clear();
    if (std::string failure = start_locked(s, settings); !failure.empty()) return failure;
    s.switches.reset();
    s.turnover.reset();
    s.running = true;
    s.owner_pid = ::getpid();
    scan_locked(s, list_threads(), held.mask_before());
    return {};
}

void watch_forks() {
    const source_lock held;
    watch_forks_locked(state());
}

void stop_source() {
    const source_lock held;
    stop_locked(state());
}

void rescan_threads() {
    const source_lock held;
    source_state& s = state();
    if (!s.running) return;
    const std::vector<int> list = list_threads();
    if (list.empty()) return;  // out of descriptors for the moment
    if (s.kind == source_kind::timer) {
        s.timer.rescan(list);
    } else if (s.kind == source_kind::wall) {
        // by the scan below
    } else if (std::string failure = s.perf.rescan(); !failure.empty()) {
        replace_perf_locked(s, std::move(failure));
    } else if (s.may_fall_back) {
        std::string why = objection_to_perf_locked(s, list);
        if (!why.empty()) leave_perf_locked(s, std::move(why));
    }
    scan_locked(s, list, held.mask_before());
}

void thread_started() {
    // Relaxed: see its declaration.
    if (!starts_are_reported.load(std::memory_order_relaxed)) {
        starts_are_reported.store(true, std::memory_order_relaxed);
    }
    if (!starts_matter.load(std::memory_order_relaxed)) return;  // see its declaration
    const source_lock held;
    source_state& s = state();
    if (!s.running) return;
    const int self = static_cast<int>(::syscall(SYS_gettid));
    if (s.kind == source_kind::timer) s.timer.arm_new(self);
    if (s.kind == source_kind::wall) s.wall.arm_new(self);
}

source_status current_source() {
    const source_lock held;
    const source_state& s = state();
    source_status status;
    if (!s.running) return status;
    status.kind = s.kind;
    status.running = true;
    status.rate_hz = s.rate_hz;
    if (s.kind == source_kind::timer && tick_hz() < s.rate_hz) status.limit_hz = tick_hz();
    status.overruns = timer_overruns() + s.wall.overruns();
    status.duplicates = duplicate_signals();
    status.reason = s.reason;
    status.unreachable = unreachable_locked(s);
    status.threads = static_cast<std::uint32_t>(
        s.threads.size() - std::min(s.threads.size(), status.unreachable.size()));
    return status;
}

}  // namespace nmircu::platform
