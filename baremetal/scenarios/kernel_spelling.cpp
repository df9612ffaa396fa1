// SPDX-License-Identifier: MIT
//
// The program of examples/nmi_rcu, unmodified, down to its main: C, the kernel's names, and a
// do_nmi of its own. What it prints and returns is what it says on Linux.
#include "baremetal/scenario.hpp"

// The example's main, as its compilation calls it here: baremetal/CMakeLists.txt.
extern "C" int nmi_rcu_main();

namespace nmircu::baremetal {

namespace {

verdict run() {
    if (cpus() < 4) return failed("this takes four CPUs (qemu: -smp 4)");
    nmi_set_unknown_policy(nmi_unknown_policy::ignore);  // between two handlers
    if (const int status = nmi_rcu_main(); status != 0) {
        return failed("the program returned ", static_cast<unsigned>(status));
    }
    return passed("as on Linux");
}

}  // namespace

NMIRCU_SCENARIO = {"kernel_spelling", "examples/nmi_rcu, unmodified", 60, run};

}  // namespace nmircu::baremetal
