// SPDX-License-Identifier: MIT
//
// The rows of deferred work: how long after an NMI has asked for it the function begins.
#pragma once

#include "table.hpp"

// The interrupt is attached.
void run_deferred_work(bench::table& table);
