// SPDX-License-Identifier: MIT
//
// Raw timer_create, because glibc's cannot address another thread and keeps a record per timer.
// Context: thread, under the lock of sources.cpp.
#include "platform/linux/source_timer.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "platform/linux/signal_tag.hpp"
#include "platform/linux/source_signals.hpp"
#include "platform/linux/thread_look.hpp"

namespace nmircu::platform {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

timespec to_timespec(std::uint64_t ns) {
    return {static_cast<time_t>(ns / second_ns), static_cast<long>(ns % second_ns)};
}

// Spreads the first expirations over the interval, so that threads started together do not fire
// together for ever. Any mixing of thread and time does.
std::uint64_t anywhere_in(std::uint64_t interval_ns, int thread_id) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    std::uint64_t mixed =
        static_cast<std::uint64_t>(now.tv_nsec) ^ static_cast<std::uint64_t>(thread_id) << 32;
    mixed *= 0x9e3779b97f4a7c15ull;
    mixed ^= mixed >> 32;
    mixed *= 0x9e3779b97f4a7c15ull;
    return 1 + (mixed >> 16) % interval_ns;
}

void delete_timer(int timer_id) {
    ::syscall(SYS_timer_delete, timer_id);
}

// A repeating timer shows no time left only when the thread whose clock it runs on has ended.
bool has_ended(int timer_id) {
    itimerspec left{};
    return ::syscall(SYS_timer_gettime, timer_id, &left) == 0 && left.it_value.tv_sec == 0 &&
           left.it_value.tv_nsec == 0;
}

bool exists(int thread_id) {
    return ::syscall(SYS_tgkill, ::getpid(), thread_id, 0) == 0;
}

}  // namespace

std::string describe_timer_failure(int error) {
    if (error != EAGAIN) return std::string("no timer: ") + std::strerror(error);
    struct rlimit limit {};
    ::getrlimit(RLIMIT_SIGPENDING, &limit);
    return "no timer: the user's limit on pending signals (ulimit -i) is " +
           std::to_string(limit.rlim_cur);
}

std::uint32_t tick_hz() {
    // The coarse clock advances once per tick.
    timespec tick{};
    if (::clock_getres(CLOCK_MONOTONIC_COARSE, &tick) != 0 || tick.tv_nsec <= 0) return 0;
    return static_cast<std::uint32_t>((second_ns + static_cast<std::uint64_t>(tick.tv_nsec) / 2) /
                                      static_cast<std::uint64_t>(tick.tv_nsec));
}

std::vector<timer_source::timer>::iterator timer_source::position(int thread_id) {
    return std::lower_bound(timers_.begin(), timers_.end(), thread_id,
                            [](const timer& t, int wanted) { return t.thread_id < wanted; });
}

int timer_source::create(int thread_id, std::uint64_t first_expiry_ns, int& timer_id) const {
    sigevent event;
    std::memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = nmi_signal;
    event._sigev_un._tid = thread_id;
    event.sigev_value.sival_ptr =
        reinterpret_cast<void*>(signal_tag(static_cast<std::uint32_t>(thread_id)));
    if (::syscall(SYS_timer_create, cpu_clock_of(thread_id), &event, &timer_id) != 0) return errno;
    itimerspec when{};
    when.it_interval = to_timespec(interval_ns_);
    when.it_value = to_timespec(first_expiry_ns);
    if (::syscall(SYS_timer_settime, timer_id, 0, &when, nullptr) == 0) return 0;
    const int error = errno;
    delete_timer(timer_id);
    return error;
}

// 0, or why the thread has no timer.
int timer_source::arm(int thread_id, std::uint64_t first_expiry_ns) {
    int timer_id = 0;
    const int error = create(thread_id, first_expiry_ns, timer_id);
    if (error == 0) timers_.insert(position(thread_id), {thread_id, timer_id});
    return error;
}

void timer_source::reap_dead() {
    std::erase_if(timers_, [](const timer& t) {
        if (!has_ended(t.id)) return false;
        delete_timer(t.id);
        return true;
    });
}

std::string timer_source::start(std::uint32_t rate_hz, int excluded_tid,
                                const std::vector<int>& threads) {
    interval_ns_ = second_ns / rate_hz;
    excluded_tid_ = excluded_tid;
    rescan(threads);
    if (!timers_.empty() || failures_.empty()) return {};
    const std::string why = describe_timer_failure(failures_.front().error);
    stop();
    return "cannot create a CPU timer for any thread: " + why;
}

void timer_source::stop() {
    for (const timer& t : timers_)
        delete_timer(t.id);
    abandon();
}

void timer_source::abandon() noexcept {
    timers_.clear();
    failures_.clear();
}

void timer_source::rescan(const std::vector<int>& threads) {
    failures_.clear();
    reap_dead();
    for (const int thread_id : threads) {
        if (thread_id == excluded_tid_) continue;
        const auto at = position(thread_id);
        if (at != timers_.end() && at->thread_id == thread_id) continue;
        const int error = arm(thread_id, anywhere_in(interval_ns_, thread_id));
        if (error != 0 && exists(thread_id)) failures_.push_back({thread_id, error});
    }
}

// As if the thread had run for a tick already, so that the first one finds whatever expired since.
int timer_source::arm_beginning(int thread_id) {
    const std::uint64_t tick_ns = second_ns / std::max(tick_hz(), 1u);
    const std::uint64_t expiry_ns = anywhere_in(interval_ns_, thread_id);
    if (interval_ns_ < tick_ns) {
        set_first_merged(
            static_cast<std::uint32_t>((tick_ns + interval_ns_ / 2) / interval_ns_ - 1));
    }
    return arm(thread_id, expiry_ns > tick_ns ? expiry_ns - tick_ns : 1);
}

void timer_source::arm_new(int thread_id) {
    if (thread_id == excluded_tid_) return;
    const auto at = position(thread_id);
    if (at != timers_.end() && at->thread_id == thread_id) {
        if (!has_ended(at->id)) return;  // a scan was faster
        delete_timer(at->id);
        timers_.erase(at);
    }
    if (arm_beginning(thread_id) != EAGAIN) return;
    reap_dead();  // gives back what ended threads hold of the limit
    arm_beginning(thread_id);
}

}  // namespace nmircu::platform
