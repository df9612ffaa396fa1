// SPDX-License-Identifier: MIT
//
// The queue of deferred work: queue_deferred, push, run_locked, run_batch_locked and flush_deferred
// in src/interrupt/deferred.cpp. Handlers queue item 1 (two of them, so that one may find it queued,
// or claimed and not pushed yet) and item 2; the thread runs what is queued; a flusher flushes. How
// the thread sleeps is ../deferred_sleep/.
//
// A handler may come between any two steps of anybody, who runs items included: it is a process
// here, which is more, for it need not end before the others go on.
//
// Properties:
//   - an item is never pushed while it is in the queue, and its function runs once for each queue()
//     that said so;
//   - what a handler did before its queue(), also one that found the item queued, is seen by a run
//     of the function (`seen`);
//   - when a flush returns, that is so for each queue() that had returned before it;
//   - with UNLOAD, handlers have been removed when the flush begins: afterwards no function runs and
//     nobody touches an item, so that its code and memory may go.
//
// A handler's event and the link that it writes wait in its store buffer (`behind_event`,
// `behind_link`) until they drain by themselves or a release of its own drains them. Loads that may
// be done before or after their turn are written out where the order that forbids it is left out.
// Exchange and compare-and-exchange take effect at once. The lock is proved in ../lock/.

#define NONE 0
#define ITEMS 2
#define QUEUERS 3
#define ITEM_OF(queuer) (1 + (queuer) / 2)
#ifdef REQUEUE
#define RUNS_AGAIN (item == 1 && !again)
#else
#define RUNS_AGAIN false
#endif

byte head;
byte next[ITEMS + 1];
bool queued[ITEMS + 1];
byte link_behind[QUEUERS];  // what the buffer holds for the link of its item
bool behind_link[QUEUERS], behind_event[QUEUERS];
bool event[QUEUERS], seen[QUEUERS];
bool returned[QUEUERS];  // from queue()

bool running;  // the lock
byte taken, flushed;
bool in_queue[ITEMS + 1];  // for the assertions, as is what follows
byte accepted[ITEMS + 1], runs[ITEMS + 1];
bool again, unloaded;

// ---- the machine

inline drain_event(queuer) {
    if
    :: behind_event[queuer] -> behind_event[queuer] = false; event[queuer] = true
    :: else
    fi
}

inline drain_link(queuer) {
    if
    :: behind_link[queuer] ->
        behind_link[queuer] = false;
        next[ITEM_OF(queuer)] = link_behind[queuer];
        link_behind[queuer] = NONE
    :: else
    fi
}

active proctype machine() {
end:
    do
    :: d_step { behind_event[0] -> drain_event(0) }
    :: d_step { behind_event[1] -> drain_event(1) }
    :: d_step { behind_event[2] -> drain_event(2) }
    :: d_step { behind_link[0] -> drain_link(0) }
    :: d_step { behind_link[1] -> drain_link(1) }
    :: d_step { behind_link[2] -> drain_link(2) }
    od
}

// ---- handlers

proctype queuer(byte me) {
    byte first;
    bool was_queued;
    behind_event[me] = true;
#ifdef CLAIM_NOT_ATOMIC
    d_step { drain_event(me); was_queued = queued[ITEM_OF(me)] }
    queued[ITEM_OF(me)] = true;
#else
    d_step {
#ifndef DW3_RELAXED
        drain_event(me);  // [DW-3]
#endif
        was_queued = queued[ITEM_OF(me)];
        queued[ITEM_OF(me)] = true
    }
#endif
    if
    :: was_queued
    :: else ->
        accepted[ITEM_OF(me)]++;
        first = head;
        do
        :: d_step { behind_link[me] = true; link_behind[me] = first }
           atomic {
               if
               :: head == first ->
                   assert(!in_queue[ITEM_OF(me)]);
                   assert(!unloaded);
#ifndef DW1_RELAXED
                   drain_event(me);
                   drain_link(me);  // [DW-1]
#endif
                   in_queue[ITEM_OF(me)] = true;
                   head = ITEM_OF(me);
                   break
               :: else -> first = head
               fi
           }
        od
    fi;
    atomic { first = NONE; was_queued = false; returned[me] = true }
}

