// SPDX-License-Identifier: MIT
//
// The grace period: include/nmircu/detail/reader.hpp, src/rcu/reader.cpp and grace_period.cpp.
// Readers that repeat, migrate and are interrupted at every step, against an updater that replaces
// an object, waits for a grace period and frees the old one. A good_ or bad_ file of this folder
// chooses the sizes and the weakening, and includes this.
//
// Property: no section uses a freed object. In the good_ files also I1 of grace_period.cpp.
//
// Spin interleaves whole statements, in order. What a machine does beyond that is written out:
//
//   store buffer   A reader's count is first put in the buffer of the CPU it runs on (`buffer`,
//                  oldest first) and drained at any later time. An exit is a release: it is drained
//                  when everything older is gone. An enter is not and may overtake; so this is
//                  weaker than x86. The updater's stores wait in `pending_*`, in no order.
//   early load     The load of the pointer may be done before its turn (`early`), even before the
//                  section is counted, as long as no barrier and no interruption comes between.
//   barrier        The process-wide barrier drains the updater's stores, then reaches one CPU after
//                  another, in either order: drains its buffer, forgets its early loads.
//   migration      A thread may change CPUs between any two steps. The kernel's context switch is a
//                  full barrier on the CPU that is left; the model relies on it.
//   interruption   A handler that is a reader runs on the reader's thread between any two steps.
//
// An increment of a buffer entry is one step: a restartable sequence does that (per_cpu_add/).
// Threads on one CPU run interleaved and share its buffer.

#ifndef READERS
#define READERS 2
#endif
#ifndef SECTIONS
#define SECTIONS 1  // of each reader, one after another
#endif
#ifndef GRACE_PERIODS
#define GRACE_PERIODS 1
#endif
#ifndef MIGRATIONS
#define MIGRATIONS 0  // of all readers together
#endif
#ifndef INTERRUPTIONS
#define INTERRUPTIONS 0  // of reader 0
#endif

#ifndef GIVE_UPS
#define GIVE_UPS 0  // how often the updater gives up a grace period and begins another
#endif

#define CPUS 2
#define DEPTH 3  // of a store buffer; a full one must be drained first

// Places in a slot, as the buffers name them. A reader without a CPU slot counts in SHARED.
#define ENTER(p) (p)
#define EXIT(p) (2 + (p))
#define IS_EXIT(place) ((place) & 2)
#define SHARED CPUS
#define AT(slot, place) ((slot) * 4 + (place))

byte counted[(CPUS + 1) * 4];  // what every CPU sees
byte buffer[CPUS * DEPTH];     // places whose increment only their CPU sees
byte buffered[CPUS];

bit phase;
byte pointer;  // the number of the current object
bool pending_phase, pending_pointer;
bool freed[GRACE_PERIODS + 1];

byte cpu_of[READERS];
byte section[READERS];  // nesting << 1 | phase
byte early[READERS];    // 1 + a pointer loaded before its turn
bool interrupted;       // reader 0
byte migrations = MIGRATIONS, interruptions = INTERRUPTIONS;

// ---- the machine

inline drain(cpu, entry) {
    counted[AT(cpu, buffer[(cpu) * DEPTH + entry])]++;
    next = entry;
    do
    :: next + 1 < buffered[cpu] ->
        buffer[(cpu) * DEPTH + next] = buffer[(cpu) * DEPTH + next + 1];
        next++
    :: else -> break
    od;
    buffered[cpu]--;
    buffer[(cpu) * DEPTH + buffered[cpu]] = 0;
    next = 0
}

inline drain_all(cpu) {
    do
    :: buffered[cpu] > 0 -> drain(cpu, 0)
    :: else -> break
    od
}

#ifdef RD2_NO_RELEASE
#define MAY_OVERTAKE(place) true
#else
#define MAY_OVERTAKE(place) (!IS_EXIT(place))
#endif
#define CAN_DRAIN(cpu, entry) \
    (buffered[cpu] > entry && MAY_OVERTAKE(buffer[(cpu) * DEPTH + entry]))

