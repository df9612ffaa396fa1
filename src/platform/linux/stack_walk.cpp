// SPDX-License-Identifier: MIT
//
// The frame-pointer walk; see stack_walk.hpp. A frame is two words, the caller's frame pointer and
// the return address, at the address in the frame pointer; alike in the ABIs of x86-64 (System V
// ABI, section 3.2.2) and AArch64 (AAPCS64, section 6.4.6).
//
// Whether a page may be read is asked of the kernel: rt_sigprocmask copies the new mask from user
// memory before it looks at `how`, so with an impossible `how` it changes nothing and fails with
// EFAULT where the mask cannot be read and with EINVAL where it can. Every sandbox allows it, and
// it cannot block.
//
// What remains is the page that another thread unmaps between question and read. A thread's own
// stack stays while it runs; so only a register that holds no frame pointer, and yet an aligned
// address shortly above the stack pointer, could lead there. That is why "shortly" is kept short.
#include "platform/linux/stack_walk.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

// The stack pointer at the program's first instruction; glibc's loader has it.
extern "C" __attribute__((weak)) void* __libc_stack_end;  // NOLINT: its name

namespace nmircu::platform {
namespace {

constexpr std::uintptr_t page_bytes = 4096;  // the smallest there is
constexpr std::uintptr_t word_bytes = sizeof(std::uintptr_t);
constexpr std::uintptr_t frame_bytes = 2 * word_bytes;
constexpr std::uintptr_t lowest_code = 4096;  // the kernel never maps page 0

constexpr std::uintptr_t page_of(std::uintptr_t address) noexcept {
    return address & ~(page_bytes - 1);
}

bool is_readable(std::uintptr_t page) noexcept {
    constexpr std::size_t kernel_mask_bytes = 8;
    const long result = ::syscall(SYS_rt_sigprocmask, -1, page, nullptr, kernel_mask_bytes);
    return result != 0 && errno == EINVAL;
}

// Remembers the pages it was told about: frames are close together and most share one.
class readable_stack {
  public:
    bool contains(std::uintptr_t frame) noexcept {
        return covers(page_of(frame)) && covers(page_of(frame + frame_bytes - 1));
    }

  private:
    bool covers(std::uintptr_t page) noexcept {
        if (page == known_page_) return true;
        if (!is_readable(page)) return false;
        known_page_ = page;
        return true;
    }

