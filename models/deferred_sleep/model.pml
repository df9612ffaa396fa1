// SPDX-License-Identifier: MIT
//
// The thread that runs deferred work falls asleep and is woken: sleep_until_queued and
// queue_deferred in src/interrupt/deferred.cpp. Handlers push an item each, at any moment; the
// thread takes what there is and goes to sleep at once. (How long it looks before it does makes no
// difference.)
//
// Property: no item is left in the queue when nothing else can happen any more.
//
// A push and the exchange of `asleep` are read-modify-writes and take effect at once. A queuer's load
// of `asleep` may be done before its push (`early[me]`) unless a fence stands between. The thread's
// stores to `asleep` wait in its store buffer (`pending_asleep`) until they drain by themselves or
// at a fence. The kernel compares and sleeps in one step, and compares with what the caller itself
// would read. A sleeper may be woken for no reason, once.

#define QUEUERS 3
#define NONE 255

byte pushed;
byte asleep;
byte pending_asleep = NONE;
bool sleeping;  // in the kernel
byte early[QUEUERS] = NONE;
bool looked[QUEUERS];
bool spurious_wake_left = true;

inline drain_asleep() {
    if
    :: pending_asleep != NONE -> asleep = pending_asleep; pending_asleep = NONE
    :: else
    fi
}

active proctype machine() {
end:
    do
    :: d_step { pending_asleep != NONE -> drain_asleep() }
    :: d_step { sleeping && spurious_wake_left -> sleeping = false; spurious_wake_left = false }
    :: early[0] == NONE && !looked[0] -> early[0] = asleep
    :: early[1] == NONE && !looked[1] -> early[1] = asleep
    :: early[2] == NONE && !looked[2] -> early[2] = asleep
    od
}

proctype queuer(byte me) {
    byte seen;
    pushed++;
#ifndef DW6_NO_FENCE
    early[me] = NONE;  // [DW-6]
#endif
    d_step {
        if
        :: early[me] == NONE -> seen = asleep
        :: else -> seen = early[me]; early[me] = NONE
        fi;
        looked[me] = true
    }
    if
    :: seen != 0 ->
#ifndef WAKE_WITHOUT_CLEARING
        d_step { seen = asleep; asleep = 0 }
#endif
        if
        :: seen != 0 -> sleeping = false  // wake_all
        :: else
        fi
    :: else
    fi
}

active proctype worker() {
    do
    :: d_step { pushed = 0 }  // run_batch_locked
       if
       :: pushed > 0
       :: pushed == 0 ->
           // A store follows the one before it into the buffer, which keeps their order.
           d_step { drain_asleep(); pending_asleep = 1 }
#ifndef DW5_NO_FENCE
           d_step { drain_asleep() }  // [DW-5]
#endif
           if
#ifdef NO_SECOND_LOOK
           :: true ->
#else
           :: pushed > 0
           :: pushed == 0 ->
#endif
               atomic {
                   if
                   :: pending_asleep == 1 || (pending_asleep == NONE && asleep == 1) ->
                       sleeping = true
                   :: else
                   fi
               }
end_asleep:
               !sleeping
           fi;
           d_step { drain_asleep(); pending_asleep = 0 }
       fi
    od
}

// Runs when nothing else can.
active proctype watch() {
    timeout -> assert(pushed == 0)
}

init {
    atomic {
        run queuer(0);
        run queuer(1);
        run queuer(2)
    }
}
