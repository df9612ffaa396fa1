// SPDX-License-Identifier: MIT
//
// Breaking the library, or the way it is used, to see whether the torture notices.
#pragma once

#include "options.hpp"

namespace torture {

// Before the first thread, after the library has started. For no-wait it executes the program that
// is linked without waiting; exits with a line if that, or breaking, is not possible here.
void break_it(const options& want, char** argv);

}  // namespace torture
