// SPDX-License-Identifier: MIT
//
// Whom no NMI reaches: the platform knows, this says so. Thread context.
#include <nmircu/detail/misuse.hpp>
#include <nmircu/platform/unreachable.hpp>

namespace nmircu {

std::size_t nmi_unreachable_threads(nmi_unreachable_thread* out, std::size_t most) noexcept {
    detail::require_no_handler("nmi_unreachable_threads", __builtin_return_address(0));
    return platform::list_unreachable(out, most);
}

const char* describe(nmi_unreachable_reason reason) noexcept {
    switch (reason) {
        case nmi_unreachable_reason::not_attached:
            return "nobody has taken the interrupt, or the program has taken it away since";
        case nmi_unreachable_reason::blocks_signal:
            return "it blocks the signal";
        case nmi_unreachable_reason::waits_for_signal:
            return "it waits for the signal, as sigwait does, and would take it instead";
        case nmi_unreachable_reason::stopped:
            return "it is stopped";
        case nmi_unreachable_reason::sleeps_uninterruptibly:
            return "it is in an uninterruptible sleep";
        case nmi_unreachable_reason::ended:
            return "it has ended";
        case nmi_unreachable_reason::no_answer:
            return "it does not answer";
    }
    return "unknown reason";
}

}  // namespace nmircu
