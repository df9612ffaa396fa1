// SPDX-License-Identifier: MIT
//
// The wall source's sampler; see source_wall.hpp. Context: thread; everything but tick and what it
// calls runs under the lock of sources.cpp.
#include "platform/linux/source_wall.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "platform/linux/signal_tag.hpp"
#include "platform/linux/thread_look.hpp"
#include "platform/linux/wall_slots.hpp"

namespace nmircu::platform {
namespace {

constexpr std::uint64_t millisecond = 1'000'000;
constexpr std::uint64_t second = 1000 * millisecond;

// Beyond this a thread that did not run counts as idle.
constexpr std::uint64_t idle_ns = second;
// What a thread may run after it was interrupted, and be asleep where it was: leaving the handler,
// seeing EINTR, calling again.
constexpr std::uint64_t slack_ns = 200'000;
// A signal that was not taken for so long is sent again, as somebody may have swallowed it. They
// merge.
constexpr std::uint64_t resend_ns = 100 * millisecond;
// Repeats are handed on at least that often.
constexpr std::uint64_t report_ns = 100 * millisecond;
// The sampler rests that many times what its last tick took.
constexpr std::uint64_t rest_factor = 32;

std::uint64_t clock_ns(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * second +
           static_cast<std::uint64_t>(now.tv_nsec);
}
std::uint64_t now_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

class locked {
  public:
    explicit locked(pthread_mutex_t& lock) : lock_(lock) { ::pthread_mutex_lock(&lock_); }
    locked(const locked&) = delete;
    locked& operator=(const locked&) = delete;
    ~locked() { ::pthread_mutex_unlock(&lock_); }

  private:
    pthread_mutex_t& lock_;
};

// One thread under the sampler's eyes.
struct watched {
    int thread_id;
    std::uint32_t slot;
    bool seen = false;      // has been looked at
    bool counts = false;    // has run since, or idle threads are wanted
    bool in_place = false;  // verified to be where its sample found it
    bool blocks = false;    // the signal
    bool ended = false;
    std::uint64_t cpu_ns = 0;   // at the last look
    std::uint64_t ran_ns = 0;   // when a look last found that it had run
    std::uint64_t sent_ns = 0;  // when it was last sent a signal
    std::uint32_t repeats = 0;  // not handed on yet
    std::uint64_t repeat_ns = 0, reported_ns = 0;
};

void queue_signal(const watched& thread) {
    siginfo_t info = {};
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(signal_tag(wall_tag(thread.slot)));
    ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread.thread_id, nmi_signal, &info);
}

}  // namespace

class wall_sampler {
  public:
    wall_sampler(const source_settings& settings, int excluded_tid)
        : period_ns_(second / settings.rate_hz),
          excluded_tid_(excluded_tid),
          report_repeat_(settings.report_repeat) {
        pthread_condattr_t attributes;
        ::pthread_condattr_init(&attributes);
        ::pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        ::pthread_cond_init(&changed_, &attributes);
        ::pthread_condattr_destroy(&attributes);
        free_slots_.reserve(most_wall_threads);
        for (std::uint32_t slot = most_wall_threads; slot-- > 0;)
            free_slots_.push_back(slot);
    }
    wall_sampler(const wall_sampler&) = delete;
    wall_sampler& operator=(const wall_sampler&) = delete;
    ~wall_sampler() {
        ::pthread_cond_destroy(&changed_);
        ::pthread_mutex_destroy(&lock_);
    }

    void run();
    void end();
    void tell(const std::vector<int>& threads, const std::vector<int>& blocking);
    void tell_new(int thread_id);

    [[nodiscard]] std::uint64_t overruns() const {
        return overruns_.load(std::memory_order_relaxed);  // a statistic
    }
    [[nodiscard]] std::vector<int> left_out() {
        const locked held(lock_);
        return left_out_;
    }

  private:
    [[nodiscard]] bool wait_for_tick();
    void take_news();
    void add(int thread_id);
    void tick();
    void look_at(watched& thread);
    void look_at_standing(watched& thread, wall_slot& slot, bool ran);
    void interrupt(watched& thread, wall_slot& slot);
    void merge(watched& thread, wall_slot& slot);
    void repeat(watched& thread);
    void report(watched& thread);
    void drop_ended();
    [[nodiscard]] std::uint64_t random() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return state_ >> 33;
    }

    const std::uint64_t period_ns_;
    const int excluded_tid_;
    const repeat_callback report_repeat_;

    pthread_mutex_t lock_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed_;
    bool stop_ = false;
    bool gone_ = false;
    bool news_ = false;
    std::vector<int> listed_, blocking_, started_, left_out_;

    std::atomic<std::uint64_t> overruns_{0};

    // The sampler's own.
    std::vector<watched> threads_;  // ascending
    std::vector<std::uint32_t> free_slots_;
    std::uint64_t state_ = now_ns();
    std::uint64_t base_ns_ = 0, index_ = 0, rested_ns_ = 0;
    std::uint32_t weight_ = 1;  // ticks that this one stands for
    bool idle_wanted_ = false;
};

