/* SPDX-License-Identifier: MIT
 *
 * The C interface of a loadable NMI handler: a shared object that `nmi` loads into a running
 * program, swaps for a newer copy, and unloads again while interrupts keep arriving.
 *
 * A module exports one symbol, `nmi_module`, and imports nothing from us: whatever it needs comes
 * through the host table that init receives. The smallest one is examples/count.c; build it with
 *
 *     cc -shared -fPIC -ftls-model=initial-exec -o count.so count.c
 *
 * Life of a module. dlopen; init (thread context); handler on every CPU, any number of times, also
 * several at once and nested; then, on unload: the handler is unpublished, a grace period passes,
 * deferred work that it has queued runs, exit is called (thread context, no handler of this module
 * is running or will start), dlclose. On swap the new module's init runs before, the old module's
 * exit after the exchange: for a moment both are loaded and every interrupt is seen by exactly one
 * of the two.
 *
 * init and exit run on a thread of the agent: every signal blocked, 256 KiB of stack, the program's
 * own descriptors, so a handler can use a descriptor that init opened. The constructors and
 * destructors of the shared object run elsewhere, with other descriptors: open none there.
 *
 * A handler runs in the middle of somebody else's instruction. It must not lock, allocate, call
 * stdio, touch lazily allocated thread-local storage, block, or loop without a bound. errno is
 * saved around it. It may be interrupted by another NMI on the same thread.
 */
#ifndef NMIRCU_MODULE_H
#define NMIRCU_MODULE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bumped when a change here breaks modules built before it. */
#define NMI_MODULE_ABI 1u

/* The interrupted registers. Opaque; read them through the host table. */
struct pt_regs;

struct nmi_periodic; /* below */

/* Work for a thread, queued by a handler. Zero but for `function` before it is first queued; from
 * then on the core's. What the handler has queued has run before exit is called; an item that
 * queues itself has to stop when exit has been called, and then runs a last time before the module
 * is unloaded. */
struct nmi_deferred {
    /* (thread) Runs on the core's thread, one item after the other, in the order of queueing. May
     * block, allocate and queue again; outside any handler. */
    void (*function)(struct nmi_deferred* item);
    void* link;
    uint32_t queued;
};

/* What the core offers a module. Each function's context is given as (nmi) where a handler may call
 * it, or (thread) where only init and exit may. None of them blocks or allocates
 * unless it says so. The table stays valid until exit returns. */
struct nmi_host {
    uint32_t abi;   /* NMI_MODULE_ABI of the core */
    uint32_t bytes; /* size of this table: later versions only append */

    /* (nmi) The interrupted instruction, stack pointer and frame pointer. */
    uintptr_t (*instruction_pointer)(const struct pt_regs* regs);
    uintptr_t (*user_stack_pointer)(const struct pt_regs* regs);
    uintptr_t (*frame_pointer)(const struct pt_regs* regs);

    /* (nmi) Return addresses of the interrupted thread by its frame pointers, innermost first, the
     * interrupted instruction itself as element 0. Every load is checked against the bounds of the
     * thread's stack. Writes at most `most` (0..1024) elements; returns how many. */
    uint32_t (*walk_stack)(const struct pt_regs* regs, uintptr_t* addresses, uint32_t most);

    /* (nmi) One record for whoever reads this process's rings. Reserve gives `bytes` (1..40960)
     * of 8-aligned memory in the running CPU's ring, or NULL: the ring is full, and the loss has
     * been counted. Every reserved record must be committed, by the same thread, before the
     * handler returns; `kind` is one of enum nmi_record_kind or at least NMI_RECORD_FIRST_FREE. */
    void* (*record_reserve)(uint32_t kind, uint32_t bytes);
    void (*record_commit)(void* record);

    /* (nmi) The running thread, as gettid(2). */
    uint32_t (*thread_id)(void);
    /* (nmi) CLOCK_MONOTONIC in nanoseconds. */
    uint64_t (*now_ns)(void);

    /* Below: only if `bytes` reaches that far. */

    /* (thread) Creates the thread that runs deferred work, if there is none: called in init by a
     * module whose handler queues. Blocks and allocates. 0: the system refused; what is queued then
     * runs when the module is unloaded. */
    int (*defer_start)(void);
    /* (nmi) Queues the item. 0: it was queued already, and its function has not begun. */
    int (*defer)(struct nmi_deferred* item);

