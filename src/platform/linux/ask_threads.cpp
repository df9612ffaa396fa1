// SPDX-License-Identifier: MIT
//
// The signal carries the address of a slot in a fixed table.
//
//   free --ask--> asked(thread) --signal--> answering --> answered --take--> free
//                      |
//                      +--taken back--> free
//
//   variable       written by                          read by    protection
//   slot.state     asker; the thread that is asked     both       compare-and-exchange
//   slot.answer    who moved the slot to `answering`   asker      [AQ-1] to [AQ-4]
//   answers        who answers                         asker      futex
//
// Late answers. A signal that arrives when its question was taken back finds its slot free, asked
// of another thread, or asked of this thread anew; it then does nothing, or answers the new
// question truly. A slot whose answer is being written when its time is up stays `answering` and is
// not asked through before it is `answered`.
#include "platform/linux/ask_threads.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include <nmircu/arch/context.hpp>
#include <nmircu/platform/port.hpp>

#include "platform/linux/reader_memory.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/linux/signal_vector.hpp"

namespace nmircu::platform {

namespace {

enum step : std::uint64_t { idle, asked, answering, answered };
constexpr std::uint64_t step_mask = 3;

constexpr std::uint64_t asked_of(std::uint32_t thread) noexcept {
    return std::uint64_t{thread} << 2 | asked;
}

struct question_slot {
    std::atomic<std::uint64_t> state;
    thread_answer answer;
};

constinit question_slot table[most_questions]{};
// How many answers there have been.
constinit std::atomic<std::uint32_t> answers{0};
// Whether there ever was a question.
constinit std::atomic<bool> any_asked{false};

void fill(thread_answer& answer, std::uint32_t thread, const ucontext_t& context) noexcept {
    const detail::reader_state& self = reader_state_of_this_thread;
    answer.section = self.section;
    answer.reader = {};
    answer.reader.thread = thread;
    answer.reader.sight = rcu_sight::answered;
    answer.reader.cpu = static_cast<std::int32_t>(port::current_cpu());
    answer.reader.interrupted_at =
        reinterpret_cast<const void*>(arch::instruction_pointer(context));
    describe_reader(self, copy_own, answer.reader);
}

void answer_in(question_slot& slot, const ucontext_t& context) noexcept {
    const std::uint32_t thread = port::current_thread();
    std::uint64_t state = asked_of(thread);
    // [AQ-2] acquire: the asker has done with the slot's last answer. Partner: [AQ-1].
    // Weakened: a new answer runs into an old one.
    if (!slot.state.compare_exchange_strong(state, answering, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
        return;
    }
    fill(slot.answer, thread, context);
    // [AQ-3] release: the answer precedes the step that says so. Partner: [AQ-4].
    // Weakened: half an answer is reported.
    slot.state.store(answered, std::memory_order_release);
    answers.fetch_add(1, std::memory_order_relaxed);  // the slots tell
    port::wake_all(answers);
}

// The kernel delivers a standard signal without its siginfo when the user's quota of pending
// signals is used up. Nobody but the kernel sends as process 0 of this namespace.
bool has_lost_its_info(const siginfo_t* info) noexcept {
    return info->si_code == SI_USER && info->si_pid == 0 &&
           any_asked.load(std::memory_order_relaxed);  // set before any question
}

bool all_answered(unsigned count) noexcept {
    for (unsigned i = 0; i < count; ++i) {
        // Relaxed: take_answer looks again.
        const std::uint64_t state = table[i].state.load(std::memory_order_relaxed);
        if ((state & step_mask) == asked || state == answering) return false;
    }
    return true;
}

}  // namespace

bool ask_thread(unsigned number, std::uint32_t thread) noexcept {
    question_slot& slot = table[number];
    if (!attach_for_questions()) return false;
    // Relaxed: an answer that comes to its end just now may be waited for the next time.
    if (slot.state.load(std::memory_order_relaxed) == answering) return false;
    any_asked.store(true, std::memory_order_relaxed);  // the signal comes after
    // [AQ-1] release: whoever answers overwrites what has been read. Partner: [AQ-2].
    // Weakened: as there.
    slot.state.store(asked_of(thread), std::memory_order_release);
    siginfo_t info = {};
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = &slot;
    if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread, nmi_signal, &info) == 0) return true;
    slot.state.store(idle, std::memory_order_relaxed);  // nobody has seen it
    return false;
}

void wait_for_answers(unsigned count, std::uint64_t most_ns) noexcept {
    const std::uint64_t start = port::now_ns();
    for (std::uint64_t waited = 0; waited < most_ns; waited = port::now_ns() - start) {
        // Relaxed: an answer that is missed has not been counted yet, and its count wakes us.
        const std::uint32_t seen = answers.load(std::memory_order_relaxed);
        if (all_answered(count)) return;
        // In steps, so that nothing hangs on the order of the two loads.
        constexpr std::uint64_t step_ns = 5'000'000;
        const std::uint64_t left = most_ns - waited;
        port::wait(answers, seen, left < step_ns ? left : step_ns);
    }
}

bool take_answer(unsigned number, thread_answer& out) noexcept {
    question_slot& slot = table[number];
    // [AQ-4] acquire: the answer is whole. Partner: the release at [AQ-3]. Weakened: as there.
    std::uint64_t state = slot.state.load(std::memory_order_acquire);
    // Relaxed: a question that is taken back was never answered.
    if ((state & step_mask) == asked &&
        slot.state.compare_exchange_strong(state, idle, std::memory_order_relaxed,
                                           std::memory_order_relaxed)) {
        return false;
    }
    if (state != answered) return false;
    out = slot.answer;
    slot.state.store(idle, std::memory_order_relaxed);  // [AQ-1] orders the reading
    return true;
}

bool answer_question(const siginfo_t* info, const ucontext_t& context) noexcept {
    if (info->si_signo != nmi_signal) return false;
    if (info->si_code == SI_QUEUE) {
        const auto at = reinterpret_cast<std::uintptr_t>(info->si_value.sival_ptr);
        const std::uintptr_t distance = at - reinterpret_cast<std::uintptr_t>(&table[0]);
        if (distance >= sizeof(table)) return false;
        answer_in(table[distance / sizeof(question_slot)], context);
        return true;
    }
    if (!has_lost_its_info(info)) return false;
    for (question_slot& slot : table)
        answer_in(slot, context);
    return true;
}

// There is one thread: relaxed throughout.
void forget_questions() noexcept {
    for (question_slot& slot : table)
        slot.state.store(idle, std::memory_order_relaxed);
}

}  // namespace nmircu::platform
