// SPDX-License-Identifier: MIT
//
// A program under ptrace whose registers and stack can be taken as a profiler would take them.
#pragma once

#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/uio.h>

#include <nmi/unwind/stack_slice.hpp>

namespace nmircu::command::test {

class stopped_program {
  public:
    explicit stopped_program(std::vector<const char*> arguments) {
        arguments.push_back(nullptr);
        child_ = fork();
        if (child_ == 0) {
            ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            execvp(arguments[0], const_cast<char* const*>(arguments.data()));
            _exit(127);
        }
        wait();
    }
    ~stopped_program() {
        if (!running_) return;
        kill(child_, SIGKILL);
        wait();
    }
    stopped_program(const stopped_program&) = delete;
    stopped_program& operator=(const stopped_program&) = delete;

    [[nodiscard]] int pid() const { return child_; }
    // False once it has ended. `signal` is delivered.
    bool resume(__ptrace_request how, int signal = 0) {
        if (running_) ptrace(how, child_, nullptr, signal);
        return wait();
    }
    // Lets it run for a while.
    bool run_for(unsigned microseconds) {
        ptrace(PTRACE_CONT, child_, nullptr, 0);
        usleep(microseconds);
        kill(child_, SIGSTOP);
        return wait();
    }
    [[nodiscard]] int signal() const { return signal_; }

    // Registers in DWARF numbering, and up to `bytes` of the stack.
    stack_slice take(std::size_t bytes) {
        user_regs_struct r{};
        ptrace(PTRACE_GETREGS, child_, nullptr, &r);
        registers_ = {r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
                      r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip};
        stack_.resize(bytes);
        // In pieces: the stack may end before.
        std::size_t done = 0;
        while (done < bytes) {
            const std::uint64_t at = r.rsp + done;
            const std::size_t piece = std::min<std::size_t>(bytes - done, 4096 - at % 4096);
            iovec local{stack_.data() + done, piece};
            iovec remote{reinterpret_cast<void*>(at), piece};
            if (process_vm_readv(child_, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(piece)) {
                break;
            }
            done += piece;
        }
        return {registers_, r.rsp, std::span(stack_).first(done)};
    }
    std::uint64_t word(std::uint64_t address) {
        return static_cast<std::uint64_t>(
            ptrace(PTRACE_PEEKDATA, child_, reinterpret_cast<void*>(address), nullptr));
    }

  private:
    bool wait() {
        int status = 0;
        running_ = waitpid(child_, &status, 0) == child_ && WIFSTOPPED(status);
        signal_ = running_ ? WSTOPSIG(status) : 0;
        return running_;
    }
    pid_t child_ = -1;
    bool running_ = false;
    int signal_ = 0;
    std::array<std::uint64_t, 17> registers_{};
    std::vector<std::byte> stack_;
};

}  // namespace nmircu::command::test
