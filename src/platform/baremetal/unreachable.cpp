// SPDX-License-Identifier: MIT
//
// Whom no NMI reaches: of CPUs nothing is known before one has been asked. Context: thread.
#include <nmircu/platform/unreachable.hpp>

namespace nmircu::platform {

std::size_t list_unreachable(nmi_unreachable_thread*, std::size_t) noexcept {
    return nmi_threads_unknown;
}

}  // namespace nmircu::platform
