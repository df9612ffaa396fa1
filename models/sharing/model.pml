// SPDX-License-Identifier: MIT
//
// Sharing of grace periods by their number: synchronize in src/rcu/grace_period.cpp. Two updaters
// withdraw an object each, wait, and free it; one reader of two sections uses both objects. The
// grace period itself is reduced to its barrier and its wait, in the symmetric mode, where the
// barrier is the caller's own fence and reaches nobody else: the process-wide one would also reach
// the other updater and hide [GP-1].
//
// Property: no section uses a freed object.
//
// An updater's stores (the withdrawal, and the number) wait in its CPU's buffer and drain in any
// order, the number with itself in order. Releasing the lock drains them; taking it does not.

#define SECTIONS 2

byte entered, left;
bool withdrawn[2], pending_withdrawal[2];
byte number;  // even: idle; odd: a grace period is running
byte pending_number[2];  // how many increments wait
bool locked;
bool freed[2];

inline drain(u) {
    if
    :: pending_withdrawal[u] -> pending_withdrawal[u] = false; withdrawn[u] = true
    :: else
    fi;
    number = number + pending_number[u];
    pending_number[u] = 0
}

active proctype machine() {
end:
    do
    :: d_step { pending_withdrawal[0] -> pending_withdrawal[0] = false; withdrawn[0] = true }
    :: d_step { pending_withdrawal[1] -> pending_withdrawal[1] = false; withdrawn[1] = true }
    :: d_step { pending_number[0] > 0 -> pending_number[0]--; number++ }
    :: d_step { pending_number[1] > 0 -> pending_number[1]--; number++ }
    od
}

active proctype reader() {
    byte section;
    bool seen[2];
    do
    :: section < SECTIONS ->
        section++;
        entered++;  // and [RD-3]
        seen[0] = !withdrawn[0];
        seen[1] = !withdrawn[1];
        atomic { assert(!(seen[0] && freed[0])); seen[0] = false }
        atomic { assert(!(seen[1] && freed[1])); seen[1] = false }
        left++
    :: else -> break
    od
}

proctype updater(byte me) {
    byte enough, exits;
    pending_withdrawal[me] = true;
    // synchronize
#ifndef GP1_NO_FENCE
    d_step { drain(me) }  // [GP-1]
#endif
#ifdef A_RUNNING_ONE_IS_ENOUGH
    enough = (number + 2) & 254;
#else
    enough = (number + 3) & 254;
#endif
    atomic { !locked -> locked = true }
    if
    :: number >= enough
    :: else ->
#ifdef NUMBER_AFTER_BARRIER
        d_step { drain(me) }
        pending_number[me]++;
#else
        pending_number[me]++;
        d_step { drain(me) }  // [GP-10]
#endif
        do
        :: exits = left;
           if
           :: exits == entered -> exits = 0; break
           :: else
           fi
        od;
        pending_number[me]++
    fi;
    // The lock's release orders the number before the unlocking. The withdrawal too, if it still
    // waits; that is of no help when the object is freed next, so the model does not grant it.
    d_step {
        number = number + pending_number[me];
        pending_number[me] = 0;
        locked = false
    }
    freed[me] = true
}

init {
    atomic {
        run updater(0);
        run updater(1)
    }
}
