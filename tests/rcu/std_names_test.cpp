// SPDX-License-Identifier: MIT
//
// Property: the opt-in header puts the draft's names into namespace std, and so does the alias of
// all of ours that a program may write for itself.
#include <nmircu/std_rcu.hpp>

namespace rcu_std = std;

#include "standard.hpp"
