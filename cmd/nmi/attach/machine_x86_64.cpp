// SPDX-License-Identifier: MIT
//
// x86-64. Sources: System V psABI 3.2.2 (calls, the red zone); Linux arch/x86/kernel/signal_64.c
// (struct rt_sigframe, restore_sigcontext) and uapi/asm/sigcontext.h (the extended state in it).
#include <nmi/attach/machine.hpp>

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <ucontext.h>

#include <cpuid.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace nmircu::command::machine {
namespace {

constexpr std::uint64_t red_zone_bytes = 128;
constexpr std::uint64_t no_system_call = ~std::uint64_t{0};
constexpr std::uint64_t rt_sigreturn_number = 15;
constexpr std::size_t most_extended_bytes = 64 << 10;
constexpr std::uint64_t user_code_segment = 0x33;

// What a system call returns inside the kernel when it is to be begun anew: -ERESTARTSYS,
// -ERESTARTNOINTR, -ERESTARTNOHAND; or, for -ERESTART_RESTARTBLOCK, to be continued.
constexpr long restarts_from = -514, restarts_to = -512, continues = -516;
constexpr std::uint64_t instruction_bytes = 2;  // of `syscall`

// struct _fpx_sw_bytes, in the legacy area of an XSAVE image: it says how much follows.
constexpr std::size_t software_bytes_at = 464;
constexpr std::uint32_t magic_before = 0x46505853, magic_behind = 0x46505845;
struct software_bytes {
    std::uint32_t magic;
    std::uint32_t extended_size;
    std::uint64_t features;
    std::uint32_t xstate_size;
    std::uint32_t padding[7];
};
static_assert(sizeof(software_bytes) == 48);
constexpr std::uint64_t legacy_features = 3;                  // x87, SSE
constexpr std::uint64_t on_request = std::uint64_t{1} << 18;  // AMX: a thread has to ask for it
constexpr std::size_t legacy_bytes = 576;                     // with the header

// As the kernel's struct rt_sigframe without its siginfo, which only handlers look at.
struct signal_frame {
    std::uint64_t return_address;
    std::uint64_t flags;
    std::uint64_t link;
    stack_t alternate_stack;
    mcontext_t registers;
    std::uint64_t mask;
};
static_assert(offsetof(signal_frame, registers) == 48 && sizeof(stack_t) == 24);
static_assert(offsetof(signal_frame, mask) == 48 + 256);
constexpr std::uint64_t frame_flags = 7;  // extended state; stack segment, strictly
constexpr int no_alternate_stack = 0x55;  // no such flags: the kernel leaves it as it is

user_regs_struct registers_of(const std::vector<std::byte>& general) {
    user_regs_struct out{};
    if (general.size() == sizeof out) std::memcpy(&out, general.data(), sizeof out);
    return out;
}

std::vector<std::byte> bytes_of(const user_regs_struct& registers) {
    std::vector<std::byte> out(sizeof registers);
    std::memcpy(out.data(), &registers, sizeof registers);
    return out;
}

bool is_interrupted_call(const user_regs_struct& registers) {
    const auto result = static_cast<long>(registers.rax);
    return registers.orig_rax != no_system_call &&
           ((result >= restarts_from && result <= restarts_to) || result == continues);
}

// What the registers are to be if nobody but the frame puts them back.
user_regs_struct without_us(user_regs_struct registers) {
    if (!is_interrupted_call(registers)) return registers;
    if (static_cast<long>(registers.rax) == continues) {
        registers.rax = static_cast<std::uint64_t>(-EINTR);  // the kernel forgets how, on the way
    } else {
        registers.rax = registers.orig_rax;
        registers.rip -= instruction_bytes;
    }
    return registers;
}

mcontext_t to_context(const user_regs_struct& from, std::uint64_t extended_at) {
    mcontext_t to{};
    const auto set = [&](int which, std::uint64_t value) {
        to.gregs[which] = static_cast<greg_t>(value);
    };
    set(REG_R8, from.r8), set(REG_R9, from.r9), set(REG_R10, from.r10), set(REG_R11, from.r11);
    set(REG_R12, from.r12), set(REG_R13, from.r13), set(REG_R14, from.r14), set(REG_R15, from.r15);
    set(REG_RDI, from.rdi), set(REG_RSI, from.rsi), set(REG_RBP, from.rbp), set(REG_RBX, from.rbx);
    set(REG_RDX, from.rdx), set(REG_RAX, from.rax), set(REG_RCX, from.rcx), set(REG_RSP, from.rsp);
    set(REG_RIP, from.rip), set(REG_EFL, from.eflags);
    set(REG_CSGSFS, (from.cs & 0xffff) | (from.ss & 0xffff) << 48);
    to.fpregs = reinterpret_cast<fpregset_t>(extended_at);
    return to;
}

// The size of what every thread has without asking.
std::size_t default_extended_bytes(std::uint64_t features) {
    std::size_t bytes = legacy_bytes;
    for (unsigned feature = 2; feature < 63; ++feature) {
        if ((features >> feature & 1) == 0) continue;
        unsigned size = 0, at = 0, flags = 0, unused = 0;
        __cpuid_count(0xd, feature, size, at, flags, unused);
        if (at + size > bytes) bytes = at + size;
    }
    return bytes;
}

// The image as a signal frame has it.
std::vector<std::byte> to_frame_image(std::vector<std::byte> image) {
    if (image.size() < legacy_bytes) return image;
    software_bytes about{};
    std::memcpy(&about.features, image.data() + software_bytes_at, sizeof about.features);
    about.features &= ~on_request;
    const std::size_t bytes = default_extended_bytes(about.features);
    if (about.features == 0 || bytes > image.size()) about.features = legacy_features;
    image.resize(about.features == legacy_features ? legacy_bytes : bytes);
    about.magic = magic_before;
    about.xstate_size = static_cast<std::uint32_t>(image.size());
    about.extended_size = about.xstate_size + static_cast<std::uint32_t>(sizeof magic_behind);
    std::memcpy(image.data() + software_bytes_at, &about, sizeof about);
    std::uint64_t present = 0;  // the header's first word
    std::memcpy(&present, image.data() + 512, sizeof present);
    present &= about.features;
    std::memcpy(image.data() + 512, &present, sizeof present);
    const auto* end = reinterpret_cast<const std::byte*>(&magic_behind);
    image.insert(image.end(), end, end + sizeof magic_behind);
    return image;
}

bool read_set(int thread_id, int which, std::vector<std::byte>& out, std::size_t room) {
    out.resize(room);
    iovec part{out.data(), out.size()};
    if (ptrace(PTRACE_GETREGSET, thread_id, which, &part) != 0) return false;
    out.resize(part.iov_len);
    return true;
}

bool write_set(int thread_id, int which, const std::vector<std::byte>& in) {
    iovec part{const_cast<std::byte*>(in.data()), in.size()};
    return ptrace(PTRACE_SETREGSET, thread_id, which, &part) == 0;
}

constexpr std::uint64_t down_to(std::uint64_t address, std::uint64_t alignment) {
    return address & ~(alignment - 1);
}

constexpr unsigned char trampoline[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

}  // namespace

bool is_known() {
    return true;
}

bool read(int thread_id, state& out) {
    return read_set(thread_id, NT_PRSTATUS, out.general, sizeof(user_regs_struct)) &&
           read_set(thread_id, NT_X86_XSTATE, out.extended, most_extended_bytes);
}

bool write_general(int thread_id, const std::vector<std::byte>& general) {
    return write_set(thread_id, NT_PRSTATUS, general);
}

bool write(int thread_id, const state& in) {
    return write_set(thread_id, NT_X86_XSTATE, in.extended) && write_general(thread_id, in.general);
}

std::uint64_t instruction_pointer(const state& of) {
    return registers_of(of.general).rip;
}
std::uint64_t stack_pointer(const state& of) {
    return registers_of(of.general).rsp;
}
std::uint64_t thread_pointer(const state& of) {
    return registers_of(of.general).fs_base;
}
bool is_native(const state& of) {
    return registers_of(of.general).cs == user_code_segment;
}
bool is_quiet_wait(long number) {
    constexpr std::array quiet = {SYS_futex,    SYS_clock_nanosleep, SYS_nanosleep,
                                  SYS_poll,     SYS_ppoll,           SYS_select,
                                  SYS_pselect6, SYS_waitid,          SYS_wait4};
    return std::find(quiet.begin(), quiet.end(), number) != quiet.end();
}
bool is_loud_wait(long number) {
    constexpr std::array loud = {SYS_epoll_wait, SYS_epoll_pwait,     SYS_recvfrom,    SYS_recvmsg,
                                 SYS_accept,     SYS_accept4,         SYS_semtimedop,  SYS_semop,
                                 SYS_msgrcv,     SYS_rt_sigtimedwait, SYS_io_getevents};
    return std::find(loud.begin(), loud.end(), number) != loud.end();
}
bool is_in_system_call(const state& of) {
    return is_interrupted_call(registers_of(of.general));
}

std::size_t frame_bytes(const state& of) {
    return red_zone_bytes + of.extended.size() + sizeof(signal_frame) + 4096;
}

// From high to low addresses: the red zone, the text, the extended state, the frame.
prepared_call prepare(const state& before, const call& what) {
    const user_regs_struct registers = registers_of(before.general);
    const std::vector<std::byte> image = to_frame_image(before.extended);
    const std::uint64_t top = down_to(registers.rsp - red_zone_bytes, 64);
    const std::uint64_t text_at = down_to(top - what.text.size() - 1, 64);
    const std::uint64_t extended_at = down_to(text_at - image.size(), 64);
    // As behind a call instruction: 8 bytes below a multiple of 16.
    const std::uint64_t frame_at = down_to(extended_at - sizeof(signal_frame), 16) - 8;

    signal_frame frame{};
    frame.return_address = what.trampoline;
    frame.flags = frame_flags;
    frame.alternate_stack.ss_flags = no_alternate_stack;
    frame.registers = to_context(without_us(registers), extended_at);

    prepared_call ready;
    ready.stack_at = frame_at;
    ready.stack.resize(top - frame_at);
    const auto put = [&](std::uint64_t at, const void* bytes, std::size_t count) {
        std::memcpy(ready.stack.data() + (at - frame_at), bytes, count);
    };
    put(frame_at, &frame, sizeof frame);
    put(extended_at, image.data(), image.size());
    put(text_at, what.text.c_str(), what.text.size() + 1);
    ready.return_stack_pointer = frame_at + sizeof frame.return_address;

    user_regs_struct entry = registers;
    entry.orig_rax = no_system_call;
    entry.rip = what.function;
    entry.rsp = frame_at;
    entry.rdi = what.text.empty() ? 0 : text_at;
    entry.rsi = what.second;
    entry.rax = 0;
    entry.eflags &= ~std::uint64_t{0x400};  // the direction flag: cleared, as callees expect it
    ready.general = bytes_of(entry);
    return ready;
}

bool has_returned(const state& now, const prepared_call& what) {
    const user_regs_struct registers = registers_of(now.general);
    return registers.orig_rax == rt_sigreturn_number && registers.rsp == what.return_stack_pointer;
}

std::vector<std::byte> resting(const state& before) {
    user_regs_struct registers = registers_of(before.general);
    if (is_interrupted_call(registers)) registers.rax = static_cast<std::uint64_t>(-EINTR);
    registers.orig_rax = no_system_call;
    return bytes_of(registers);
}

std::span<const unsigned char> trampoline_code() {
    return trampoline;
}

// [endbr64] mov OFFSET(%rip),%rax; add %fs:0,%rax; ret
std::uint64_t errno_offset_at(std::span<const unsigned char> code, std::uint64_t code_at) {
    constexpr unsigned char end_branch[] = {0xf3, 0x0f, 0x1e, 0xfa};
    constexpr unsigned char load[] = {0x48, 0x8b, 0x05};
    constexpr unsigned char rest[] = {0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3};
    const auto begins_with = [&](std::span<const unsigned char> bytes) {
        return code.size() >= bytes.size() &&
               std::memcmp(code.data(), bytes.data(), bytes.size()) == 0;
    };
    const auto skip = [&](std::size_t bytes) {
        code = code.subspan(bytes);
        code_at += bytes;
    };
    if (begins_with(end_branch)) skip(sizeof end_branch);
    if (!begins_with(load) || code.size() < sizeof load + 4) return 0;
    std::int32_t distance = 0;
    std::memcpy(&distance, code.data() + sizeof load, sizeof distance);
    skip(sizeof load + sizeof distance);
    return begins_with(rest) ? code_at + static_cast<std::uint64_t>(std::int64_t{distance}) : 0;
}

}  // namespace nmircu::command::machine
