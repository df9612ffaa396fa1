// SPDX-License-Identifier: MIT
//
// The updaters' lock, src/platform/lock.hpp: free, held, contended; one thread takes it twice,
// two once. Each adds one to a plain variable inside. With TIMED, acquire_within: two of the threads may
// wake up by themselves and give up.
//
// Properties: no addition is lost (mutual exclusion, and the orders of the lock); nobody is left
// asleep when nothing else can happen any more.
//
// A thread's store to the variable waits in its CPU's buffer until it drains by itself or a release
// drains it. A thread's load of the variable may be done before its turn (`early`), unless an
// acquire stands between. The exchanges themselves are read-modify-writes and take effect at once.
// The kernel compares and sleeps in one step.

#define THREADS 3
#define SECTIONS (2 + 1 + 1)
#define FREE 0
#define HELD 1
#define CONTENDED 2
#define NONE 255
#ifdef WAITS_UNMARKED
#define TAKEN HELD
#else
#define TAKEN CONTENDED
#endif

byte state = FREE;
bool asleep[THREADS];
byte value;
byte pending[THREADS] = NONE;
byte early[THREADS] = NONE;
byte inside;
byte to_do[THREADS];
byte given_up;

inline drain(thread) {
    if
    :: pending[thread] != NONE -> value = pending[thread]; pending[thread] = NONE
    :: else
    fi
}

active proctype machine() {
end:
    do
    :: d_step { pending[0] != NONE -> drain(0) }
    :: d_step { pending[1] != NONE -> drain(1) }
    :: d_step { pending[2] != NONE -> drain(2) }
    // A CPU forwards its own buffered store to its own loads; it has nothing older to offer early.
    :: early[0] == NONE && to_do[0] > 0 && pending[0] == NONE -> early[0] = value
    :: early[1] == NONE && to_do[1] > 0 && pending[1] == NONE -> early[1] = value
    :: early[2] == NONE && to_do[2] > 0 && pending[2] == NONE -> early[2] = value
    od
}

// Whether an acquire does its duty; threads 1 and 2 are those that may give up.
#if defined(LK1_RELAXED)
#define FIRST_TRY_ACQUIRES false
#else
#define FIRST_TRY_ACQUIRES true
#endif
#if defined(LK2_RELAXED)
#define LATER_TRY_ACQUIRES false
#elif defined(LK4_RELAXED)
#define LATER_TRY_ACQUIRES (me == 0)
#else
#define LATER_TRY_ACQUIRES true
#endif

inline acquire() {
    atomic {
        before = state;
        if
        :: state == FREE -> state = HELD
        :: else
        fi;
        if
        :: before == FREE && FIRST_TRY_ACQUIRES -> early[me] = NONE  // [LK-1]
        :: else
        fi
    }
    if
    :: before == FREE
    :: else ->
        do
        :: atomic {
            before = state;
            state = TAKEN;
            if
            :: LATER_TRY_ACQUIRES -> early[me] = NONE  // [LK-2], [LK-4]
            :: else
            fi
           }
           if
           :: before == FREE -> break
           :: else
#ifdef TIMED
           :: before != FREE && me != 0 -> gave_up = true; break
#endif
           fi;
           atomic {
            if
            :: state == TAKEN -> asleep[me] = true
            :: else
            fi
           }
           if
           :: !asleep[me]
#ifdef TIMED
           :: atomic { asleep[me] && me != 0 -> asleep[me] = false }
#endif
           fi
        od
    fi
}

inline release() {
#ifndef LK3_RELAXED
    d_step { drain(me) }  // [LK-3]
#endif
    atomic { before = state; state = FREE }
    if
    :: before == CONTENDED -> d_step { asleep[0] = false; asleep[1] = false; asleep[2] = false }
    :: else
    fi
}

inline add_one() {
    d_step { inside++; assert(inside == 1) }
    atomic {
        if
        :: early[me] != NONE -> seen = early[me]; early[me] = NONE
        :: early[me] == NONE && pending[me] != NONE -> seen = pending[me]
        :: else -> seen = value
        fi
    }
    // The store overtakes no older store of its own.
    atomic { drain(me); pending[me] = seen + 1; early[me] = NONE; to_do[me]-- }
    inside--
}

proctype thread(byte me) {
    byte before, seen;
    bool gave_up;
    do
    :: to_do[me] > 0 ->
        acquire();
        if
        :: gave_up -> atomic { to_do[me]--; given_up++; gave_up = false }
        :: else -> add_one(); release()
        fi
    :: else -> break
    od
}

active proctype watch() {
    timeout ->
    assert(!asleep[0] && !asleep[1] && !asleep[2]);
    assert(value + given_up == SECTIONS)
}

init {
    atomic {
        to_do[0] = 2;
        to_do[1] = 1;
        to_do[2] = 1;
        run thread(0);
        run thread(1);
        run thread(2)
    }
}
