// SPDX-License-Identifier: MIT
//
// Finds out which race checker watches the program, and talks to it: to ThreadSanitizer through the
// functions of its run-time, which are there if the program has been built with it; to Valgrind's
// tools through client requests, instruction sequences that do nothing elsewhere. Valgrind's header
// is needed when this file is compiled; without it the library works there all the same, but its
// helgrind and DRD reports are false.
#include <nmircu/platform/race_checker.hpp>

#include <nmircu/detail/sanitizer.hpp>

#if __has_include(<valgrind/helgrind.h>) && __has_include(<valgrind/drd.h>)
#include <valgrind/drd.h>
#include <valgrind/helgrind.h>
#define NMIRCU_REQUEST(answer, request, first, second) \
    VALGRIND_DO_CLIENT_REQUEST_EXPR(answer, request, first, second, 0, 0, 0)
#else
#define NMIRCU_REQUEST(answer, request, first, second) (answer)
#endif

// Null unless ThreadSanitizer's run-time is part of the program (tsan_interface.h).
extern "C" {
void __tsan_acquire(void*) __attribute__((weak));
void __tsan_release(void*) __attribute__((weak));
}

namespace nmircu::platform {

constinit race_checker watching = race_checker::none;

namespace {

bool is_thread_sanitizer_there() noexcept {
    // In a library that is instrumented itself, ThreadSanitizer sees the atomics.
    if constexpr (detail::under_thread_sanitizer) return false;
    return &__tsan_acquire != nullptr && &__tsan_release != nullptr;
}

// Any address will do; answers a count, or the default.
bool is_helgrind_there() noexcept {
    return NMIRCU_REQUEST(~0ull, _VG_USERREQ__HG_GET_ABITS, &watching, nullptr) != ~0ull;
}

bool is_drd_there() noexcept {
    return NMIRCU_REQUEST(0, VG_USERREQ__DRD_GET_DRD_THREAD_ID, 0, 0) != 0;
}

}  // namespace

void find_race_checker() noexcept {
    watching = is_thread_sanitizer_there() ? race_checker::thread_sanitizer
               : is_helgrind_there()       ? race_checker::helgrind
               : is_drd_there()            ? race_checker::drd
                                           : race_checker::none;
}

void say_order_before(const void* tag) noexcept {
    switch (watching) {
        case race_checker::none:
            return;
        case race_checker::thread_sanitizer:
            return __tsan_release(const_cast<void*>(tag));
        case race_checker::helgrind:
            static_cast<void>(NMIRCU_REQUEST(0, _VG_USERREQ__HG_USERSO_SEND_PRE, tag, 0));
            return;
        case race_checker::drd:
            static_cast<void>(NMIRCU_REQUEST(0, VG_USERREQ__DRD_ANNOTATE_HAPPENS_BEFORE, tag, 0));
            return;
    }
}

void say_order_after(const void* tag) noexcept {
    switch (watching) {
        case race_checker::none:
            return;
        case race_checker::thread_sanitizer:
            return __tsan_acquire(const_cast<void*>(tag));
        case race_checker::helgrind:
            static_cast<void>(NMIRCU_REQUEST(0, _VG_USERREQ__HG_USERSO_RECV_POST, tag, 0));
            return;
        case race_checker::drd:
            static_cast<void>(NMIRCU_REQUEST(0, VG_USERREQ__DRD_ANNOTATE_HAPPENS_AFTER, tag, 0));
            return;
    }
}

void say_unchecked(const void* start, std::size_t bytes) noexcept {
    if (watching == race_checker::helgrind) {
        static_cast<void>(NMIRCU_REQUEST(0, _VG_USERREQ__HG_ARANGE_MAKE_UNTRACKED, start, bytes));
    } else if (watching == race_checker::drd) {
        static_cast<void>(NMIRCU_REQUEST(0, VG_USERREQ__DRD_START_SUPPRESSION, start, bytes));
    }
}

}  // namespace nmircu::platform
