// SPDX-License-Identifier: MIT
//
// The documents' quick quiz, the CPU's half: why rcu_dereference needs a barrier on Alpha, although
// the load of the data depends on the load of the pointer, and although the updater has its barrier.
// rcu_assign_pointer and rcu_dereference in include/nmircu/rcu.hpp.
//
// Property: whoever sees the new pointer sees the initialised data behind it.
//
// Caches are explicit. The reader's CPU has both lines cached, in two banks: the pointer in one, the
// data in the other. A store by the updater changes memory and queues an invalidation at the bank,
// which acknowledges it at once and processes it at any later time; until then the bank answers
// with the old value. On Alpha each bank has its own queue. On every other CPU, invalidations are
// processed in the order they came (ONE_QUEUE), or loads that depend on each other behave so.

#define POINTER 0
#define DATA 1

bool memory[2];  // whether the location has its new value
bool cached[2];
bool valid[2] = true;
bool queued[2];

inline store(place) {
    d_step { memory[place] = true; queued[place] = true }
}

inline process(place) { queued[place] = false; valid[place] = false }

active proctype banks() {
end:
    do
    :: d_step { queued[DATA] -> process(DATA) }
#ifdef ONE_QUEUE
    :: d_step { queued[POINTER] && !queued[DATA] -> process(POINTER) }
#else
    :: d_step { queued[POINTER] -> process(POINTER) }
#endif
    od
}

inline load(place, result) {
    d_step {
        if
        :: valid[place]
        :: else -> cached[place] = memory[place]; valid[place] = true
        fi;
        result = cached[place]
    }
}

active proctype reader() {
    bool pointer_is_new, data_is_initialised;
    load(POINTER, pointer_is_new);
#ifndef NO_BARRIER
    // dependent_load_barrier: `mb` waits until every queue is empty. [PUB-2]
    d_step {
        if
        :: queued[POINTER] -> process(POINTER)
        :: else
        fi;
        if
        :: queued[DATA] -> process(DATA)
        :: else
        fi
    }
#endif
    load(DATA, data_is_initialised);
    assert(!pointer_is_new || data_is_initialised)
}

active proctype updater() {
#ifdef PUB1_RELAXED
    if
    :: store(DATA); store(POINTER)
    :: store(POINTER); store(DATA)
    fi
#else
    store(DATA);
    store(POINTER)  // [PUB-1]: only when the data's invalidation is acknowledged
#endif
}
