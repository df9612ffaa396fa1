/* SPDX-License-Identifier: MIT
 *
 * The protocol of the kernel's document on NMI handlers under RCU, line for line, in a program.
 *
 * The first half is the document's code, in its order. The second half is what the document leaves
 * to its reader: a handler with data, the storm it has to survive, and the proof that it did.
 *
 *     cc nmi_rcu.c $(pkg-config --cflags --libs nmircu) -o nmi_rcu && ./nmi_rcu
 */
#include <nmircu/kernel_api.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

/* ---- The document ---------------------------------------------------------------------------- */

/* Handles nothing, and says so: the default action follows. */
static int dummy_nmi_callback(struct pt_regs* regs, int cpu) {
    (void)regs, (void)cpu;
    return 0;
}

/* The handler of the moment. An ordinary pointer: all that matters is how it is read and written.
 */
static nmi_callback_t nmi_callback = dummy_nmi_callback;

/* Runs for each NMI, in the middle of whatever the thread was doing. */
void do_nmi(struct pt_regs* regs, long error_code) {
    int cpu;
    (void)error_code;

    nmi_enter(); /* from here on, synchronize_rcu waits for us */

    cpu = smp_processor_id();
    ++nmi_count(cpu);

    /* Not a plain read: on Alpha, or with a compiler that guesses pointers, a new handler could
     * see what its data were before they were initialised. */
    if (!rcu_dereference_sched(nmi_callback)(regs, cpu)) default_do_nmi(regs);

    nmi_exit();
}

/* Whatever the handler uses must be complete by now. */
void set_nmi_callback(nmi_callback_t callback) {
    rcu_assign_pointer(nmi_callback, callback);
}

/* From here on no NMI begins the old handler; but on other CPUs it may still be running. */
void unset_nmi_callback(void) {
    rcu_assign_pointer(nmi_callback, dummy_nmi_callback);
}

/* ---- A handler with data --------------------------------------------------------------------- */

enum { in_use = 1, freed = 2 };

static struct my_nmi_data {
    int state; /* in_use as long as a handler may look at it */
    unsigned long hits;
} * my_nmi_data;

static unsigned long too_late; /* handlers that met freed data */

static int my_nmi_callback(struct pt_regs* regs, int cpu) {
    (void)regs, (void)cpu;
    if (my_nmi_data->state != in_use) __atomic_fetch_add(&too_late, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&my_nmi_data->hits, 1, __ATOMIC_RELAXED);
    return 1; /* handled */
}

/* Installs the handler, lets it be hit, and frees its data. Returns the number of hits. */
static unsigned long use_it_once(void) {
    unsigned long hits;
    int i;

    my_nmi_data = (struct my_nmi_data*)kmalloc(sizeof(*my_nmi_data), GFP_KERNEL);
    if (my_nmi_data == NULL) return 0;
    my_nmi_data->state = in_use;
    my_nmi_data->hits = 0;
    set_nmi_callback(my_nmi_callback);

    for (i = 0; i < 50; ++i)
        nmi_raise_self();

    unset_nmi_callback();
    synchronize_rcu(); /* leave this out, and too_late counts */
    hits = my_nmi_data->hits;
    my_nmi_data->state = freed;
    kfree(my_nmi_data);
    return hits;
}

/* ---- The storm ------------------------------------------------------------------------------- */

static int threads_in_the_storm, storm_is_over;

/* NMIs as fast as one thread can take them. */
static void* take_nmis(void* nothing) {
    __atomic_fetch_add(&threads_in_the_storm, 1, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&storm_is_over, __ATOMIC_RELAXED))
        nmi_raise_self();
    return nothing;
}

int main(void) {
    enum { threads = 3, times = 1000, most_cpus = 1024 };
    pthread_t storm[threads];
    unsigned long handled = 0, taken = 0, unknown;
    int i, error;

    error = nmi_set_entry(do_nmi); /* our own do_nmi stands behind the vector */
    if (error != 0) {
        fprintf(stderr, "nmi_rcu: the NMI cannot be taken: error %d\n", error);
        return 1;
    }
    for (i = 0; i < threads; ++i) {
        if (pthread_create(&storm[i], NULL, take_nmis, NULL) != 0) return 1;
    }
    while (__atomic_load_n(&threads_in_the_storm, __ATOMIC_RELAXED) != threads)
        sched_yield();
    for (i = 0; i < times; ++i)
        handled += use_it_once();
    __atomic_store_n(&storm_is_over, 1, __ATOMIC_RELAXED);
    for (i = 0; i < threads; ++i)
        pthread_join(storm[i], NULL);

    for (i = 0; i < most_cpus; ++i)
        taken += nmi_count(i);
    unknown = (unsigned long)nmi_unknown_count();
    printf("%lu NMIs: %lu handled by %d handlers that are gone, %lu by nobody; %lu too late\n",
           taken, handled, times, unknown, too_late);
    return too_late == 0 && handled >= times && taken == handled + unknown ? 0 : 1;
}