inline migrate(reader) {
    migrations--;
#ifndef SWITCH_NO_BARRIER
    drain_all(cpu_of[reader]);
#endif
    early[reader] = 0;
    cpu_of[reader] = 1 - cpu_of[reader]
}

active proctype machine() {
    byte next;
end:
    do
    :: d_step { buffered[0] > 0 -> drain(0, 0) }
    :: d_step { CAN_DRAIN(0, 1) -> drain(0, 1) }
    :: d_step { CAN_DRAIN(0, 2) -> drain(0, 2) }
    :: d_step { buffered[1] > 0 -> drain(1, 0) }
    :: d_step { CAN_DRAIN(1, 1) -> drain(1, 1) }
    :: d_step { CAN_DRAIN(1, 2) -> drain(1, 2) }
    :: d_step { pending_pointer -> pending_pointer = false; pointer++ }
    :: d_step { pending_phase -> pending_phase = false; phase = 1 - phase }
#ifdef EARLY_LOADS
    :: early[0] == 0 -> early[0] = 1 + pointer
#if READERS > 1
    :: early[1] == 0 -> early[1] = 1 + pointer
#endif
#endif
#if MIGRATIONS > 0
    :: d_step { migrations > 0 -> migrate(0) }
#if READERS > 1
    :: d_step { migrations > 0 -> migrate(1) }
#endif
#endif
    od
}

// ---- readers

// A relaxed or (exit) release addition to this CPU's slot, or to the shared one with a
// read-modify-write, which takes effect at once but does not order the loads around it.
inline count(place) {
    if
#ifndef SYMMETRIC
    :: atomic {
        buffered[cpu_of[me]] < DEPTH ->
        buffer[cpu_of[me] * DEPTH + buffered[cpu_of[me]]] = place;
        buffered[cpu_of[me]]++
       }
#endif
#if defined(SYMMETRIC) || defined(MIXED)
    :: atomic {
        !IS_EXIT(place) || buffered[cpu_of[me]] == 0 ->
        counted[AT(SHARED, place)]++
       }
#ifndef RD3_NO_FENCE
       early[me] = 0  // [RD-3], after an enter
#endif
#endif
    fi
}

inline enter() {
    s = section[me];
    if
    :: s < 2 ->
        p = phase;
#ifdef NESTED_BEFORE_COUNT
        section[me] = 2 | p;
        count(ENTER(p))
#else
        count(ENTER(p));
        atomic { section[me] = 2 | p; s = 0; p = 0 }
#endif
    :: else -> atomic { section[me] = s + 2; s = 0 }
    fi
}

inline dereference() {
    d_step {
        if
        :: early[me] == 0 -> seen = pointer
        :: else -> seen = early[me] - 1; early[me] = 0
        fi
    }
}

inline exit() {
    s = section[me];
    if
    :: s < 4 ->
#ifdef NESTED_AFTER_COUNT
        count(EXIT(s & 1));
        section[me] = 0
#else
        section[me] = 0;
        count(EXIT(s & 1))
#endif
    :: else -> section[me] = s - 2
    fi
}

inline use() { atomic { assert(!freed[seen]); seen = 0 } }

inline read_once() {
#ifdef RD1_HOISTED
    dereference();
    enter();
    use();
    exit()
#else
    enter();
    dereference();
#ifdef RD2_SUNK
    exit();
    use()
#else
    use();
    exit()
#endif
#endif
}

inline read_repeatedly() {
    do
    :: done < SECTIONS -> atomic { done++; s = 0 }
       read_once()
    :: else -> break
    od
}

#if READERS > 1 || INTERRUPTIONS == 0
proctype reader(byte me) {
    byte done, s, seen;
    bit p;
    read_repeatedly()
}
#endif

#if INTERRUPTIONS > 0
proctype interrupted_reader(byte me) provided (!interrupted) {
    byte done, s, seen;
    bit p;
    read_repeatedly()
}