    /* (nmi) The number this NMI was asked for with, enum nmi_request; 0: it came from a source. A
     * handler that samples returns 0 to those that were asked for. */
    uint32_t (*requested)(const struct pt_regs* regs);
    /* (thread, nmi) Raises an NMI on a thread of this process. 0, or an errno value: ESRCH, there
     * is no such thread; EAGAIN, too many signals pending; EBUSY, the program has taken the signal
     * for itself. A thread with an NMI on its way gets that one only, so an answer that does not
     * come is asked for again. Wakes a thread that sleeps: docs/nmi.md says which calls see EINTR.
     */
    int (*interrupt_thread)(uint32_t thread_id, uint32_t number);
    /* (thread) In init, once: that much memory (1..2^30 bytes), zero, taken only as it is written.
     * Whoever asks the agent for `memory NAME` may read it, also after the program has ended. NULL:
     * the system refused. Goes after exit has returned. Blocks. */
    void* (*shared_memory)(uint64_t bytes);
    /* (thread) In init, once: see struct nmi_periodic. Returns what `begin` returned, or -1: the
     * system refused. Blocks. */
    int (*periodic_start)(const struct nmi_periodic* what);

    /* (nmi) NMI_SAMPLE_OFF_CPU and the number of merged interrupts, where flags of a sample have
     * them: what the source knows of this interrupt. */
    uint32_t (*interrupt_flags)(const struct pt_regs* regs);
    /* (nmi) As walk_stack; `flags` becomes NMI_SAMPLE_TRUNCATED, NMI_SAMPLE_UNWOUND_BADLY or 0. */
    uint32_t (*walk_stack_flags)(const struct pt_regs* regs, uintptr_t* addresses, uint32_t most,
                                 uint32_t* flags);
    /* (nmi) The interrupted registers in the order of struct nmi_stack_sample. Writes at most
     * `most`; returns how many there are: 0 where they are not known. */
    uint32_t (*dwarf_registers)(const struct pt_regs* regs, uint64_t* out, uint32_t most);
    /* (nmi) How much of the interrupted stack can be copied from its stack pointer upwards, at most
     * `most` (0..32768) bytes, a multiple of 8; less where it is known to end. `flags` becomes
     * NMI_SAMPLE_TRUNCATED if it goes on behind that, else 0. */
    uint32_t (*stack_extent)(const struct pt_regs* regs, uint32_t most, uint32_t* flags);
    /* (nmi) Copies that many bytes, which stack_extent has just granted. */
    void (*copy_stack)(const struct pt_regs* regs, void* out, uint32_t bytes);
    /* (nmi) Leaves a record NMI_RECORD_THREAD_NAME of the running thread if one is due: at the
     * thread's first call since a handler was loaded, and, as threads are named after they began,
     * at its 2nd, 4th, 8th, ... 1024th. Call it before the sample is recorded. */
    void (*record_thread_name)(void);
    /* (nmi) Says that the sample just committed stays true until the thread runs again. A source
     * that looks at threads which do not run will then not interrupt this one, but leave
     * NMI_RECORD_REPEAT records. Not to be said of a sample that got no room. */
    void (*sample_stands)(const struct pt_regs* regs);
    /* (thread) Whether threads that have not run for a second are of interest: 1, and with other
     * sources than `wall` it makes no difference; 0 takes a 1 back. They count until one
     * is taken back or the module is unloaded. */
    void (*want_idle_threads)(int wanted);
};

/* Who asked for an NMI. */
enum nmi_request {
    NMI_REQUEST_BACKTRACE = 1,
    NMI_REQUEST_WATCHDOG = 2,
    NMI_REQUEST_FIRST_FREE = 1024
};

/* Something that a module does again and again, on a thread of its own ("nmi-periodic"): every
 * signal blocked, hidden from interrupts and dumps, 256 KiB of stack. It has descriptors of its
 * own: at its beginning the program's 2, and none besides; so the program cannot close or hand on
 * what `begin` opens. The last call has returned before the module's handler is taken out (on a
 * swap: before exit is called). */
struct nmi_periodic {
    uint32_t interval_us; /* 100..60,000,000, from the end of one call to the next */
    uint32_t reserved;    /* 0 */
    /* (thread) First, while init waits. Not 0: no thread after all. May be null. */
    int (*begin)(void);
    /* (thread) May block; whoever unloads the module waits for it. */
    void (*tick)(void);
};

enum nmi_record_kind {
    NMI_RECORD_SAMPLE = 1,      /* struct nmi_sample */
    NMI_RECORD_REPEAT = 2,      /* struct nmi_repeat */
    NMI_RECORD_STACK = 3,       /* struct nmi_stack_sample */
    NMI_RECORD_THREAD_NAME = 4, /* struct nmi_thread_name */
    NMI_RECORD_FIRST_FREE = 1024
};

/* Records are little-endian, as the machine. Times are CLOCK_MONOTONIC in nanoseconds, thread_id is
 * gettid(2), cpu is the CPU that took the interrupt. Rings are one per CPU: the records of a thread
 * that moved come out of them in another order than they went in, and time_ns tells the true one.
 *
 * What a sample's flags say: bits 0 to 15 what kind of sample it is, bits 16 to 31 how many further
 * interrupts were merged into this one (a timer's overruns, ticks that found the thread waiting for
 * a CPU; 65535 and more are 65535). So a sample weighs 1 + NMI_SAMPLE_MERGED(flags): only with
 * these weights are shares right at rates above what the kernel can deliver. */
