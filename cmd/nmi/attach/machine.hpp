// SPDX-License-Identifier: MIT
//
// A function call in a thread of another process, as far as the instruction set decides it:
// registers, and a stack that brings the thread back by itself. The frame that the function returns
// to is the one a signal handler would return to: the kernel's own rt_sigreturn puts every register
// back. So the thread finds its way even if we are gone by then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nmircu::command::machine {

// Registers of a stopped thread: the general ones, and everything else the kernel switches.
struct state {
    std::vector<std::byte> general;
    std::vector<std::byte> extended;
};

// What the thread is to do, and where it comes back to.
struct call {
    std::uint64_t function = 0;
    std::string text;              // first argument: its address; empty: no arguments
    std::uint64_t second = 0;      // second argument
    std::uint64_t trampoline = 0;  // libc's, which calls rt_sigreturn
};

// A call made ready: these bytes at this address, then these registers.
struct prepared_call {
    std::vector<std::byte> stack;
    std::uint64_t stack_at = 0;
    std::vector<std::byte> general;
    std::uint64_t return_stack_pointer = 0;  // at the trampoline's system call
};

// Whether any of this is known for the machine nmi was built for.
bool is_known();

// Of the calling process's stopped tracee. False: errno says why.
bool read(int thread_id, state& out);
bool write(int thread_id, const state& in);
bool write_general(int thread_id, const std::vector<std::byte>& general);

std::uint64_t instruction_pointer(const state& of);
std::uint64_t stack_pointer(const state& of);
// 64-bit code.
bool is_native(const state& of);
// A system call that waits: and is continued after a stop as if nothing had been; or that may fail
// with EINTR because of a stop alone (signal(7)).
bool is_quiet_wait(long number);
bool is_loud_wait(long number);
// Stopped in a system call that the kernel would begin anew, or would continue.
bool is_in_system_call(const state& of);

// Bytes below the stack pointer that a call needs, the function's own not counted.
std::size_t frame_bytes(const state& of);
prepared_call prepare(const state& before, const call& what);

// At the beginning of a system call: it is the one that ends the call.
bool has_returned(const state& now, const prepared_call& what);

// As `before`, but safe to go on with from the beginning of a system call, which is left out: an
// interrupted one has failed with EINTR. To be replaced by `before` at the next stop.
std::vector<std::byte> resting(const state& before);

// The bytes of the trampoline in libc's code.
std::span<const unsigned char> trampoline_code();

// Where errno is, from the code of __errno_location and the thread's registers: the address of the
// offset to add, or 0 if the code is not as expected.
std::uint64_t errno_offset_at(std::span<const unsigned char> code, std::uint64_t code_at);
std::uint64_t thread_pointer(const state& of);

}  // namespace nmircu::command::machine
