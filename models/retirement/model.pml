// SPDX-License-Identifier: MIT
//
// Retiring, reclaiming and rcu_barrier: src/rcu/retired_lists.hpp, retire.cpp and reclaim.cpp.
// Thread A retires object 1; with HANDLER, a handler that interrupts it anywhere retires object 2.
// Thread B calls rcu_barrier; without HANDLER, it retires object 3 before, and a reader uses object
// 1 while it is published. The reclaimer runs a cycle at any time. How it sleeps is
// ../reclaimer_sleep/.
//
// Properties: no section uses a reclaimed object; none is reclaimed twice; when rcu_barrier returns,
// everything retired before it is reclaimed, and its caller sees what the deleters did.
//
// There are two lists, or with HANDLER one. A thread is counted in the slot of its CPU and may have migrated when it
// pushes; a migration is a full barrier. What is written before a push (the withdrawal of the
// object, its link, its count) waits in the retirer's store buffer: `behind_push[o]`, the object
// whose push drains it. So do the number of a cycle (`pending_started`) and the deleters' effects
// (`pending_effect[o]`) in that of whoever runs the cycle. Loads that may be done before their turn:
// of the number of the cycle in reclaim_everything (`early_started`), and of a deleter's effect
// after rcu_barrier (`early_effect`). Compare-and-exchange and exchange take effect at once.
//
// The grace period, proved in ../grace_period/, is one step that waits for the sections entered
// before it. A deleter that does not run in time (has_leftovers) is left out.

#define NONE 0
#define OBJECTS 3
#define UNKNOWN 255
#ifdef HANDLER
#define LISTS 1
#define OF_B NONE
#else
#define LISTS 2
#define OF_B 3
#endif

byte head[LISTS];
byte next[OBJECTS + 1];
byte retired[LISTS];  // the slots' counts
byte counted_in[OBJECTS + 1];
bool behind_push[OBJECTS + 1];
bool withdrawn;  // object 1
bool pushed[OBJECTS + 1];

byte entered, left;

bool reclaiming;  // the lock
byte started, finished, reclaimed;
bool pending_started;
byte taken[LISTS];
bool deleted[OBJECTS + 1];
bool effect[OBJECTS + 1], pending_effect[OBJECTS + 1];
byte early_started = UNKNOWN, early_effect = UNKNOWN;
bool interrupted;

// ---- the machine

inline drain(object) {
    if
    :: behind_push[object] ->
        behind_push[object] = false;
        retired[counted_in[object]]++;
        if
        :: object == 1 -> withdrawn = true
        :: else
        fi
    :: else
    fi
}

inline drain_effect(object) {
    if
    :: pending_effect[object] -> pending_effect[object] = false; effect[object] = true
    :: else
    fi
}

inline drain_started() {
    if
    :: pending_started -> pending_started = false; started++
    :: else
    fi
}

active proctype machine() {
end:
    do
    :: d_step { behind_push[1] -> drain(1) }
    :: d_step { behind_push[2] -> drain(2) }
    :: d_step { behind_push[3] -> drain(3) }
    :: d_step { pending_effect[1] -> drain_effect(1) }
    :: d_step { pending_effect[2] -> drain_effect(2) }
    :: d_step { pending_effect[3] -> drain_effect(3) }
    :: d_step { pending_started -> drain_started() }
#ifdef RC2_NO_FENCE
    :: early_started == UNKNOWN -> early_started = started
#endif
#ifdef RC4_RELAXED
    :: early_effect == UNKNOWN -> early_effect = effect[3]
#endif
    od
}

// ---- retirers

inline count() {
#if LISTS > 1
    if
    :: counted_in[object] = 0
    :: counted_in[object] = 1
    fi;
#endif
    behind_push[object] = true
}

inline push() {
#if LISTS > 1
    // The slot of the CPU it runs on by now.
    if
    :: list = counted_in[object]
    :: atomic { list = 1 - counted_in[object]; drain(object) }
    fi;
#endif
    seen = head[list];
    do
    :: next[object] = seen;
#ifdef PUSH_NOT_ATOMIC
       d_step { drain(object) }
       head[list] = object;
       break
#else
       atomic {
        if
        :: head[list] == seen ->
#ifndef RT1_RELAXED
            drain(object);  // [RT-1]
#endif
            head[list] = object;
            break
        :: else -> seen = head[list]
        fi
       }
#endif
    od
}

inline retire() {
#ifdef COUNT_AFTER_PUSH
    counted_in[object] = 0;
    push();
    retired[0]++;
#else
    count();
    push();
#endif
    atomic { pushed[object] = true; list = 0; seen = 0 }
}