// Runs on the thread of the interrupted reader; what that had loaded early is forgotten.
proctype handler(byte me) {
    byte s, seen;
    bit p;
end:
    do
    :: atomic {
        interruptions > 0 ->
        interruptions--;
        interrupted = true;
        early[me] = 0
       }
       read_once();
       interrupted = false
    od
}
#endif

// ---- the updater

inline reach(cpu) {
    d_step {
        drain_all(cpu);
        if
        :: cpu_of[0] == cpu -> early[0] = 0
        :: else
        fi;
#if READERS > 1
        if
        :: cpu_of[1] == cpu -> early[1] = 0
        :: else
        fi
#endif
    }
}

inline drain_own() {
    d_step {
        if
        :: pending_pointer -> pending_pointer = false; pointer++
        :: else
        fi;
        if
        :: pending_phase -> pending_phase = false; phase = 1 - phase
        :: else
        fi
    }
}

// [GP-2], and in the symmetric mode the updater's own fence, [GP-10].
inline barrier_for_readers() {
#ifndef GP10_NO_FENCE
    drain_own();
#endif
#if defined(SYMMETRIC) || defined(GP2_OWN_FENCE_ONLY)
    skip
#else
    if
    :: reach(0); reach(1)
    :: reach(1); reach(0)
    fi
#endif
}

// left[p] += or -= one place of every slot, one load at a time.
inline load_exits(p) {
#if defined(SYMMETRIC) || defined(MIXED)
    left[p] = left[p] - counted[AT(SHARED, EXIT(p))];
#endif
#ifndef SYMMETRIC
    left[p] = left[p] - counted[AT(0, EXIT(p))];
    left[p] = left[p] - counted[AT(1, EXIT(p))]
#endif
}
inline load_enters(p) {
#if defined(SYMMETRIC) || defined(MIXED)
    left[p] = left[p] + counted[AT(SHARED, ENTER(p))];
#endif
#ifndef SYMMETRIC
    left[p] = left[p] + counted[AT(0, ENTER(p))];
    left[p] = left[p] + counted[AT(1, ENTER(p))]
#endif
}

inline scan() {
    atomic { left[0] = 0; left[1] = 0 }
#ifdef GP4_GP7_RELAXED
    load_enters(0);
    load_enters(1);
    load_exits(0);
    load_exits(1)
#else
    load_exits(0);
    load_exits(1);
    load_enters(0);
    load_enters(1)
#endif
#ifdef CHECK_I1
    assert(left[0] >= 0 && left[1] >= 0)
#endif
}

inline wait_until_drained(which) {
    do
    :: scan();
       if
       :: left[which] == 0 -> break
       :: else
#if GIVE_UPS > 0
       :: left[which] != 0 && give_ups > 0 -> give_ups--; goto again
#endif
       fi
    od
}

inline run_grace_period() {
    barrier_for_readers();
    scan();
    d_step { drained[0] = (left[0] == 0); drained[1] = (left[1] == 0) }
    if
    :: drained[0] && drained[1]
    :: else ->
#ifndef ONE_PHASE
        if
        :: drained[1 - current]
        :: else -> wait_until_drained(1 - current)
        fi;
#endif
        atomic { pending_phase = true; current = 1 - current }
        if
        :: drained[1 - current]
        :: else -> wait_until_drained(1 - current)
        fi
    fi
}

proctype updater() {
    byte old;
    bit current;  // the phase, as its only writer knows it
    short left[2];
    bool drained[2];
    byte next;
#if GIVE_UPS > 0
    byte give_ups = GIVE_UPS;
#endif
    do
    :: old < GRACE_PERIODS ->
        atomic { !pending_pointer && !pending_phase -> pending_pointer = true }
#if GIVE_UPS > 0
again:
#endif
        run_grace_period();
        freed[old] = true;
        old++
    :: else -> break
    od
}

init {
    atomic {
#if INTERRUPTIONS > 0
        run interrupted_reader(0);
        run handler(0);
#else
        run reader(0);
#endif
#if READERS > 1
        cpu_of[1] = 1;
        run reader(1);
#endif
        run updater()
    }
}
