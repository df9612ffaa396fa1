// SPDX-License-Identifier: MIT
//
// The kinds of readers and updaters there are: names for people, numbers for tables.
#pragma once

#include <bitset>

namespace torture {

struct kind {
    const char* name;
    const char* what;
};

enum reader : unsigned {
    plain,
    nested,
    nmi,
    irq,
    sleeping,
    migrating,
    dying,
    slow,
    buffered,
    late,
    reader_kinds
};
inline constexpr kind readers[reader_kinds] = {
    {"plain", "brief sections in a thread"},
    {"nested", "sections inside sections, up to five deep"},
    {"nmi", "handlers of NMIs, raised on their own thread and on every other"},
    {"irq", "signal handlers of the program's own, on every thread"},
    {"sleeping", "a thread that sleeps inside its sections"},
    {"migrating", "a thread that moves to another CPU inside its sections"},
    {"dying", "threads by the hundred, each reading in its very last moment"},
    {"slow", "a thread whose rseq area comes and goes, also inside its sections"},
    {"buffered", "a thread whose counts wait in the CPU's store buffer"},
    {"late", "a thread that sleeps between looking at the phase and counting itself in it"},
};

enum updater : unsigned { sync, poll, retire, barrier, handler, updater_kinds };
inline constexpr kind updaters[updater_kinds] = {
    {"sync", "rcu_synchronize"},
    {"poll", "a cookie: ask, and wait if it has not passed"},
    {"retire", "rcu_call, rcu_obj_base::retire and rcu_retire, which retire again"},
    {"barrier", "as retire, and rcu_barrier, which must find everything reclaimed"},
    {"handler", "as retire, inside the handler of an NMI"},
};

using reader_set = std::bitset<reader_kinds>;
using updater_set = std::bitset<updater_kinds>;

}  // namespace torture