    std::uintptr_t known_page_ = 1;  // no page
};

// Somebody else's memory, which may be poisoned or changing.
__attribute__((no_sanitize("address", "thread", "undefined"))) std::uintptr_t read_word(
    std::uintptr_t address) noexcept {
    return *reinterpret_cast<const volatile std::uintptr_t*>(address);
}

// Whether a frame at `frame` may follow one that ended at `lowest`, on the stack that starts at
// `stack`. Subtraction, because the address space may end just above.
bool is_plausible(std::uintptr_t frame, std::uintptr_t lowest, std::uintptr_t stack) noexcept {
    return frame % word_bytes == 0 && frame >= lowest && frame - lowest < most_frame_bytes &&
           frame - stack < most_stack_bytes && frame < ~std::uintptr_t{0} - frame_bytes;
}

// What lies between the first frame of a thread and its pthread_t; 0: not known. Relaxed: a number
// that stands alone.
constinit std::atomic<std::uintptr_t> above_first_frame{0};

// Whether `address` lies below `top`, no further than that.
bool is_shortly_below(std::uintptr_t address, std::uintptr_t top, std::uintptr_t bytes) noexcept {
    return address < top && top - address < bytes;
}

std::uintptr_t address_of_thread() noexcept {
    return static_cast<std::uintptr_t>(::pthread_self());
}

std::uintptr_t stack_of_main() noexcept {
    return &__libc_stack_end == nullptr ? 0 : reinterpret_cast<std::uintptr_t>(__libc_stack_end);
}

// Where libc calls a thread's function, or main: between the two are frames of its own, which are
// small, and of the language's.
bool is_among_first_frames(std::uintptr_t frame) noexcept {
    constexpr std::uintptr_t frames_of_libc = 1024;
    const std::uintptr_t above = above_first_frame.load(std::memory_order_relaxed);
    return is_shortly_below(frame, stack_of_main(), frames_of_libc) ||
           (above != 0 && is_shortly_below(frame, address_of_thread(), above + frames_of_libc));
}

// Where the stack that `stack` is on ends; as far as one may go, if that is not known.
std::uintptr_t stack_top(std::uintptr_t stack) noexcept {
    for (const std::uintptr_t top : {address_of_thread(), stack_of_main()}) {
        if (is_shortly_below(stack, top, most_stack_bytes)) return top;
    }
    const std::uintptr_t furthest = ~std::uintptr_t{0} - page_bytes;
    return furthest - stack < most_stack_bytes ? furthest : stack + most_stack_bytes;
}

}  // namespace

__attribute__((noinline)) void learn_first_frame() noexcept {
    const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const std::uintptr_t top = address_of_thread();
    if (!is_shortly_below(here, top, most_stack_bytes)) return;
    above_first_frame.store(top - here, std::memory_order_relaxed);  // see its declaration
}

std::uint32_t stack_extent(std::uintptr_t stack, std::uint32_t most, bool& ends) noexcept {
    const int saved_errno = errno;
    const std::uintptr_t top = stack_top(stack);
    const std::uintptr_t wanted = top - stack < most ? top : stack + most;
    std::uintptr_t end = stack;
    while (end < wanted && is_readable(page_of(end)))
        end = page_of(end) + page_bytes;
    if (end > wanted) end = wanted;
    errno = saved_errno;
    const auto bytes = static_cast<std::uint32_t>((end - stack) & ~(word_bytes - 1));
    ends = bytes + word_bytes <= most;
    return bytes;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) void copy_stack(
    std::uintptr_t stack, void* out, std::uint32_t bytes) noexcept {
    auto* to = static_cast<char*>(out);
    for (std::uint32_t at = 0; at < bytes; at += word_bytes) {
        const std::uintptr_t word = read_word(stack + at);
        __builtin_memcpy(to + at, &word, sizeof word);
    }
}

std::uint32_t walk_stack(std::uintptr_t instruction, std::uintptr_t stack, std::uintptr_t frame,
                         std::uintptr_t* addresses, std::uint32_t most, walk_end& end) noexcept {
    end = walk_end::limit;
    if (most == 0) return 0;
    if (most > most_frames) most = most_frames;
    const int saved_errno = errno;
    addresses[0] = instruction;
    std::uint32_t count = 1;
    readable_stack pages;
    std::uintptr_t lowest = stack;
    bool returns = true;
    while (count < most && is_plausible(frame, lowest, stack) && pages.contains(frame)) {
        const std::uintptr_t return_address = read_word(frame + word_bytes);
        returns = return_address >= lowest_code;
        if (!returns) break;
        addresses[count++] = return_address;
        lowest = frame + frame_bytes;
        frame = read_word(frame);
    }
    if (frame == 0 || !returns || is_among_first_frames(lowest - 1)) {
        end = walk_end::outermost;
    } else if (count < most) {
        end = walk_end::badly;
    }
    errno = saved_errno;
    return count;
}

std::uint32_t walk_stack(std::uintptr_t instruction, std::uintptr_t stack, std::uintptr_t frame,
                         std::uintptr_t* addresses, std::uint32_t most) noexcept {
    walk_end end;
    return walk_stack(instruction, stack, frame, addresses, most, end);
}

std::uint32_t walk_stack(const pt_regs* regs, std::uintptr_t* addresses, std::uint32_t most,
                         walk_end& end) noexcept {
    return walk_stack(instruction_pointer(regs), user_stack_pointer(regs), frame_pointer(regs),
                      addresses, most, end);
}

std::uint32_t walk_stack(const pt_regs* regs, std::uintptr_t* addresses,
                         std::uint32_t most) noexcept {
    return walk_stack(instruction_pointer(regs), user_stack_pointer(regs), frame_pointer(regs),
                      addresses, most);
}

}  // namespace nmircu::platform
