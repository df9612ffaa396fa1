// SPDX-License-Identifier: MIT
//
// Readers of every kind, each in a thread of its own.
#pragma once

#include "kinds.hpp"
#include "stage.hpp"

namespace torture {

// Reads until the stage has ended. Thread context.
void run_reader(reader kind, dice chance);

// Makes the threads read in their last moment; before the first one.
void prepare_dying();

}  // namespace torture
