/* SPDX-License-Identifier: MIT
 *
 * The profiler: every NMI leaves one record of where the interrupted thread was and who had called
 * it there (struct nmi_sample). Symbols, sums and pictures are the reader's work.
 *
 *     depth=N    addresses per sample at most, 1..1024; default 128
 *
 * Up to default_depth addresses are collected on the stack first and the record is as long as they
 * are. Deeper ones would take more stack than a small thread has to spare, so then the record is
 * made for the deepest and filled in place. */
#include <nmircu/module.h>

enum { default_depth = 128, most_depth = 1024 };

/* Written in init, before the handler is published. */
static const struct nmi_host* host;
static uint32_t depth;

static int refuse(char* error, uint32_t error_bytes, const char* text, const char* what) {
    uint32_t used = 0;
    for (; *text != '\0' && used + 1 < error_bytes; ++text)
        error[used++] = *text;
    for (; *what != '\0' && used + 1 < error_bytes; ++what)
        error[used++] = *what;
    if (error_bytes > 0) error[used] = '\0';
    return 1;
}

static int same(const char* a, const char* b) {
    for (; *a != '\0' && *a == *b; ++a, ++b) {
    }
    return *a == *b;
}

/* 0: no number from 1 to most_depth. */
static uint32_t read_depth(const char* text) {
    uint32_t value = 0;
    for (const char* c = text; *c != '\0'; ++c) {
        if (*c < '0' || *c > '9') return 0;
        value = value * 10 + (uint32_t)(*c - '0');
        if (value > most_depth) return 0;
    }
    return value;
}

static int init(const struct nmi_host* offered, const struct nmi_argument* arguments,
                uint32_t argument_count, char* error, uint32_t error_bytes) {
    host = offered;
    depth = default_depth;
    for (uint32_t i = 0; i < argument_count; ++i) {
        if (!same(arguments[i].key, "depth"))
            return refuse(error, error_bytes, "the only key is depth=1..1024, not ",
                          arguments[i].key);
        depth = read_depth(arguments[i].value);
        if (depth == 0)
            return refuse(error, error_bytes, "depth is a number from 1 to 1024, not ",
                          arguments[i].value);
    }
    return 0;
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

/* `found` addresses were asked for one more than wanted, where that is possible. */
static void end_sample(struct nmi_sample* sample, uint32_t found) {
    sample->address_count = found < depth ? found : depth;
    sample->flags = found > depth || found == most_depth ? NMI_SAMPLE_TRUNCATED : 0;
    host->record_commit(sample);
}

static void sample_shallow(const struct pt_regs* regs, int cpu) {
    uintptr_t addresses[default_depth + 1];
    const uint32_t found = host->walk_stack(regs, addresses, depth + 1);
    const uint32_t kept = found < depth ? found : depth;
    struct nmi_sample* sample = start_sample(cpu, kept);
    if (sample == 0) return;
    for (uint32_t i = 0; i < kept; ++i)
        sample->addresses[i] = addresses[i];
    end_sample(sample, found);
}

_Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "a walk can go straight into a record");

static void sample_deep(const struct pt_regs* regs, int cpu) {
    const uint32_t most = depth < most_depth ? depth + 1 : depth;
    struct nmi_sample* sample = start_sample(cpu, most);
    if (sample == 0) return;
    end_sample(sample, host->walk_stack(regs, (uintptr_t*)sample->addresses, most));
}

static int handler(struct pt_regs* regs, int cpu) {
    if (depth <= default_depth)
        sample_shallow(regs, cpu);
    else
        sample_deep(regs, cpu);
    return 1;
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof nmi_module,
    .name = "profiler",
    .summary = "records where each thread is and who called it there; depth=1..1024",
    .init = init,
    .handler = handler,
};
