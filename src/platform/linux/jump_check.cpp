// SPDX-License-Identifier: MIT
//
// Debug builds of the shared library stop a longjmp that leaves a read-side section. They stand
// before libc's setjmp and longjmp: each setjmp notes how many sections its thread is inside, each
// longjmp compares. A jump within a section, or to a setjmp made in it, passes.
//
// What the table cannot know passes too: a jump to a buffer whose setjmp is not among the thread's
// latest few, was made before this library was loaded, or copied. A sanitizer's functions may stand
// before these or behind: each calls the next in line. Context: any; the table is the thread's own,
// and a signal takes entries of its own.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>

#include <nmircu/arch/setjmp_entry.hpp>
#include <nmircu/detail/reader.hpp>
#include <nmircu/platform/port.hpp>

#include "platform/handler_name.hpp"
#include "platform/text.hpp"

namespace nmircu::platform {

namespace {

struct noted_setjmp {
    const void* buffer;
    const void* called_at;
    std::uint64_t depth;
};
// Small: a library that is loaded late finds little room for thread-local memory.
constexpr unsigned most_noted = 16;
__thread noted_setjmp noted[most_noted] __attribute__((tls_model("initial-exec")));
__thread unsigned next_noted __attribute__((tls_model("initial-exec")));

using longjmp_function = void (*)(void*, int);
struct libc_jumps {
    void* set;
    longjmp_function jump, jump_checked;
};
constinit libc_jumps next_in_line{};

// Found out at the start, or in a setjmp or longjmp before that.
void find_libc() noexcept {
    if (next_in_line.set != nullptr) return;
    next_in_line.jump = reinterpret_cast<longjmp_function>(::dlsym(RTLD_NEXT, "siglongjmp"));
    next_in_line.jump_checked =
        reinterpret_cast<longjmp_function>(::dlsym(RTLD_NEXT, "__longjmp_chk"));
    if (next_in_line.jump_checked == nullptr) next_in_line.jump_checked = next_in_line.jump;
    void* const set = ::dlsym(RTLD_NEXT, "__sigsetjmp");
    if (next_in_line.jump == nullptr || set == nullptr) {
        port::panic("nmircu: libc's __sigsetjmp and siglongjmp are not to be found");
    }
    next_in_line.set = set;
}

[[gnu::constructor(103)]] void find_libc_at_the_start() {
    find_libc();
}

std::uint64_t depth_of(const detail::reader_state& self) noexcept {
    const std::uint64_t section = detail::section_of(self);
    return section < detail::one_section ? 0 : 1 + (section >> detail::nesting_shift);
}

noted_setjmp* find(const void* buffer) noexcept {
    for (noted_setjmp& one : noted) {
        if (one.buffer == buffer) return &one;
    }
    return nullptr;
}

void refuse(const char* what, const void* caller, const noted_setjmp& target,
            const detail::reader_state& self) noexcept {
    text_line line;
    line << "nmircu: " << what << " called at " << caller
         << " leaves the read-side critical section entered at "
         << (target.depth == 0 || self.locked_at == nullptr ? self.entered_at : self.locked_at);
    name_handler(line, self);
    line << "; its setjmp was called at " << target.called_at << ", "
         << (target.depth == 0 ? "outside sections" : "outside this one")
         << ". The section would stay open, and every grace period wait for it. Leave it first";
    port::panic(line.c_str());
}

void check_jump(const char* what, const void* buffer, const void* caller) noexcept {
    find_libc();
    const noted_setjmp* const target = find(buffer);
    const detail::reader_state& self = this_reader();
    if (target != nullptr && depth_of(self) > target->depth) refuse(what, caller, *target, self);
}

}  // namespace

}  // namespace nmircu::platform

extern "C" {

[[gnu::visibility("hidden")]] void* nmircu_note_setjmp(const void* buffer,
                                                       const void* caller) noexcept {
    using namespace nmircu::platform;
    find_libc();
    noted_setjmp* place = find(buffer);
    if (place == nullptr) place = &noted[next_noted++ % most_noted];
    place->buffer = nullptr;
    place->called_at = caller;
    place->depth = depth_of(this_reader());
    place->buffer = buffer;
    return next_in_line.set;
}

// Under libc's names, which the compiler has opinions about. Weak, as the setjmp functions.
#define NMIRCU_JUMP(function, name)                                                 \
    [[noreturn, gnu::weak, gnu::visibility("default")]] void function(void* buffer, \
                                                                      int value) __asm__(name)
NMIRCU_JUMP(nmircu_longjmp, "longjmp");
NMIRCU_JUMP(nmircu_plain_longjmp, "_longjmp");
NMIRCU_JUMP(nmircu_siglongjmp, "siglongjmp");
NMIRCU_JUMP(nmircu_longjmp_chk, "__longjmp_chk");

void nmircu_longjmp(void* buffer, int value) {
    nmircu::platform::check_jump("longjmp", buffer, __builtin_return_address(0));
    nmircu::platform::next_in_line.jump(buffer, value);
    __builtin_unreachable();
}
void nmircu_plain_longjmp(void* buffer, int value) {
    nmircu::platform::check_jump("_longjmp", buffer, __builtin_return_address(0));
    nmircu::platform::next_in_line.jump(buffer, value);
    __builtin_unreachable();
}
void nmircu_siglongjmp(void* buffer, int value) {
    nmircu::platform::check_jump("siglongjmp", buffer, __builtin_return_address(0));
    nmircu::platform::next_in_line.jump(buffer, value);
    __builtin_unreachable();
}
void nmircu_longjmp_chk(void* buffer, int value) {
    nmircu::platform::check_jump("longjmp", buffer, __builtin_return_address(0));
    nmircu::platform::next_in_line.jump_checked(buffer, value);
    __builtin_unreachable();
}
}
