// SPDX-License-Identifier: MIT
//
// The per-CPU addition: rseq_add_release in src/arch/*/nmircu/arch/rseq.hpp. Two threads add to the
// slot of the CPU they run on; they share CPUs; one migrates, and is interrupted by a
// handler that adds as well. An addition is four steps: begin, read the CPU number, load, store.
//
// Property: no addition is lost. A lost enter would end a grace period under a reader; a lost exit
// would make every later one wait for ever.
//
// The kernel's promise is the flag `restart`: if a thread is preempted, migrated or interrupted by
// a signal after the beginning and before the store, it starts again instead of storing.

#define THREADS 2
#define HANDLER 2  // on thread 0
#define NONE 255

byte counted[2];
byte cpu_of[THREADS];   // thread 1 stays where it is
byte running[2] = NONE;  // which thread a CPU runs
bool restart[THREADS + 1];
bool interrupted;       // thread 0, by its handler
byte migrations = 2;
byte finished;

#ifdef NOT_RESTARTABLE
#define DISTURB(thread) skip
#else
#define DISTURB(thread) \
    restart[thread] = true; restart[HANDLER] = restart[HANDLER] || (thread == 0)
#endif
#ifdef NOT_ON_MIGRATION
#define DISTURB_BY_MIGRATION(thread) skip
#else
#define DISTURB_BY_MIGRATION(thread) DISTURB(thread)
#endif

// A CPU runs one thread at a time; changing to another disturbs the one that stops.
inline run_on(cpu, thread) {
    if
    :: running[cpu] == 0 -> DISTURB(0)
    :: running[cpu] == 1 -> DISTURB(1)
    :: else
    fi;
    running[cpu] = thread
}

active proctype scheduler() {
end:
    do
    :: d_step { cpu_of[0] == 0 && running[0] != 0 -> run_on(0, 0) }
    :: d_step { cpu_of[1] == 0 && running[0] != 1 -> run_on(0, 1) }
    :: d_step { cpu_of[0] == 1 && running[1] != 0 -> run_on(1, 0) }
    :: d_step { cpu_of[1] == 1 && running[1] != 1 -> run_on(1, 1) }
    :: d_step {
        migrations > 0 ->
        migrations--;
        DISTURB_BY_MIGRATION(0);
        if
        :: running[cpu_of[0]] == 0 -> running[cpu_of[0]] = NONE
        :: else
        fi;
        cpu_of[0] = 1 - cpu_of[0]
       }
    od
}

inline add() {
    do
    :: restart[me] = false;
       cpu = cpu_of[me % 2];
       value = counted[cpu];
       atomic {
        if
        :: restart[me]
        :: else -> counted[cpu] = value + 1; cpu = 0; value = 0; break
        fi
       }
    od
}

proctype first(byte me) provided (running[cpu_of[0]] == 0 && !interrupted) {
    byte cpu, value;
    add();
    add();
    finished++
}

// On the first thread, at any time, to completion.
proctype handler(byte me) provided (running[cpu_of[0]] == 0 && interrupted) {
    byte cpu, value;
    add();
    atomic { finished++; interrupted = false }
}

proctype second(byte me) provided (running[cpu_of[1]] == 1) {
    byte cpu, value;
    add();
    add();
    finished++
}

active proctype interrupt() {
    d_step {
        DISTURB(0);
        interrupted = true
    }
}

active proctype check() {
    finished == 3 -> assert(counted[0] + counted[1] == 5)
}

init {
    atomic {
        run first(0);
        run handler(HANDLER);
        run second(1)
    }
}
