// SPDX-License-Identifier: MIT
//
// A fork keeps out of the reclaimer's work: src/rcu/fork_gate.hpp. The reclaimer runs two deleters; a
// thread forks twice. A sleeping fork sleeps until it is woken: its time, which is up in the end, is
// left out, as it must not be what it lives by.
//
// Properties: no copy is made in the middle of a deleter, and a copy has all that a finished one
// wrote; neither the reclaimer nor a fork is left asleep when nothing else can happen any more.
//
// A deleter is two stores. They, and the reclaimer's store of `doing_`, wait in its store
// buffer: the deleter's in `first` and `second`, drained in any order; a release of `doing_`
// drains them before. The forks' counting is a read-modify-write and takes effect at once; loads that
// may be done before their turn are the fork's of `doing_` (`early_run`) and of the copied
// memory (`early_copy`), and the reclaimer's of `forks_` (`early_forks`).

#define DELETERS 2
#define FORKS 2
#define NONE 255

byte deleters_run;
byte pending_run = NONE;
byte forks;
byte first, second;  // how many deleters have done their first and their second store
byte pending_first, pending_second;
byte early_run = NONE, early_forks = NONE, early_copy = NONE;
bool reclaimer_asleep, fork_asleep;

inline drain_deleter() {
    first = first + pending_first;
    pending_first = 0;
    second = second + pending_second;
    pending_second = 0
}

inline drain_run() {
    if
    :: pending_run != NONE -> deleters_run = pending_run; pending_run = NONE
    :: else
    fi
}

active proctype machine() {
end:
    do
    :: d_step { pending_run != NONE -> drain_run() }
    :: d_step { pending_first > 0 -> pending_first--; first++ }
    :: d_step { pending_second > 0 -> pending_second--; second++ }
    :: early_forks == NONE -> early_forks = forks
    :: early_run == NONE -> early_run = deleters_run
#ifdef FG4_RELAXED
    :: early_copy == NONE -> early_copy = first
#endif
    od
}

inline load_forks() {
    atomic {
        if
        :: early_forks == NONE -> seen = forks
        :: else -> seen = early_forks; early_forks = NONE
        fi
    }
}

// A release drains the deleter's stores at the latest when it drains itself.
inline store_run(value) {
    atomic {
        drain_run();
#ifndef FG2_RELAXED
        drain_deleter();
#endif
        pending_run = value
    }
}

inline wake_fork() { fork_asleep = false }

// end(): the release, the fence, the look, and the call. A look may be early without the fence.
inline end_work() {
    store_run(0);  // [FG-2]
#ifndef FG5_NO_FENCE
    atomic { drain_run(); drain_deleter(); early_forks = NONE }  // [FG-5]
#endif
    load_forks();
    if
    :: seen != 0 -> atomic { drain_run(); wake_fork() }  // the kernel's own barriers
    :: else
    fi
}

inline let_forks_pass() {
    do
    :: store_run(1);
#ifndef FG1_NO_FENCE
       atomic { drain_run(); drain_deleter(); early_forks = NONE }  // [FG-1]
#endif
       load_forks();
       if
       :: seen == 0 -> break
       :: else ->
           waited_for = seen;
           end_work();
           atomic {
               if
               :: forks == waited_for -> drain_run(); reclaimer_asleep = true
               :: else
               fi
           }
           !reclaimer_asleep
       fi
    od
}

active proctype reclaimer() {
    byte deleter, seen, waited_for;
    let_forks_pass();
    do
    :: deleter < DELETERS ->
        load_forks();
        if
        :: seen != 0 -> let_forks_pass()
        :: else
        fi;
        pending_first++;
        pending_second++;
        deleter++
    :: else -> break
    od;
    end_work()
}

active proctype forking_thread() {
    byte fork, seen, copied;
    do
    :: fork < FORKS ->
        fork++;
        forks++;
#ifndef FG3_NO_FENCE
        early_run = NONE;  // [FG-3]
#endif
        do
        :: atomic {
            if
            :: early_run == NONE -> seen = deleters_run
            :: else -> seen = early_run; early_run = NONE
            fi
           }
           if
           :: seen == 0 -> break
           :: else ->
               atomic {
                   if
                   :: deleters_run == 1 -> fork_asleep = true
                   :: else
                   fi
               }
               !fork_asleep
           fi
        od;
        atomic {
            if
            :: early_copy == NONE -> copied = first
            :: else -> copied = early_copy; early_copy = NONE
            fi
        }
        assert(copied == second);
        // release_deleters_after_fork
        atomic {
            forks--;
            if
            :: forks == 0 -> reclaimer_asleep = false
            :: else
            fi
        }
    :: else -> break
    od
}

active proctype watch() {
    timeout -> assert(!reclaimer_asleep); assert(!fork_asleep)
}
