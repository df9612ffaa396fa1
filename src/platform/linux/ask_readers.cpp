// SPDX-License-Identifier: MIT
//
// Who is inside a section? Nobody has registered, so every thread is looked at (reader_memory.hpp).
// One that runs, and one that cannot be looked at, is asked (ask_threads.hpp). Context: thread.
#include <nmircu/platform/port.hpp>

#include "platform/linux/ask_threads.hpp"
#include "platform/linux/proc_self.hpp"
#include "platform/linux/reader_memory.hpp"
#include "platform/linux/signal_tag.hpp"

namespace nmircu::platform {

namespace {

// How long answers are waited for: in all, and at least for each batch of questions.
constexpr std::uint64_t most_wait_ns = 100'000'000;
constexpr std::uint64_t least_wait_ns = 2'000'000;

class survey {
  public:
    explicit survey(const reader_question& question) noexcept : question_(question) {}

    void consider(std::uint32_t thread) noexcept {
        detail::reader_state state;
        rcu_stalled_reader reader{};
        reader.thread = thread;
        switch (memory_.look(thread, state)) {
            case look_result::thread_gone:
                return;
            case look_result::impossible:
                consider_unseen(reader);
                return;
            case look_result::seen:
                if (wants(state.section)) consider_inside(reader, state);
                return;
        }
    }

    // Waits for the answers to what has been asked.
    void finish() noexcept {
        const std::uint64_t start = port::now_ns();
        if (asked_ != 0) {
            wait_for_answers(asked_, left_ns_ > least_wait_ns ? left_ns_ : least_wait_ns);
        }
        for (unsigned i = 0; i < asked_; ++i)
            conclude(i);
        asked_ = 0;
        const std::uint64_t spent = port::now_ns() - start;
        left_ns_ = spent < left_ns_ ? left_ns_ - spent : 0;
    }

  private:
    bool wants(std::uint64_t section) const noexcept {
        return question_.wants(section, question_.context);
    }
    void tell(const rcu_stalled_reader& reader) const noexcept {
        question_.tell(reader, question_.context);
    }

    void consider_inside(rcu_stalled_reader& reader, const detail::reader_state& state) noexcept {
        reader.sight = rcu_sight::seen;
        if (!memory_.describe(reader.thread, state, reader)) {
            // It moves. Perhaps it has left; if it is inside still, its handlers are others now.
            detail::reader_state again;
            if (memory_.look(reader.thread, again) != look_result::seen) return;
            if (!wants(again.section)) return;
            memory_.describe(reader.thread, again, reader);
        }
        task_status status;
        if (!read_status(reader, status)) return;
        reader.interrupted_at = read_task_address(reader.thread);
        const bool runs = status.state == 'R' && reader.interrupted_at == nullptr;
        if (!runs || status.blocks_signal || !ask(reader)) tell(reader);
    }

    void consider_unseen(rcu_stalled_reader& reader) noexcept {
        reader.sight = rcu_sight::silent;
        task_status status;
        if (!read_status(reader, status) || status.of_the_kernel) return;
        reader.silence = reason_not_to_ask(status);
        if (reader.silence == nullptr) {
            reader.silence = "it does not answer";
            if (ask(reader)) return;
        }
        reader.interrupted_at = read_task_address(reader.thread);
        tell(reader);
    }

    // False: the thread has ended.
    static bool read_status(rcu_stalled_reader& reader, task_status& status) noexcept {
        if (!read_task_status(reader.thread, nmi_signal, status)) return false;
        if (status.state == 'Z' || status.state == 'X') return false;
        reader.cpu = status.cpu;
        reader.state = status.state;
        read_task_name(reader.thread, reader.name, sizeof(reader.name));
        read_task_sleep(reader.thread, reader.sleeps_in, sizeof(reader.sleeps_in));
        return true;
    }

    static const char* reason_not_to_ask(const task_status& status) noexcept {
        switch (status.state) {
            case 'D':
                return "it is in an uninterruptible sleep";
            case 'T':
            case 't':
                return "it is stopped";
            default:
                return status.blocks_signal ? "it blocks SIGSTKFLT" : nullptr;
        }
    }

    bool ask(const rcu_stalled_reader& reader) noexcept {
        if (asked_ == most_questions) finish();
        if (!ask_thread(asked_, reader.thread)) return false;
        batch_[asked_++] = reader;
        return true;
    }

    void conclude(unsigned number) noexcept {
        rcu_stalled_reader& known = batch_[number];
        thread_answer answer;
        if (!take_answer(number, answer)) {
            task_status status;
            if (read_task_status(known.thread, nmi_signal, status)) tell(known);
            return;
        }
        if (!wants(answer.section)) return;
        // What /proc knows; a thread that has been interrupted was, or is now, awake.
        rcu_stalled_reader& told = answer.reader;
        told.state = known.state;
        for (unsigned i = 0; i < sizeof(told.name); ++i)
            told.name[i] = known.name[i];
        tell(told);
    }

    const reader_question& question_;
    const reader_memory memory_;
    std::uint64_t left_ns_ = most_wait_ns;
    unsigned asked_ = 0;
    // Too large for a small stack. One caller at a time.
    static rcu_stalled_reader batch_[most_questions];
};

constinit rcu_stalled_reader survey::batch_[most_questions]{};

}  // namespace

bool port::ask_every_reader(const reader_question& question) noexcept {
    const std::uint32_t self = current_thread();
    survey all(question);
    task_walk threads;
    while (const std::uint32_t thread = threads.next()) {
        if (thread != self) all.consider(thread);
    }
    all.finish();
    return threads.complete();
}

}  // namespace nmircu::platform
