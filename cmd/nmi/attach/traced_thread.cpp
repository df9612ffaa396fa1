// SPDX-License-Identifier: MIT
//
// ptrace, with PTRACE_SEIZE: no signal is sent, and system calls that were interrupted are begun
// anew by the kernel. See traced_thread.hpp.
#include <nmi/attach/traced_thread.hpp>

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include <fmt/format.h>

namespace nmircu::command {
namespace {

using clock = std::chrono::steady_clock;

constexpr int system_call_stop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD
constexpr auto settle_time = std::chrono::milliseconds(2000);

// struct rseq_cs and the field of struct rseq that points to one (uapi/linux/rseq.h).
struct sequence {
    std::uint32_t version, flags;
    std::uint64_t start, bytes, abort;
};
constexpr std::uint64_t sequence_pointer_at = 8;

bool trace(int request, int thread_id, std::uintptr_t data) {
    return ptrace(static_cast<__ptrace_request>(request), thread_id, nullptr,
                  reinterpret_cast<void*>(data)) == 0;
}

bool is_event_stop(int status) {
    return WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP;
}

}  // namespace

traced_thread::~traced_thread() {
    let_go();
}

void traced_thread::let_go() {
    if (seized_ && stopped_) trace(PTRACE_DETACH, thread_id_, 0);
    // One that never stopped stays seized until this process ends, which does it no harm.
    seized_ = stopped_ = false;
}

traced_thread::wait_result traced_thread::wait_for_stop(clock::time_point end, int& status) const {
    for (useconds_t pause_us = 20;; pause_us = std::min<useconds_t>(pause_us * 2, 2000)) {
        const pid_t got = waitpid(thread_id_, &status, __WALL | WNOHANG);
        if (got == thread_id_) {
            return WIFSTOPPED(status) ? wait_result::stopped : wait_result::ended;
        }
        if (got < 0 && errno != EINTR) return wait_result::ended;
        if (clock::now() >= end) return wait_result::timed_out;
        usleep(pause_us);
    }
}

bool traced_thread::stop(milliseconds deadline) {
    if (!trace(PTRACE_SEIZE, thread_id_, PTRACE_O_TRACESYSGOOD)) return false;
    seized_ = true;
    if (!trace(PTRACE_INTERRUPT, thread_id_, 0)) return false;
    const auto end = clock::now() + deadline;
    for (int status = 0;;) {
        switch (wait_for_stop(end, status)) {
            case wait_result::ended:
                seized_ = false;
                errno = ESRCH;
                return false;
            case wait_result::timed_out:
                errno = ETIMEDOUT;
                return false;
            case wait_result::stopped:
                break;
        }
        if (is_event_stop(status)) break;
        // A signal that was on its way: it is the program's.
        trace(PTRACE_CONT, thread_id_, static_cast<std::uintptr_t>(WSTOPSIG(status)));
    }
    stopped_ = true;
    memory_ = unique_fd(open(fmt::format("/proc/{}/mem", pid_).c_str(), O_RDWR | O_CLOEXEC));
    return memory_ && machine::read(thread_id_, before_);
}

bool traced_thread::read_memory(std::uint64_t at, void* to, std::size_t bytes) const {
    return pread(memory_.get(), to, bytes, static_cast<off_t>(at)) == static_cast<ssize_t>(bytes);
}

bool traced_thread::write_memory(std::uint64_t at, const void* from, std::size_t bytes) const {
    return pwrite(memory_.get(), from, bytes, static_cast<off_t>(at)) ==
           static_cast<ssize_t>(bytes);
}

// Unknown counts as yes, unless the kernel knows nothing of such sequences.
bool traced_thread::is_in_restartable_sequence() const {
    struct __ptrace_rseq_configuration rseq {};
    const long got = ptrace(PTRACE_GET_RSEQ_CONFIGURATION, thread_id_,
                            reinterpret_cast<void*>(sizeof rseq), &rseq);
    if (got < 0) return errno != EIO;
    if (rseq.rseq_abi_pointer == 0) return false;
    std::uint64_t current = 0;
    if (!read_memory(rseq.rseq_abi_pointer + sequence_pointer_at, &current, sizeof current)) {
        return true;
    }
    if (current == 0) return false;
    sequence found{};
    if (!read_memory(current, &found, sizeof found)) return true;
    return machine::instruction_pointer(before_) - found.start < found.bytes;
}

std::uint64_t traced_thread::errno_at(std::uint64_t code_at) const {
    unsigned char code[32];
    if (code_at == 0 || !read_memory(code_at, code, sizeof code)) return 0;
    const std::uint64_t offset_at = machine::errno_offset_at(code, code_at);
    std::uint64_t offset = 0;
    if (offset_at == 0 || !read_memory(offset_at, &offset, sizeof offset)) return 0;
    return machine::thread_pointer(before_) + offset;
}

// From stop to stop until the call is back. Signals are the program's, and its stops by job control
// begin again when we let go.
traced_thread::wait_result traced_thread::run_to_return(const machine::prepared_call& made,
                                                        clock::time_point end) {
    std::uintptr_t signal = 0;
    for (;;) {
        if (!trace(PTRACE_SYSCALL, thread_id_, signal)) return wait_result::ended;
        stopped_ = false;
        int status = 0;
        const wait_result seen = wait_for_stop(end, status);
        if (seen != wait_result::stopped) return seen;
        stopped_ = true;
        signal = 0;
        if (WSTOPSIG(status) == system_call_stop) {
            machine::state now;
            if (!machine::read(thread_id_, now)) return wait_result::ended;
            if (machine::has_returned(now, made)) return wait_result::stopped;
        } else if (!is_event_stop(status)) {
            signal = static_cast<std::uintptr_t>(WSTOPSIG(status));
        }
    }
}

// The thread stands at the beginning of the system call that ends the call. From here to a stop in
// which the kernel looks at interrupted system calls again.
bool traced_thread::put_back() {
    if (!machine::write(thread_id_, {machine::resting(before_), before_.extended}) ||
        !trace(PTRACE_INTERRUPT, thread_id_, 0)) {
        return false;
    }
    if (!trace(PTRACE_CONT, thread_id_, 0)) return false;
    stopped_ = false;
    int status = 0;
    const wait_result seen = wait_for_stop(clock::now() + settle_time, status);
    if (seen != wait_result::stopped) {
        seized_ = seen == wait_result::timed_out;
        return false;
    }
    stopped_ = machine::write_general(thread_id_, before_.general);
    if (is_event_stop(status)) return stopped_;
    // A signal was faster, which is not known to happen. It is the program's, and ends this.
    trace(PTRACE_DETACH, thread_id_, static_cast<std::uintptr_t>(WSTOPSIG(status)));
    seized_ = stopped_ = false;
    return true;
}

traced_thread::outcome traced_thread::call(const machine::call& what, milliseconds deadline) {
    if (!stopped_) return outcome::failed;
    const machine::prepared_call made = machine::prepare(before_, what);
    if (!write_memory(made.stack_at, made.stack.data(), made.stack.size()) ||
        !machine::write_general(thread_id_, made.general)) {
        return outcome::failed;
    }
    switch (run_to_return(made, clock::now() + deadline)) {
        case wait_result::stopped:
            return put_back() ? outcome::returned : outcome::ended;
        case wait_result::ended:
            seized_ = false;
            return outcome::ended;
        case wait_result::timed_out:
            break;
    }
    int status = 0;
    trace(PTRACE_INTERRUPT, thread_id_, 0);
    if (wait_for_stop(clock::now() + settle_time, status) == wait_result::stopped) {
        stopped_ = true;
        const bool has_signal = !is_event_stop(status) && WSTOPSIG(status) != system_call_stop;
        trace(PTRACE_DETACH, thread_id_,
              has_signal ? static_cast<std::uintptr_t>(WSTOPSIG(status)) : 0);
    }
    seized_ = stopped_ = false;
    return outcome::late;
}

}  // namespace nmircu::command
