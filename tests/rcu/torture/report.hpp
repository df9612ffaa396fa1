// SPDX-License-Identifier: MIT
//
// What is printed, and the verdict.
#pragma once

#include "options.hpp"

namespace torture {

// Whether each thing that was asked for has happened, and readers have been overtaken by updates.
bool everything_happened(const options& want);

void print_header(const options& want);
// One line; on a terminal only.
void print_status(double seconds);
// The final block. Returns the exit status.
int print_verdict(const options& want, double seconds);

}  // namespace torture