// Each period has one tick, at a moment of it that chance decides: what the program does
// periodically is not met at the same point for ever.
bool wall_sampler::wait_for_tick() {
    const std::uint64_t planned = base_ns_ + (index_ + 1) * period_ns_ + random() % period_ns_;
    const std::uint64_t when = std::max(planned, rested_ns_);
    const timespec until{static_cast<time_t>(when / second), static_cast<long>(when % second)};
    {
        const locked held(lock_);
        while (!stop_ && now_ns() < when)
            ::pthread_cond_timedwait(&changed_, &lock_, &until);
        if (stop_) return false;
    }
    const std::uint64_t index = std::max((now_ns() - base_ns_) / period_ns_, index_ + 1);
    weight_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(index - index_, 65536));
    index_ = index;
    return true;
}

void wall_sampler::run() {
    base_ns_ = now_ns();
    while (wait_for_tick()) {
        const std::uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        take_news();
        tick();
        const std::uint64_t took = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
        rested_ns_ = now_ns() + took * rest_factor;
    }
    for (watched& thread : threads_)
        report(thread);
    const locked held(lock_);
    gone_ = true;
    ::pthread_cond_broadcast(&changed_);
}

void wall_sampler::end() {
    const locked held(lock_);
    stop_ = true;
    ::pthread_cond_broadcast(&changed_);
    while (!gone_)
        ::pthread_cond_wait(&changed_, &lock_);
}

void wall_sampler::tell(const std::vector<int>& threads, const std::vector<int>& blocking) {
    const locked held(lock_);
    listed_ = threads;
    blocking_ = blocking;
    news_ = true;
}

void wall_sampler::tell_new(int thread_id) {
    const locked held(lock_);
    started_.push_back(thread_id);
}

void wall_sampler::add(int thread_id) {
    if (thread_id == excluded_tid_) return;
    const auto at = std::lower_bound(threads_.begin(), threads_.end(), thread_id,
                                     [](const watched& t, int id) { return t.thread_id < id; });
    if (at != threads_.end() && at->thread_id == thread_id) return;
    if (free_slots_.empty()) {
        left_out_.push_back(thread_id);
        return;
    }
    watched fresh{};
    fresh.thread_id = thread_id;
    fresh.slot = free_slots_.back();
    free_slots_.pop_back();
    wall_slot& slot = wall_slot_at(fresh.slot);
    // Relaxed: the signals that look at them are sent later.
    slot.state.store(slot_state::nothing, std::memory_order_relaxed);
    slot.merged.store(0, std::memory_order_relaxed);  // as above
    slot.thread_id.store(static_cast<std::uint32_t>(thread_id), std::memory_order_relaxed);  // same
    threads_.insert(at, fresh);
}

void wall_sampler::take_news() {
    const locked held(lock_);
    for (const int thread_id : started_) {
        add(thread_id);
        // It begins now: all it does counts.
        const auto at = std::lower_bound(threads_.begin(), threads_.end(), thread_id,
                                         [](const watched& t, int id) { return t.thread_id < id; });
        if (at != threads_.end() && at->thread_id == thread_id) at->counts = true;
    }
    started_.clear();
    if (!news_) return;
    news_ = false;
    left_out_.clear();
    for (const int thread_id : listed_)
        add(thread_id);
    for (watched& thread : threads_)
        thread.blocks = std::binary_search(blocking_.begin(), blocking_.end(), thread.thread_id);
}

void wall_sampler::tick() {
    idle_wanted_ = idle_threads_wanted();
    for (watched& thread : threads_)
        look_at(thread);
    drop_ended();
    // Relaxed: a statistic.
    overruns_.fetch_add((weight_ - 1) * threads_.size(), std::memory_order_relaxed);
}

void wall_sampler::look_at(watched& thread) {
    const auto cpu_ns = cpu_time_of(thread.thread_id);
    if (!cpu_ns) {
        thread.ended = true;
        return;
    }
    const bool ran = thread.seen && *cpu_ns != thread.cpu_ns;
    if (!thread.seen || ran) thread.ran_ns = now_ns();
    thread.seen = true;
    thread.cpu_ns = *cpu_ns;
    thread.counts = thread.counts || ran || idle_wanted_;
    if (thread.blocks || !thread.counts) return;
    wall_slot& slot = wall_slot_at(thread.slot);
    // [WALL-4] acquire: what the signal said of its sample precedes the word that it stands.
    // Partner: the release at [WALL-3], wall_slots.cpp. Weakened: as there.
    const slot_state state = slot.state.load(std::memory_order_acquire);
    if (state == slot_state::sent) {
        merge(thread, slot);
    } else if (!idle_wanted_ && now_ns() - thread.ran_ns > idle_ns) {
        report(thread);
    } else if (state == slot_state::standing) {
        look_at_standing(thread, slot, ran);
    } else {
        interrupt(thread, slot);
    }
}