// ---- who runs items

inline look_at_events() {
    d_step {
        if
        :: item == 1 -> look[0] = event[0]; look[1] = event[1]
        :: else -> look[2] = event[2]
        fi
    }
}

inline note_events() {
    d_step {
        seen[0] = seen[0] || look[0];
        seen[1] = seen[1] || look[1];
        seen[2] = seen[2] || look[2];
        look[0] = false;
        look[1] = false;
        look[2] = false
    }
}

inline run_locked() {
    item = taken;
    atomic {
        assert(!unloaded);
        if
        :: flushed == item -> flushed = NONE
        :: else
        fi
    }
#ifdef DW4_NOT_ACQUIRE
    look_at_events();
#endif
#ifndef DW4_NOT_RELEASE
    taken = next[item];
#endif
    d_step { in_queue[item] = false; queued[item] = false }  // [DW-4]
#ifdef DW4_NOT_RELEASE
    taken = next[item];
#endif
    // The function.
    atomic { assert(!unloaded); runs[item]++ }
#ifndef DW4_NOT_ACQUIRE
    look_at_events();
#endif
    note_events();
    if
    :: RUNS_AGAIN ->
        again = true;
        queue_again()
    :: else
    fi;
    assert(!unloaded);  // its code is executed to here
    item = NONE
}

inline queue_again() {
    atomic { was_queued = queued[1]; queued[1] = true }
    if
    :: was_queued
    :: else ->
        accepted[1]++;
        do
        :: list = head;
           next[1] = list;
           atomic {
               if
               :: head == list ->
                   assert(!in_queue[1]);
                   in_queue[1] = true;
                   head = 1;
                   break
               :: else
               fi
           }
        od
    fi;
    atomic { was_queued = false; list = NONE }
}

inline take_and_reverse() {
    atomic { list = head; head = NONE }  // [DW-2]
    do
    :: list != NONE ->
        atomic {
            item = list;
            if
            :: list = next[item]
#ifdef DW2_RELAXED
            :: list = NONE  // what the item had there before
#endif
            fi;
            next[item] = taken;
            taken = item;
            item = NONE
        }
    :: else -> break
    od
}

inline run_batch_locked() {
    take_and_reverse();
    do
    :: taken != NONE -> run_locked()
    :: else -> break
    od
}

#define LOCALS byte item, list; bool was_queued; bool look[QUEUERS]

active proctype worker() {
    LOCALS;
end:
    do
    :: head != NONE ->
        atomic { !running -> running = true }
        run_batch_locked();
        running = false
    od
}

// ---- flush

#define EVERYBODY (returned[0] && returned[1] && returned[2])

inline flush(wanted) {
    do
    :: atomic { !running -> running = true; flushed = wanted }
       run_batch_locked();
       if
#ifdef FLUSH_ONE_TURN
       :: true ->
#else
       :: flushed == NONE || !queued[wanted] ->
#endif
           flushed = NONE;
           running = false;
           break
#ifndef FLUSH_ONE_TURN
       :: else -> flushed = NONE; running = false
#endif
       fi
    od
}

active proctype flusher() {
    LOCALS;
#ifdef UNLOAD
    EVERYBODY;
#else
    returned[1];
#endif
#ifdef FLUSH_ONLY_LOOKS
    !queued[1];
    !queued[2];
#else
    flush(1);
    assert(seen[1]);
#ifdef UNLOAD
    flush(2);
    assert(seen[0] && seen[2]);
#endif
#endif
#ifdef UNLOAD
    unloaded = true
#endif
}

// Runs when nothing else can.
active proctype watch() {
    timeout ->
        assert(seen[0] && seen[1] && seen[2]);
        assert(runs[1] == accepted[1] && runs[2] == accepted[2])
}

init {
    atomic {
        run queuer(0);
        run queuer(1);
        run queuer(2)
    }
}
