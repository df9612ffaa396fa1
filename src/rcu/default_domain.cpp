// SPDX-License-Identifier: MIT
//
// The one domain. Constant-initialised, its slots in .bss, so it works before main, in the very
// first signal of a process, and after static destruction.
#include <nmircu/rcu.hpp>

namespace nmircu {

namespace detail {
namespace {
// Apart from the domain, which is not all zeroes.
constinit reader_slot slots[max_cpus];
}  // namespace
constinit domain_state default_domain{slots};
}  // namespace detail

}  // namespace nmircu
