// SPDX-License-Identifier: MIT
//
// Questions to CPUs, by NMI; and the engine's, whom it waits for.
//
//   variable           written by    read by       protection
//   question, argument who asks      the CPU       [BQ-1] with [BQ-2]; under `asking`
//   asked              who asks      the CPU       the same
//   answered           the CPU       who asks      [BQ-3] with [BQ-4]
//   repeated           both          the CPU       a count; one too many swallows one stray NMI
#include "platform/baremetal/ask_cpus.hpp"

#include <nmircu/detail/reader.hpp>
#include <nmircu/platform/port.hpp>
#include <nmircu/platform/unreachable.hpp>
#include <nmircu/rcu_stall.hpp>

#include "platform/baremetal/clock.hpp"
#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/local_apic.hpp"
#include "platform/baremetal/pt_regs.hpp"
#include "platform/baremetal/threads.hpp"
#include "platform/lock.hpp"

namespace nmircu::baremetal {

namespace {

// An NMI that arrives together with another one is that one; then it is sent again.
constexpr std::uint64_t again_after_ns = 20'000'000;
// An emulated machine of 64 CPUs on two may take a while.
constexpr std::uint64_t answer_takes_ns = 1'000'000'000;

struct posted_question {
    question_t function;
    void* argument;
    std::atomic<std::uint32_t> asked;
    // NMIs sent again for a question, which may arrive when it has been answered.
    std::atomic<std::uint32_t> repeated;
};
constinit posted_question posted[platform::max_cpus]{};
constinit platform::lock asking;

bool is_answered(const cpu_area& cpu, std::uint32_t number) noexcept {
    // [BQ-4] acquire: the answer precedes the word that says so. Partner: [BQ-3]. Weakened: half an
    // answer is read.
    return cpu.answered.load(std::memory_order_acquire) == number;
}

bool wait_for_answer(const cpu_area& cpu, std::uint32_t number, std::uint64_t most_ns) noexcept {
    const std::uint64_t start = now_ns();
    while (!is_answered(cpu, number)) {
        if (now_ns() - start >= most_ns) return false;
        arch::spin_hint();
    }
    return true;
}

// Sends the NMI until it is answered.
bool ask_until_answered(cpu_area& cpu, std::uint32_t number, std::uint64_t most_ns) noexcept {
    const std::uint64_t start = now_ns();
    for (std::uint64_t waited = 0; waited < most_ns; waited = now_ns() - start) {
        if (waited != 0) {
            posted[cpu.number].repeated.fetch_add(1, std::memory_order_relaxed);  // the table
        }
        send_ipi(cpu.apic_id, icr_nmi | icr_assert);
        const std::uint64_t rest = most_ns - waited;
        if (wait_for_answer(cpu, number, rest < again_after_ns ? rest : again_after_ns)) {
            return true;
        }
    }
    return false;
}

bool is_repetition(posted_question& mine) noexcept {
    // Relaxed: see the table.
    if (mine.repeated.load(std::memory_order_relaxed) == 0) return false;
    mine.repeated.fetch_sub(1, std::memory_order_relaxed);
    return true;
}

}  // namespace

bool answer_question(cpu_area& cpu, pt_regs* regs) noexcept {
    posted_question& mine = posted[cpu.number];
    // [BQ-2] acquire: the question precedes its number. Partner: [BQ-1]. Weakened: another one is
    // answered.
    const std::uint32_t asked = mine.asked.load(std::memory_order_acquire);
    if (asked == cpu.answered.load(std::memory_order_relaxed)) return is_repetition(mine);  // ours
    mine.function(regs, mine.argument);
    // [BQ-3] release: the answer precedes the word that says so. Partner: [BQ-4]. Weakened: as
    // there.
    cpu.answered.store(asked, std::memory_order_release);
    return true;
}

bool ask_cpu(cpu_area& cpu, question_t question, void* argument, std::uint64_t most_ns) noexcept {
    platform::lock_guard guard(asking);
    posted_question& its = posted[cpu.number];
    const std::uint32_t last = its.asked.load(std::memory_order_relaxed);  // under the lock
    // It may not even have answered the last one.
    if (!is_answered(cpu, last) && !ask_until_answered(cpu, last, most_ns)) return false;
    its.repeated.store(0, std::memory_order_relaxed);  // the table
    its.function = question;
    its.argument = argument;
    // [BQ-1] release: the question precedes its number. Partner: [BQ-2]. Weakened: as there.
    its.asked.store(last + 1, std::memory_order_release);
    return ask_until_answered(cpu, last + 1, most_ns);
}

namespace {

// What a CPU tells of its running thread; one at a time, and alive for ever, as an answer may come
// too late to be waited for.
struct interrupted_thread {
    const thread* who;
    const void* instruction;
    std::uint64_t section;
    std::uint32_t nmi_depth;
    std::uint32_t handlers;
    rcu_stalled_handler handler[rcu_most_stalled_handlers];
};
constinit interrupted_thread answers[platform::max_cpus]{};

void copy_text(const char* from, char* out, unsigned bytes) noexcept {
    unsigned i = 0;
    for (; from != nullptr && from[i] != '\0' && i + 1 < bytes; ++i)
        out[i] = from[i];
    out[i] = '\0';
}

void describe_thread(pt_regs* regs, void* out) {
    auto& answer = *static_cast<interrupted_thread*>(out);
    const thread& who = *this_cpu_area().running;
    answer.who = &who;
    answer.instruction = reinterpret_cast<const void*>(regs->rip);
    answer.section = detail::section_of(who.reader);
    answer.nmi_depth = who.reader.nmi_depth;
    answer.handlers = 0;
    for (const detail::running_handler* at = who.reader.handler;
         at != nullptr && answer.handlers < rcu_most_stalled_handlers; at = at->outer) {
        rcu_stalled_handler& next = answer.handler[answer.handlers++];
        copy_text(at->code->name, next.name, sizeof next.name);
        next.function = at->code->function;
    }
}

rcu_stalled_reader seen_from_outside(const thread& who, const cpu_area& cpu) noexcept {
    rcu_stalled_reader out{};
    out.thread = who.number;
    out.cpu = static_cast<std::int32_t>(cpu.number);
    copy_text(who.name, out.name, sizeof out.name);
    out.state = cpu.running == &who && cpu.halted.load(std::memory_order_relaxed) == 0 ? 'R' : 'S';
    out.sight = rcu_sight::seen;
    out.entered_at = who.reader.entered_at;
    out.nesting =
        1 + static_cast<std::uint32_t>(detail::section_of(who.reader) >> detail::nesting_shift);
    out.nmi_depth = who.reader.nmi_depth;
    return out;
}

void tell_of(const thread& who, const cpu_area& cpu, const interrupted_thread* answer,
             const platform::reader_question& question) noexcept {
    const bool answered = answer != nullptr && answer->who == &who;
    const std::uint64_t section = answered ? answer->section : detail::section_of(who.reader);
    if (!question.wants(section, question.context)) return;
    rcu_stalled_reader out = seen_from_outside(who, cpu);
    if (answered) {
        out.sight = rcu_sight::answered;
        out.interrupted_at = answer->instruction;
        out.handlers = answer->handlers;
        for (unsigned i = 0; i < answer->handlers; ++i)
            out.handler[i] = answer->handler[i];
    }
    question.tell(out, question.context);
}

// A CPU that does not answer is looked at from outside: its records lie in the same memory.
void ask_about(cpu_area& cpu, const platform::reader_question& question) noexcept {
    interrupted_thread* answer = &answers[cpu.number];
    if (&cpu == &this_cpu_area() || !ask_cpu(cpu, describe_thread, answer, answer_takes_ns)) {
        answer = nullptr;
    }
    const thread* at = cpu.threads;
    do {
        if (at != this_cpu_area().running) tell_of(*at, cpu, answer, question);
        // [BQ-5] acquire: the thread is complete. Partner: [BT-3], threads.cpp. Weakened: as there.
        at = at->next.load(std::memory_order_acquire);
    } while (at != cpu.threads);
}

void answer_nothing(pt_regs*, void*) {}

}  // namespace

}  // namespace nmircu::baremetal

namespace nmircu::platform {

using namespace baremetal;

bool port::ask_every_reader(const reader_question& question) noexcept {
    for (unsigned cpu = 0; cpu < cpu_count; ++cpu)
        ask_about(cpu_areas[cpu], question);
    return true;
}

std::size_t list_unreachable(nmi_unreachable_thread* out, std::size_t most) noexcept {
    std::size_t found = 0;
    for (unsigned number = 0; number < cpu_count; ++number) {
        cpu_area& cpu = cpu_areas[number];
        if (&cpu == &this_cpu_area()) continue;
        if (ask_cpu(cpu, answer_nothing, nullptr, answer_takes_ns)) continue;
        if (found < most) {
            out[found] = {
                static_cast<std::int32_t>(number), 0, nmi_unreachable_reason::no_answer, '?', {}};
            copy_text(cpu.running->name, out[found].name, sizeof out[found].name);
        }
        ++found;
    }
    return found;
}

}  // namespace nmircu::platform
