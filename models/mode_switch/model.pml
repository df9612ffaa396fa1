// SPDX-License-Identifier: MIT
//
// The switch from readers that fence for themselves to readers that rely on the process-wide
// barrier: start_engine in src/rcu/start.cpp, enter_slow in reader.cpp, barrier_for_readers_locked
// in grace_period.cpp. A reader of two sections, an updater of two grace periods, and the start of
// the engine at any time. One phase is enough: the flip has no part in this.
//
// Property: no section uses a freed object.
//
// The machine is that of grace_period/model.pml, reduced: a count per CPU waits in `buffer` until
// it drains or the process-wide barrier reaches the reader; a count in the shared slot takes effect
// at once; the load of the pointer may be done before its turn (`early`) if no fence, no acquire and
// no process-wide barrier comes between; the updater's publication waits in `pending_pointer`.

#define SECTIONS 2
#define GRACE_PERIODS 2
#define DEPTH 3
#define NONE 255

byte entered, left;   // what every CPU sees, all slots together
byte enters_buffered;  // the reader's CPU: enters may drain at any time, an exit only after them
byte exits_buffered;
byte pointer;
bool pending_pointer;
bool freed[GRACE_PERIODS + 1];
byte early = NONE;
bool asymmetric;
bool locked;

inline drain_pointer() {
    if
    :: pending_pointer -> pending_pointer = false; pointer++
    :: else
    fi
}

active proctype machine() {
end:
    do
    :: d_step { enters_buffered > 0 -> enters_buffered--; entered++ }
    // At most one section's counts are in the buffer (below), so this keeps them in order.
    :: d_step { exits_buffered > 0 && enters_buffered == 0 -> exits_buffered--; left++ }
    :: d_step { pending_pointer -> drain_pointer() }
    :: early == NONE -> early = pointer
    od
}

active proctype reader() {
    byte section, seen;
    bool per_cpu, counted_per_cpu;
    do
    :: section < SECTIONS ->
        section++;
        // enter
        if
        :: !per_cpu ->
            atomic {
                per_cpu = asymmetric;
#ifndef RD5_RELAXED
                if
                :: asymmetric -> early = NONE  // [RD-5]
                :: else
                fi
#endif
            }
        :: else
        fi;
        // The section before must have drained: a simplification that hides nothing here, because
        // its counts are those of a section already over.
        enters_buffered == 0 && exits_buffered == 0;
        if
        :: per_cpu -> enters_buffered++
        :: else ->
            entered++;
            early = NONE  // [RD-3]
        fi;
        // dereference
        atomic {
            if
            :: early == NONE -> seen = pointer
            :: else -> seen = early; early = NONE
            fi
        }
        atomic { assert(!freed[seen]); seen = 0 }
        // leave
        if
        :: per_cpu -> exits_buffered++
        :: else -> left++
        fi
    :: else -> break
    od
}

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

inline barrier_for_readers_locked() {
#ifdef SYMMETRIC_FOR_EVER
    reaches_readers = false;
#else
    reaches_readers = asymmetric;
#endif
    d_step { drain_pointer() }  // [GP-10], and the barrier's own beginning
    if
    :: reaches_readers ->
        d_step {
            entered = entered + enters_buffered;
            left = left + exits_buffered;
            enters_buffered = 0;
            exits_buffered = 0;
            early = NONE
        }
    :: else
    fi
}

active proctype updater() {
    byte old, exits;
    bool reaches_readers;
    do
    :: old < GRACE_PERIODS ->
        atomic { !pending_pointer -> pending_pointer = true }
        lock();
        barrier_for_readers_locked();
        do
        :: exits = left;
           if
           :: exits == entered -> exits = 0; break
           :: else
           fi
        od;
        unlock();
        freed[old] = true;
        old++
    :: else -> break
    od
}

active proctype start_engine() {
#ifndef NO_LOCK
    lock();
#endif
    asymmetric = true;  // [GP-6]
#ifndef NO_LOCK
    unlock()
#endif
}
