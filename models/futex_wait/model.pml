// SPDX-License-Identifier: MIT
//
// Sleeping until a phase is drained: sleep_until_drained_or_woken in src/rcu/grace_period.cpp
// against exit_section in include/nmircu/detail/reader.hpp, exit_slow and wake_updater in
// src/rcu/reader.cpp. Three readers leave, two of phase 0 and one of phase 1; the updater waits for
// one phase and then for the other, going to sleep at once.
//
// Property: the updater is not left asleep when nothing else can happen any more.
//
// Per CPU, a reader's count waits in its store buffer (`pending_exit`) until it drains by itself or
// the process-wide barrier reaches that CPU. In the symmetric mode the count is a read-modify-write
// and takes effect at once, but the load of `waiting` may be done before it (`early`) unless a fence
// stands between. The updater's stores to `waiting` wait in a buffer too (`pending_waiting`). The
// kernel compares and sleeps in one step, and compares with what the caller itself would read.
// A sleeper may be woken for no reason, once.

#ifndef READERS
#define READERS 3
#endif
#define PHASE_OF(reader) ((reader) / 2)
#define NONE 255

byte entered[2], left[2];  // what every CPU sees
byte waiting;
byte pending_waiting = NONE;
bool pending_exit[READERS];
byte early[READERS] = NONE;
bool loaded[READERS];
bool asleep;
bool spurious_wake_left = true;

inline drain_waiting() {
    if
    :: pending_waiting != NONE -> waiting = pending_waiting; pending_waiting = NONE
    :: else
    fi
}

inline drain_exit(reader) {
    if
    :: pending_exit[reader] -> pending_exit[reader] = false; left[PHASE_OF(reader)]++
    :: else
    fi
}

active proctype machine() {
end:
    do
    :: d_step { pending_waiting != NONE -> drain_waiting() }
    :: d_step { pending_exit[0] -> drain_exit(0) }
    :: d_step { pending_exit[1] -> drain_exit(1) }
#if READERS > 2
    :: d_step { pending_exit[2] -> drain_exit(2) }
#endif
#ifdef SYMMETRIC
    :: early[0] == NONE && !loaded[0] -> early[0] = waiting
    :: early[1] == NONE && !loaded[1] -> early[1] = waiting
#if READERS > 2
    :: early[2] == NONE && !loaded[2] -> early[2] = waiting
#endif
#endif
    :: d_step { asleep && spurious_wake_left -> asleep = false; spurious_wake_left = false }
    od
}

inline count_exit() {
#ifdef SYMMETRIC
    left[PHASE_OF(me)]++;  // [RD-4]
#ifndef RD6_NO_FENCE
    early[me] = NONE  // [RD-6]
#endif
#else
    pending_exit[me] = true
#endif
}

inline load_waiting() {
    d_step {
        if
        :: early[me] == NONE -> seen = waiting
        :: else -> seen = early[me]; early[me] = NONE
        fi;
        loaded[me] = true
    }
}

proctype reader(byte me) {
    byte seen;
    bool rang;
#ifdef WAITING_BEFORE_COUNT
    load_waiting();
    count_exit();
#else
    count_exit();
    load_waiting();
#endif
    if
    :: seen == 0
    :: else ->
#ifdef WAKE_WITHOUT_CLEARING
        rang = (waiting == 1 + PHASE_OF(me));
#else
        atomic {
            if
            :: waiting == 1 + PHASE_OF(me) -> waiting = 0; rang = true
            :: else
            fi
        }
#endif
        if
        :: rang -> asleep = false  // wake_all
        :: else
        fi
    fi
}

#if READERS > 2
#define reach_third() d_step { drain_exit(2) }
#else
#define reach_third()
#endif

inline barrier_for_readers() {
#ifndef GP5_NOT_ON_THE_UPDATER
    d_step { drain_waiting() }
#endif
#if !defined(SYMMETRIC) && !defined(GP5_OWN_FENCE_ONLY)
    if
    :: d_step { drain_exit(0) } d_step { drain_exit(1) } reach_third()
    :: reach_third() d_step { drain_exit(1) } d_step { drain_exit(0) }
    fi
#else
    skip
#endif
}

inline sleep_until_drained_or_woken(phase) {
    atomic { pending_waiting = 1 + phase }
    barrier_for_readers();
    if
#ifndef NO_RESCAN
    :: left[phase] == entered[phase]
#endif
    :: else ->
        atomic {
            if
            :: (pending_waiting == NONE && waiting == 1 + phase) ||
               pending_waiting == 1 + phase -> asleep = true
            :: else
            fi
        }
        !asleep
    fi;
    pending_waiting = 0
}

inline wait_until_drained(phase) {
    do
    :: left[phase] == entered[phase] -> break
    :: left[phase] != entered[phase] -> sleep_until_drained_or_woken(phase)
    od
}

proctype updater() {
    wait_until_drained(1);
    wait_until_drained(0)
}

// Runs when nothing else can.
active proctype watch() {
    timeout -> assert(!asleep)
}

init {
    atomic {
        entered[0] = 2;
        run reader(0);
        run reader(1);
#if READERS > 2
        entered[1] = 1;
        run reader(2);
#endif
        run updater()
    }
}
