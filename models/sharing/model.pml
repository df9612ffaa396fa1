// SPDX-License-Identifier: MIT
//
// Sharing of grace periods by their number: synchronize in src/rcu/grace_period.cpp. Two updaters
// withdraw an object each, wait, and free it; one reader of two sections uses both objects. The
// grace period itself is reduced to its barrier and its wait, in the symmetric mode, where the
// barrier is the caller's own fence and reaches nobody else: the process-wide one would also reach
// the other updater and hide [GP-1].
//
// With POLLS, updater 0 does not wait but asks whether its number has passed (has_passed), and
// updater 1 runs a second grace period that may serve it. The reader leaves a mark in object 0.
//
// Properties: no section uses a freed object; who frees it sees the marks left in it.
//
// An updater's stores (the withdrawal, and the number) wait in its CPU's buffer and drain in any
// order, the number with itself in order. Releasing the lock drains them; taking it does not.

#define SECTIONS 2
#define NONE 255

byte entered, left;
bool withdrawn[2], pending_withdrawal[2];
byte number;  // even: idle; odd: a grace period is running
byte pending_number[2];  // how many increments wait
bool locked;
bool freed[2];
byte marks;
byte early_marks = NONE;  // loaded by updater 0 before its turn

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
#ifdef POLLS
    :: early_marks == NONE && !freed[0] -> early_marks = marks
#endif
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
        atomic {
            assert(!(seen[0] && freed[0]));
            if
            :: seen[0] -> marks++
            :: else
            fi;
            seen[0] = false
        }
        atomic { assert(!(seen[1] && freed[1])); seen[1] = false }
        left++
    :: else -> break
    od
}

inline wait_for_grace_period() {
    atomic { !locked -> locked = true }
    if
    :: number >= enough
    :: else ->
#ifdef NUMBER_AFTER_BARRIER
        atomic { drain(me) }
        pending_number[me]++;
#else
        pending_number[me]++;
        atomic { drain(me) }  // [GP-10]
#endif
        do
        :: exits = left;
           if
           :: exits == entered -> exits = 0; break
           :: else
           fi
        od;
        pending_number[me]++  // [GP-8]
    fi;
    // The lock's release orders the number before the unlocking. The withdrawal too, if it still
    // waits; that is of no help when the object is freed next, so the model does not grant it.
    atomic {
        number = number + pending_number[me];
        pending_number[me] = 0;
        locked = false
    }
    enough = enough + 2  // for a caller that waits again
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
#ifdef POLLS
    if
    :: me == 0 ->
end_not_passed:
        atomic {
            number >= enough;
#ifndef GP9_RELAXED
            early_marks = NONE  // [GP-9]
#endif
        }
        // What is loaded from the object before it is freed.
        atomic { assert(early_marks == NONE || early_marks == marks); early_marks = NONE }
    :: else -> wait_for_grace_period(); wait_for_grace_period()
    fi;
#else
    wait_for_grace_period();
#endif
    freed[me] = true
}

init {
    atomic {
        run updater(0);
        run updater(1)
    }
}
