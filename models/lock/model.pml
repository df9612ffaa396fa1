// SPDX-License-Identifier: MIT
//
// The updaters' lock, src/platform/lock.hpp: free, held, contended; one thread takes it twice,
// two once. Each adds one to a plain variable inside.
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

inline acquire() {
    atomic {
        before = state;
        if
        :: state == FREE -> state = HELD
        :: else
        fi
#ifndef LK1_RELAXED
        ;
        if
        :: before == FREE -> early[me] = NONE  // [LK-1]
        :: else
        fi
#endif
    }
    if
    :: before == FREE
    :: else ->
        do
        :: atomic {
            before = state;
            state = TAKEN;
#ifndef LK2_RELAXED
            early[me] = NONE  // [LK-2]
#endif
           }
           if
           :: before == FREE -> break
           :: else
           fi;
           atomic {
            if
            :: state == TAKEN -> asleep[me] = true
            :: else
            fi
           }
           !asleep[me]
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
    do
    :: to_do[me] > 0 -> acquire(); add_one(); release()
    :: else -> break
    od
}

active proctype watch() {
    timeout ->
    assert(!asleep[0] && !asleep[1] && !asleep[2]);
    assert(value == SECTIONS)
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
