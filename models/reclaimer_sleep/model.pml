// SPDX-License-Identifier: MIT
//
// Falling asleep and being woken: sleep_until_needed and wake_or_start in src/rcu/reclaimer.cpp,
// want_grace_period there, retire in src/rcu/retire.cpp. One or two threads retire an object, or one
// wishes for a grace period; the reclaimer takes what there is and goes to sleep. With STARTS, the
// engine starts at any time; before, nobody may rely on the process-wide barrier.
//
// Property: nothing is left in a list, and no wish unheard, when nothing else can happen any more.
//
// A push and the bits of `attention` are read-modify-writes and take effect at once. What may be
// done before its turn is the load after them: a retirer's look at `attention` before its push
// (`early[me]`), the reclaimer's look at the lists before its announcement (`early_look`), and its
// look at the mode (`early_mode`); unless a fence or an acquire stands between, or the process-wide
// barrier reaches that CPU in between.

#ifndef RETIRERS
#define RETIRERS 1
#endif
#define WISHER 2
#define NONE 255

byte listed, wishes;
bool announced;  // the bit `asleep` of `attention`
bool sleeping;   // in the kernel
byte early[3] = NONE;
byte early_look = NONE, early_mode = NONE;
bool looked[3] = true;  // or does not exist
#if defined(SYMMETRIC) || defined(STARTS)
bool asymmetric;
#else
bool asymmetric = true;
#endif
bool locked;  // engine.updaters

active proctype machine() {
end:
    do
    :: early[0] == NONE && !looked[0] -> early[0] = announced
    :: early[1] == NONE && !looked[1] -> early[1] = announced
    :: early[WISHER] == NONE && !looked[WISHER] -> early[WISHER] = announced
    :: early_look == NONE -> early_look = (listed + wishes > 0)
#ifdef STARTS
    :: early_mode == NONE -> early_mode = asymmetric
#endif
    od
}

inline look_at_attention() {
    atomic {
        if
        :: early[me] == NONE -> seen = announced
        :: else -> seen = early[me]; early[me] = NONE
        fi;
        looked[me] = true
    }
}

inline wake() {
    if
    :: seen ->
#ifdef WAKE_WITHOUT_CLEARING
        sleeping = false
#else
        atomic { seen = announced; announced = false }
        if
        :: seen -> sleeping = false
        :: else
        fi
#endif
    :: else
    fi
}

#if RETIRERS > 0
proctype retirer(byte me) {
    bool per_cpu, seen;
    atomic {
        per_cpu = asymmetric;
        if
        :: asymmetric -> early[me] = NONE  // [RD-5]
        :: else
        fi
    }
#ifdef RT3_HOISTED
    look_at_attention();
    listed++;
#else
    listed++;
    if
    :: per_cpu  // [RT-3]: for the compiler only
    :: else ->
#ifndef RT4_NO_FENCE
        early[me] = NONE  // [RT-4]
#endif
    fi;
    look_at_attention();
#endif
    wake()
}
#endif

#ifdef WISHES
proctype wisher(byte me) {
    bool seen;
    wishes++;
#ifndef RC14_NO_FENCE
    early[me] = NONE;  // [RC-14]
#endif
    look_at_attention();
    wake()
}
#endif

inline barrier_for_readers() {
    atomic {
#ifdef RC11_OWN_FENCE_ONLY
        everyone = false;
#else
        if
        :: early_mode == NONE -> everyone = asymmetric
        :: else -> everyone = early_mode
        fi;
#endif
        early_mode = NONE
    }
    if
    :: everyone -> early[0] = NONE; early[1] = NONE; early[2] = NONE
    :: else
    fi;
#ifndef RC11_NOT_ON_THE_RECLAIMER
    early_look = NONE  // on its way out; on its way in nothing more is to be ordered
#endif
}

inline sleep_until_needed() {
    announced = true;
#ifndef BARRIER_WITHOUT_LOCK
    atomic { !locked -> locked = true; early_mode = NONE }  // [LK-1]
#endif
    barrier_for_readers();  // [RC-11]
#ifndef BARRIER_WITHOUT_LOCK
    locked = false;
#endif
    atomic {
        if
        :: early_look == NONE -> needed = (listed + wishes > 0)
        :: else -> needed = early_look
        fi;
        early_look = NONE
    }
#ifdef NO_SECOND_LOOK
    needed = false;
#endif
    if
    :: needed -> announced = false
    :: else ->
        do
        :: announced ->
            atomic {
                if
                :: announced -> sleeping = true
                :: else
                fi
            }
end_asleep:
            !sleeping
        :: !announced -> break
        od
    fi;
    needed = false
}

active proctype reclaimer() {
    bool needed, everyone;
    do
    :: d_step { listed = 0; wishes = 0; early_look = NONE }  // reclaim_everything
       if
       :: listed + wishes > 0
       :: listed + wishes == 0 -> sleep_until_needed()
       fi
    od
}

#ifdef STARTS
active proctype start_engine() {
    atomic { !locked -> locked = true }
    asymmetric = true;
    locked = false
}
#endif

// Runs when nothing else can.
active proctype watch() {
    timeout -> assert(listed == 0 && wishes == 0)
}

init {
    atomic {
#if RETIRERS > 0
        looked[0] = false;
        run retirer(0);
#endif
#if RETIRERS > 1
        looked[1] = false;
        run retirer(1);
#endif
#ifdef WISHES
        looked[WISHER] = false;
        run wisher(WISHER)
#endif
    }
}
