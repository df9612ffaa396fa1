// SPDX-License-Identifier: MIT
//
// Progress: the flip of `phase` in wait_for_the_rest_locked, src/rcu/grace_period.cpp. Readers that
// enter and leave for ever, so that there is always one inside, must not keep an updater waiting.
//
// Property: every grace period ends (no cycle without `progress`), if every CPU goes on running and
// every section is left in the end: weak fairness. Safety does not depend on the flip (I4) and is
// not looked at here; nor are store buffers, which drain in the end. The counts, which would grow
// for ever, are kept as their difference, `inside`.

byte inside[2];
bit phase;

active [2] proctype reader() {
    bit p;
    do
    :: p = phase;  // may be old when the section is counted
       inside[p]++;
       inside[p]--
    od
}

active proctype updater() {
    bool drained[2];
    bit current, other = 1;
    do
    :: drained[0] = (inside[0] == 0);
       drained[1] = (inside[1] == 0);
       if
       :: drained[other]
       :: else -> inside[other] == 0
       fi;
#ifndef NO_FLIP
       phase = other;
#endif
       if
       :: drained[current]
       :: else -> inside[current] == 0
       fi;
       atomic { other = 1 - phase; current = phase; drained[0] = false; drained[1] = false };
progress:
       skip
    od
}