void wall_sampler::look_at_standing(watched& thread, wall_slot& slot, bool ran) {
    // Relaxed, these: [WALL-4] has seen what was published with them.
    const bool stands = slot.epoch.load(std::memory_order_relaxed) == wall_epoch();
    if (stands && thread.in_place && !ran) return repeat(thread);
    const std::uint64_t since = thread.cpu_ns - slot.cpu_ns.load(std::memory_order_relaxed);
    thread.in_place = stands && since <= slack_ns &&
                      sleeps_at(thread.thread_id, slot.instruction.load(std::memory_order_relaxed),
                                slot.stack.load(std::memory_order_relaxed));  // relaxed: as above
    if (!thread.in_place) return interrupt(thread, slot);
    // What it ran meanwhile is seen.
    if (const auto cpu_ns = cpu_time_of(thread.thread_id)) thread.cpu_ns = *cpu_ns;
    repeat(thread);
}

void wall_sampler::interrupt(watched& thread, wall_slot& slot) {
    report(thread);
    // Cheaper than a look at its state: the clock of a thread that is on a CPU does not stand
    // still.
    const bool runs = cpu_time_of(thread.thread_id).value_or(0) != thread.cpu_ns;
    const char state = runs ? 'R' : state_of(thread.thread_id);
    if (state == 'Z' || state == 'X') return;
    thread.in_place = false;
    thread.sent_ns = now_ns();
    slot.off_cpu.store(state != 'R' ? 1 : 0, std::memory_order_relaxed);  // published below
    slot.merged.store(weight_ - 1, std::memory_order_relaxed);            // published below
    // [WALL-1] release: what the signal says of itself precedes it.
    // Partner: the acquire at [WALL-2], wall_slots.cpp. Weakened: as there.
    slot.state.store(slot_state::sent, std::memory_order_release);
    queue_signal(thread);
}

// Up to what a sample can say of itself; more are lost, of a thread that was not interrupted for a
// minute.
void wall_sampler::merge(watched& thread, wall_slot& slot) {
    slot.merged.fetch_add(weight_, std::memory_order_relaxed);  // a count that stands alone
    if (now_ns() - thread.sent_ns < resend_ns) return;
    thread.sent_ns = now_ns();
    queue_signal(thread);
}

void wall_sampler::repeat(watched& thread) {
    thread.repeats += weight_;
    thread.repeat_ns = now_ns();
    if (thread.repeat_ns - thread.reported_ns >= report_ns) report(thread);
}

void wall_sampler::report(watched& thread) {
    if (thread.repeats == 0) return;
    const thread_repeat what{thread.repeat_ns, static_cast<std::uint32_t>(thread.thread_id),
                             thread.repeats};
    thread.reported_ns = now_ns();
    // What found no room is told next time.
    if (report_repeat_ == nullptr || report_repeat_(what)) thread.repeats = 0;
}

void wall_sampler::drop_ended() {
    std::erase_if(threads_, [this](watched& thread) {
        if (!thread.ended) return false;
        report(thread);
        wall_slot_at(thread.slot).thread_id.store(0, std::memory_order_relaxed);  // drops late ones
        free_slots_.push_back(thread.slot);
        return true;
    });
}

std::string wall_source::start(const source_settings& settings, int excluded_tid,
                               const std::vector<int>& threads) {
    sampler_ = new wall_sampler(settings, excluded_tid);
    sampler_->tell(threads, {});
    const auto run = [](void* sampler) { static_cast<wall_sampler*>(sampler)->run(); };
    const int error = settings.start_thread == nullptr
                          ? ENOTSUP
                          : settings.start_thread("nmi-sampler", run, sampler_);
    if (error == 0) return {};
    delete sampler_;
    sampler_ = nullptr;
    return std::string("cannot start a thread that looks at the others: ") + std::strerror(error);
}

void wall_source::stop() {
    if (sampler_ == nullptr) return;
    sampler_->end();
    delete sampler_;
    sampler_ = nullptr;
    clear_wall_slots();
}

void wall_source::rescan(const std::vector<int>& threads, const std::vector<int>& blocking) {
    if (sampler_ != nullptr) sampler_->tell(threads, blocking);
}

void wall_source::arm_new(int thread_id) {
    if (sampler_ != nullptr) sampler_->tell_new(thread_id);
}

std::uint64_t wall_source::overruns() const noexcept {
    return sampler_ == nullptr ? 0 : sampler_->overruns();
}

std::vector<int> wall_source::left_out() const {
    return sampler_ == nullptr ? std::vector<int>{} : sampler_->left_out();
}

}  // namespace nmircu::platform
