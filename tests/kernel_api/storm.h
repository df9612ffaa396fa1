// SPDX-License-Identifier: MIT
//
// The other half of kernel_*.c, C and C++: installs the program's do_nmi, and then again and again
// a handler with data that is poisoned and freed after the handler's removal, while threads take
// NMIs that they raise on themselves and that another thread raises on them. Every NMI must have
// been counted once; no handler may see poison.
//
//   PROGRAM [CYCLES]     with EARLY_FREE defined: without waiting for the handlers, which a child
//                        process must notice. What it frees too early is poisoned and kept: a
//                        handler that finds it sees the poison and breaks nothing else
#ifndef NMIRCU_TESTS_KERNEL_API_STORM_H
#define NMIRCU_TESTS_KERNEL_API_STORM_H

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef EARLY_FREE
enum { early_free = 1 };
#else
enum { early_free = 0 };
#endif
enum { alive = 0x600d, poison = 0x6b, threads = 4, most_cpus = 1024 };
enum { noticed = 3 };  // exit status: a handler ran when none could be left

struct my_nmi_data {
    int state;
    unsigned long hits;
    struct rcu_head rcu;
};
static struct my_nmi_data* my_nmi_data;

// All with atomic accesses.
static unsigned long stale;
static int stop, ready, tids[threads];
static int rounds = 100;  // how long a handler lingers

static int my_nmi_callback(struct pt_regs* regs, int cpu) {
    struct my_nmi_data* const data = rcu_dereference(my_nmi_data);
    int round, seen = 0;
    for (round = 0; round < rounds; ++round)
        seen |= __atomic_load_n(&data->state, __ATOMIC_RELAXED) ^ alive;
    if (seen != 0 || !in_nmi()) __atomic_fetch_add(&stale, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&data->hits, 1, __ATOMIC_RELAXED);
    return 1;
}

static void fail(const char* what) {
    fprintf(stderr, "%s\n", what);
    _exit(1);
}

static int load(const int* word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void* take_nmis(void* tid) {
    *(int*)tid = (int)syscall(SYS_gettid);
    // The updater gets its turn among threads that never sleep.
    setpriority(PRIO_PROCESS, (id_t) * (int*)tid, 10);
    __atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
    while (!load(&stop))
        nmi_raise_self();
    return NULL;
}

static void* raise_nmis(void* nothing) {
    while (!load(&stop)) {
        int i;
        for (i = 0; i < threads; ++i)
            nmi_raise(tids[i]);
        sched_yield();
    }
    return nothing;
}

static unsigned long claimed;

static void cycle(int number) {
    struct my_nmi_data* const data = (struct my_nmi_data*)kmalloc(sizeof(*data), GFP_KERNEL);
    int turn;
    if (data == NULL) fail("kmalloc");
    data->state = alive;
    data->hits = 0;
    rcu_assign_pointer(my_nmi_data, data);
    set_nmi_callback(my_nmi_callback);
    nmi_raise_self();
    for (turn = 0; turn < 100 && __atomic_load_n(&data->hits, __ATOMIC_RELAXED) < 3; ++turn)
        sched_yield();
    unset_nmi_callback();
    if (!early_free) wait_for_handlers();
    claimed += __atomic_load_n(&data->hits, __ATOMIC_RELAXED);
    __atomic_store_n(&data->state, poison, __ATOMIC_RELAXED);
    if (number % 2 == 0) {
        if (!early_free) kfree(data);
    } else {
        kfree_rcu(data, rcu);
    }
    // Ours for a moment: nothing is lost on the way there and back.
    if (number % 16 == 0 && (nmi_set_entry(NULL) != 0 || nmi_set_entry(do_nmi) != 0)) {
        fail("nmi_set_entry");
    }
}

static int storm(int cycles) {
    pthread_t thread[threads + 1];
    unsigned long long taken = 0, known = 0, unknown;
    int i, done = 0;
    nmi_raise_self();  // counted before there is a do_nmi of the program's
    if (nmi_set_entry(do_nmi) != 0) fail("nmi_set_entry");
    for (i = 0; i < threads; ++i) {
        if (pthread_create(&thread[i], NULL, take_nmis, &tids[i]) != 0) fail("pthread_create");
    }
    while (load(&ready) != threads)
        sched_yield();
    if (pthread_create(&thread[threads], NULL, raise_nmis, NULL) != 0) fail("pthread_create");
    while (done < cycles && __atomic_load_n(&stale, __ATOMIC_RELAXED) == 0)
        cycle(done++);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    // The thread that raises first: the others must still be there.
    for (i = threads; i >= 0; --i)
        pthread_join(thread[i], NULL);
    rcu_barrier();
    if (nmi_set_entry(NULL) != 0) fail("nmi_set_entry");
    for (i = 0; i < 5; ++i)
        nmi_raise_self();

    for (i = 0; i < most_cpus; ++i) {
        taken += nmi_count(i);
        known += nmircu_nmi_count(i);
    }
    unknown = nmircu_nmi_unknown_count();
    printf("%d cycles, %llu NMIs: %lu claimed, %llu unknown; %lu stale\n", done, taken, claimed,
           unknown, stale);
    if (stale != 0) return noticed;
    if (claimed == 0) fail("no NMI reached a handler: nothing was tested");
    if (known != taken) fail("two ways to count the NMIs disagree");
    if (taken != claimed + unknown) {
        fprintf(stderr, "the counts do not add up\n");
        return noticed;
    }
    return 0;
}

// Forks first: the child of a program with threads may not start any under ThreadSanitizer.
static int expect_caught(int cycles) {
    const struct rlimit none = {0, 0};
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &none);
        alarm(50);
        rounds = 30000;
        if (nmi_attach() != 0) fail("nmi_attach");
        _exit(storm(cycles));
    }
    if (child < 0 || waitpid(child, &status, 0) != child) fail("fork");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != noticed) {
        fail("freed without waiting, and nothing noticed");
    }
    printf("freed without waiting: caught, as it must be\n");
    return 0;
}

int main(int argc, char** argv) {
    const int cycles = argc > 1 ? atoi(argv[1]) : 200;
    if (early_free) return expect_caught(100 * cycles);
    if (nmi_attach() != 0) fail("nmi_attach");
    return storm(cycles);
}

#endif
