/* SPDX-License-Identifier: MIT
 *
 * The profiler: every NMI leaves one record of where the interrupted thread was and who had called
 * it there (struct nmi_sample), or what is needed to find out (struct nmi_stack_sample). Symbols,
 * sums and pictures are the reader's work.
 *
 *     mode=cpu|wall|offcpu  what is recorded: all interrupts; all, and of sleeping threads that the
 *                           source repeats them; those of blocked threads only. wall and offcpu are
 *                           for the source `wall`. Default cpu
 *     depth=N               addresses per sample at most, 1..1024; default 128
 *     stack=BYTES           no walk: the registers and that much of the stack, 0..32768; default 0:
 *                           addresses
 *     idle=0|1              with the source `wall`: threads that have not run for a second, too
 *
 * Up to default_depth addresses are collected on the stack first and the record is as long as they
 * are. Deeper ones would take more stack than a small thread has to spare, so then the record is
 * made for the deepest and filled in place. */
#include "../arguments.h"

#include <nmircu/module.h>

#include <stddef.h>

enum { default_depth = 128, most_depth = 1024, most_stack = 32768, most_registers = 40 };
enum sampling { of_cpu, of_wall, off_cpu };

/* Written in init, before the handler is published. */
static const struct nmi_host* host;
static uint32_t depth, stack_bytes, wants_idle;
static enum sampling mode;

static int read_mode(const char* text) {
    if (same(text, "cpu"))
        mode = of_cpu;
    else if (same(text, "wall"))
        mode = of_wall;
    else if (same(text, "offcpu"))
        mode = off_cpu;
    else
        return 0;
    return 1;
}

/* Null, or what would be right, and not `*what`. */
static const char* read_argument(const struct nmi_argument* argument, const char** what) {
    const char* const value = argument->value;
    *what = value;
    if (same(argument->key, "depth"))
        return read_number(value, 1, most_depth, &depth) ? 0
                                                         : "depth is a number from 1 to 1024, not ";
    if (same(argument->key, "stack"))
        return read_number(value, 0, most_stack, &stack_bytes)
                   ? 0
                   : "stack is a number from 0 to 32768, not ";
    if (same(argument->key, "idle"))
        return read_number(value, 0, 1, &wants_idle) ? 0 : "idle is 0 or 1, not ";
    if (same(argument->key, "mode"))
        return read_mode(value) ? 0 : "mode is cpu, wall or offcpu, not ";
    *what = argument->key;
    return "the keys are mode, depth, stack and idle, not ";
}

static int init(const struct nmi_host* offered, const struct nmi_argument* arguments,
                uint32_t argument_count, char* error, uint32_t error_bytes) {
    host = offered;
    depth = default_depth;
    stack_bytes = 0;
    wants_idle = 0;
    mode = of_cpu;
    if (host->bytes < offsetof(struct nmi_host, want_idle_threads) + sizeof(void*))
        return refuse(error, error_bytes, "it needs a newer agent", "");
    for (uint32_t i = 0; i < argument_count; ++i) {
        const char* what;
        const char* const wrong = read_argument(&arguments[i], &what);
        if (wrong != 0) return refuse(error, error_bytes, wrong, what);
    }
    if (wants_idle) host->want_idle_threads(1);
    return 0;
}

static void leave(void) {
    if (wants_idle) host->want_idle_threads(0);
}

/* What the source knows goes into the flags of every sample. */
static void end_sample(struct nmi_sample* sample, uint32_t found, uint32_t flags) {
    sample->address_count = found;
    sample->flags = flags;
    host->record_commit(sample);
}

static struct nmi_sample* start_sample(int cpu, uint32_t addresses) {
    const uint32_t bytes = (uint32_t)(sizeof(struct nmi_sample) + addresses * sizeof(uint64_t));
    struct nmi_sample* sample = host->record_reserve(NMI_RECORD_SAMPLE, bytes);
    if (sample == 0) return 0;
    sample->time_ns = host->now_ns();
    sample->thread_id = host->thread_id();
    sample->cpu = (uint32_t)cpu;
    return sample;
}

/* These return whether there was room. */
static int sample_shallow(const struct pt_regs* regs, int cpu, uint32_t flags) {
    uintptr_t addresses[default_depth];
    uint32_t how = 0;
    const uint32_t found = host->walk_stack_flags(regs, addresses, depth, &how);
    struct nmi_sample* sample = start_sample(cpu, found);
    if (sample == 0) return 0;
    for (uint32_t i = 0; i < found; ++i)
        sample->addresses[i] = addresses[i];
    end_sample(sample, found, flags | how);
    return 1;
}

_Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "a walk can go straight into a record");

static int sample_deep(const struct pt_regs* regs, int cpu, uint32_t flags) {
    uint32_t how = 0;
    struct nmi_sample* sample = start_sample(cpu, depth);
    if (sample == 0) return 0;
    const uint32_t found = host->walk_stack_flags(regs, (uintptr_t*)sample->addresses, depth, &how);
    end_sample(sample, found, flags | how);
    return 1;
}

static int sample_stack(const struct pt_regs* regs, int cpu, uint32_t flags) {
    uint64_t registers[most_registers];
    const uint32_t count = host->dwarf_registers(regs, registers, most_registers);
    uint32_t how = 0;
    const uint32_t bytes = host->stack_extent(regs, stack_bytes, &how);
    if (count == 0 || count > most_registers) return 0;
    struct nmi_stack_sample* sample = host->record_reserve(
        NMI_RECORD_STACK,
        (uint32_t)(sizeof(struct nmi_stack_sample) + count * sizeof(uint64_t) + bytes));
    if (sample == 0) return 0;
    sample->time_ns = host->now_ns();
    sample->thread_id = host->thread_id();
    sample->cpu = (uint32_t)cpu;
    sample->flags = flags | how;
    sample->register_count = count;
    sample->stack_pointer = host->user_stack_pointer(regs);
    sample->stack_bytes = bytes;
    sample->reserved = 0;
    for (uint32_t i = 0; i < count; ++i)
        sample->registers[i] = registers[i];
    host->copy_stack(regs, sample->registers + count, bytes);
    host->record_commit(sample);
    return 1;
}

static int handler(struct pt_regs* regs, int cpu) {
    if (host->requested(regs) != 0) return 0; /* somebody else's question */
    const uint32_t flags = host->interrupt_flags(regs);
    if (mode == off_cpu && (flags & NMI_SAMPLE_OFF_CPU) == 0) return 1;
    host->record_thread_name();
    const int recorded = stack_bytes != 0         ? sample_stack(regs, cpu, flags)
                         : depth <= default_depth ? sample_shallow(regs, cpu, flags)
                                                  : sample_deep(regs, cpu, flags);
    if (recorded && mode != of_cpu) host->sample_stands(regs);
    return 1;
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof nmi_module,
    .name = "profiler",
    .summary =
        "records where each thread is and who called it there; "
        "mode=cpu|wall|offcpu depth=1..1024 stack=0..32768 idle=0|1",
    .init = init,
    .handler = handler,
    .exit = leave,
};
