// SPDX-License-Identifier: MIT
//
// Property: a program may make all of our names visible in namespace std.
#include <nmircu/rcu.hpp>

namespace std {
using namespace nmircu;
}
namespace rcu_std = std;

#include "standard.hpp"
