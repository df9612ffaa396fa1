// SPDX-License-Identifier: MIT
//
// Whom no NMI reaches, as far as the platform can tell: on Linux threads, on bare metal CPUs that
// have not answered. Context: thread; does not allocate.
#pragma once

#include <cstddef>

#include <nmircu/nmi.hpp>

namespace nmircu::platform {

// As nmi_unreachable_threads.
std::size_t list_unreachable(nmi_unreachable_thread* out, std::size_t most) noexcept;

}  // namespace nmircu::platform
