// SPDX-License-Identifier: MIT
//
// The one domain. Constant-initialised and in .bss, so it works before main, in the very first
// signal of a process, and after static destruction.
#include <nmircu/rcu.hpp>

namespace nmircu {

namespace detail {
constinit domain_state default_domain;
}

rcu_domain& rcu_default_domain() noexcept {
    // The public object carries no state: readers find theirs through the thread.
    static constinit rcu_domain domain;
    return domain;
}

}  // namespace nmircu