#define NMI_SAMPLE_TRUNCATED 1u /* the walk stopped at its limit of frames */
#define NMI_SAMPLE_OFF_CPU 2u   /* the thread was blocked when it was interrupted */
#define NMI_SAMPLE_UNWOUND_BADLY                                      \
    4u /* the walk ended before the outermost frame of the stack, and \
          not at its limit: code without frame pointers, mostly */
#define NMI_SAMPLE_MERGED_SHIFT 16
#define NMI_SAMPLE_MERGED(flags) ((uint32_t)(flags) >> NMI_SAMPLE_MERGED_SHIFT)

/* A profiler's record: where a thread was and who had called it there. */
struct nmi_sample {
    uint64_t time_ns;
    uint32_t thread_id;
    uint32_t cpu;
    uint32_t address_count; /* 1..1024 */
    uint32_t flags;         /* NMI_SAMPLE_* and merged interrupts */
    uint64_t addresses[];   /* innermost first: the interrupted instruction, return addresses */
};

/* The thread has not run since its last sample, so it still is where that one found it: count that
 * sample `count` times more. Written instead of interrupting a thread that sleeps, which would wake
 * it. The sample meant is the thread's latest of before time_ns, of either kind. */
struct nmi_repeat {
    uint64_t time_ns; /* of the last look that is counted here */
    uint32_t thread_id;
    uint32_t count; /* at least 1 */
    uint32_t flags; /* NMI_SAMPLE_OFF_CPU: as the sample's */
    uint32_t reserved;
};

/* A sample whose callers are still to be found: the registers and a slice of the stack, for an
 * unwinder that has the program's DWARF call frame information. */
struct nmi_stack_sample {
    uint64_t time_ns;
    uint32_t thread_id;
    uint32_t cpu;
    uint32_t flags;          /* as of nmi_sample; TRUNCATED: the stack goes on behind the slice */
    uint32_t register_count; /* 17 on x86-64, 33 on AArch64 */
    uint64_t stack_pointer;  /* address of the first byte of the slice; at or above the red zone */
    uint32_t stack_bytes;    /* 0..32768 */
    uint32_t reserved;
    /* In the order of the DWARF register numbers of the machine's psABI.
     * x86-64: rax rdx rcx rbx rsi rdi rbp rsp r8..r15 and, as the return address column 16, rip.
     * AArch64: x0..x30, sp (31) and pc (32).
     * Behind the last register, stack_bytes of the stack from stack_pointer upwards. */
    uint64_t registers[];
};

/* What a thread is called, told by itself; for those that end before anybody can look. */
struct nmi_thread_name {
    uint64_t time_ns;
    uint32_t thread_id;
    uint32_t flags; /* NMI_THREAD_FIRST */
    char name[16];  /* as prctl(PR_GET_NAME): ends with a NUL; any bytes */
};
#define NMI_THREAD_FIRST                                                     \
    1u /* the thread's first since a handler was loaded; so if the thread_id \
          was seen before in such a record, it was another thread's */

/* One `key=value` given on the command line. Both are valid only during init. */
struct nmi_argument {
    const char* key;
    const char* value;
};

struct nmi_module {
    uint32_t abi;   /* NMI_MODULE_ABI */
    uint32_t bytes; /* sizeof(struct nmi_module) */

    /* 1..31 characters of [a-z0-9_-]; what `nmi status` lists and `nmi unload` takes. */
    const char* name;
    const char* summary; /* one line */

    /* (thread) Returns 0, or refuses with any other value after writing one line, what is wrong and
     * what would be right, to `error`. Unknown keys must be refused. May block and allocate.
     * May be null. After a refusal neither handler nor exit is called. */
    int (*init)(const struct nmi_host* host, const struct nmi_argument* arguments,
                uint32_t argument_count, char* error, uint32_t error_bytes);

    /* (nmi) Returns how many events it handled: 0 means "not mine". Must not be null. */
    int (*handler)(struct pt_regs* regs, int cpu);

    /* (thread) Frees what init and the handler acquired. May block. May be null. */
    void (*exit)(void);

    /* Below: only if `bytes` reaches that far; else 0. */

    uint32_t flags; /* NMI_MODULE_ASKS or 0 */
    uint32_t reserved;
};
/* Its NMIs are asked for, by itself or by a command: no source is started for it. */
#define NMI_MODULE_ASKS 1u

/* The one symbol a module exports. */
extern __attribute__((visibility("default"))) const struct nmi_module nmi_module;

#ifdef __cplusplus
}
#endif

#endif
