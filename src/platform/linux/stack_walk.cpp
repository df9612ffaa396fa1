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

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

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

}  // namespace

std::uint32_t walk_stack(std::uintptr_t instruction, std::uintptr_t stack, std::uintptr_t frame,
                         std::uintptr_t* addresses, std::uint32_t most) noexcept {
    if (most == 0) return 0;
    if (most > most_frames) most = most_frames;
    const int saved_errno = errno;
    addresses[0] = instruction;
    std::uint32_t count = 1;
    readable_stack pages;
    std::uintptr_t lowest = stack;
    while (count < most && is_plausible(frame, lowest, stack) && pages.contains(frame)) {
        const std::uintptr_t return_address = read_word(frame + word_bytes);
        if (return_address < lowest_code) break;
        addresses[count++] = return_address;
        lowest = frame + frame_bytes;
        frame = read_word(frame);
    }
    errno = saved_errno;
    return count;
}

std::uint32_t walk_stack(const pt_regs* regs, std::uintptr_t* addresses,
                         std::uint32_t most) noexcept {
    return walk_stack(instruction_pointer(regs), user_stack_pointer(regs), frame_pointer(regs),
                      addresses, most);
}

}  // namespace nmircu::platform