#ifdef HANDLER
#define UNLESS_INTERRUPTED provided (!interrupted)
#else
#define UNLESS_INTERRUPTED
#endif

proctype thread_a(byte object) UNLESS_INTERRUPTED {
    byte list, seen;
    retire()
}

#ifdef HANDLER
proctype handler_on_a(byte object) {
    byte list, seen;
    interrupted = true;
    retire();
    interrupted = false
}

#else
active proctype reader() {
    bool sees;
    entered++;
    sees = !withdrawn;
    assert(!(sees && deleted[1]));
    left++
}
#endif

// ---- cycles

inline take(list) {
    if
    :: head[list] == NONE
    :: else ->
#ifdef TAKE_NOT_ATOMIC
        taken[list] = head[list];
        head[list] = NONE
#else
        atomic { taken[list] = head[list]; head[list] = NONE }  // [RT-2]
#endif
    fi
}

inline load_next(object) {
#if defined(RT1_RELAXED) || defined(RT2_RELAXED)
    if
#ifdef RT2_RELAXED
    :: true -> following = NONE  // what the object had there before
#else
    :: behind_push[object] -> following = NONE
    :: !behind_push[object] -> following = next[object]
#endif
    :: following = next[object]
    fi
#else
    following = next[object]
#endif
}

inline grace_period() {
    before = entered;
    left >= before;
    before = 0
}

inline run_deleters(list) {
    do
    :: taken[list] != NONE ->
        atomic {
            load_next(taken[list]);
            assert(!deleted[taken[list]]);
            deleted[taken[list]] = true;
            pending_effect[taken[list]] = true;
            taken[list] = following;
            following = NONE
        }
        atomic {
#ifndef RC3_RELAXED
            drain_effect(1);
            drain_effect(2);
            drain_effect(3);
#endif
            reclaimed++  // [RC-3]
        }
    :: else -> break
    od
}

inline take_everything() {
    take(0);
#if LISTS > 1
    take(1)
#endif
}

inline run_cycle_locked() {
    pending_started = true;
#ifndef RC1_NO_FENCE
    d_step { drain_started() }  // [RC-1]
#endif
#ifdef TAKE_DURING_GRACE_PERIOD
    before = entered;
    take_everything();
    left >= before;
    before = 0;
#else
    take_everything();
    // [GP-1], and with it whatever of ours still waits.
    atomic { drain_started() }
    grace_period();
#endif
    run_deleters(0);
#if LISTS > 1
    run_deleters(1);
#endif
    finished = started
}

inline reclaim_everything() {
    // [RC-2]; without it, the number may have been loaded early.
    atomic {
        if
        :: early_started == UNKNOWN -> number = started + 1
        :: else -> number = early_started + 1
        fi
    }
    atomic { !reclaiming -> reclaiming = true }
    do
    :: finished < number -> run_cycle_locked()
    :: else -> break
    od;
    // Releasing the lock drains what its holder wrote.
    atomic { drain_effect(1); drain_effect(2); drain_effect(3); number = 0 }
    reclaiming = false
}

active proctype reclaimer() {
    byte number, before, following;
    reclaim_everything()
}

// ---- rcu_barrier

inline load_backlog() {
#ifdef BACKLOG_RETIRED_FIRST
    backlog = retired[0];
#if LISTS > 1
    backlog = backlog + retired[1];
#endif
    backlog = backlog - reclaimed;
#else
    backlog = 0 - reclaimed;
#ifndef RC4_RELAXED
    early_effect = UNKNOWN;  // [RC-4]
#endif
    backlog = backlog + retired[0];
#if LISTS > 1
    backlog = backlog + retired[1]
#endif
#endif
}

proctype thread_b(byte object) {
    byte list, seen;
    byte number, before, following, backlog;
    bool wants[OBJECTS + 1];
#ifndef HANDLER
    retire();
#endif
    // rcu_barrier. What B knows to be retired, B's loads come after.
    atomic { wants[1] = pushed[1]; wants[2] = pushed[2]; wants[3] = pushed[3] }
    load_backlog();
    if
    :: backlog == 0
    :: else -> reclaim_everything(); early_effect = UNKNOWN
    fi;
    assert(!wants[1] || effect[1]);
    assert(!wants[2] || effect[2]);
    assert(!wants[3] || (early_effect == UNKNOWN -> effect[3] : early_effect))
}

init {
    atomic {
        run thread_a(1);
#ifdef HANDLER
        run handler_on_a(2);
#endif
        run thread_b(OF_B)
    }
}
