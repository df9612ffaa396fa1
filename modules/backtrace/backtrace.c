/* SPDX-License-Identifier: MIT
 *
 * The module behind `nmi backtrace`: each thread that is asked (NMI_REQUEST_BACKTRACE) writes where
 * it is into memory of the module's own, which the command reads; layout.h says how. The rings are
 * left alone, and so are NMIs that come from a source: a profiler may be recording.
 *
 *     threads=N    slots, 1..65536; default 1024
 *     depth=N      addresses per thread, 1..256; default 256
 *     stack=BYTES  of the stack to copy, 0..32768; default 0 */
#include "../arguments.h"
#include "layout.h"

#include <nmircu/module.h>

/* Written in init, before the handler is published. */
static const struct nmi_host* host;
static struct backtrace_header* header;
static uint32_t depth;

static int init(const struct nmi_host* offered, const struct nmi_argument* arguments,
                uint32_t argument_count, char* error, uint32_t error_bytes) {
    uint32_t slots = 1024, stack_bytes = 0;
    host = offered;
    depth = backtrace_most_addresses;
    for (uint32_t i = 0; i < argument_count; ++i) {
        const char* const key = arguments[i].key;
        const char* const value = arguments[i].value;
        int right = 0;
        if (same(key, "threads"))
            right = read_number(value, 1, backtrace_most_slots, &slots);
        else if (same(key, "depth"))
            right = read_number(value, 1, backtrace_most_addresses, &depth);
        else if (same(key, "stack"))
            right = read_number(value, 0, backtrace_most_stack_bytes, &stack_bytes);
        else
            return refuse(error, error_bytes,
                          "the keys are threads=1..65536, depth=1..256, stack=0..32768, not ", key);
        if (!right)
            return refuse(error, error_bytes,
                          "threads is 1..65536, depth 1..256, stack 0..32768, and not ", value);
    }
    const uint32_t slot_bytes =
        ((uint32_t)sizeof(struct backtrace_slot) + stack_bytes + backtrace_page_bytes - 1) /
        backtrace_page_bytes * backtrace_page_bytes;
    header = host->shared_memory(backtrace_page_bytes + (uint64_t)slots * slot_bytes);
    if (header == 0) return refuse(error, error_bytes, "there is no memory for the stacks", "");
    header->version = BACKTRACE_VERSION;
    header->slots = slots;
    header->slot_bytes = slot_bytes;
    header->stack_bytes = stack_bytes;
    return 0;
}

static struct backtrace_slot* take_slot(void) {
    /* Relaxed: hands out numbers, orders nothing. */
    const uint32_t number = __atomic_fetch_add(&header->taken, 1, __ATOMIC_RELAXED);
    if (number >= header->slots) return 0;
    return (struct backtrace_slot*)((char*)header + backtrace_page_bytes +
                                    (uint64_t)number * header->slot_bytes);
}

/* What an unwinder needs that has the program's DWARF call frame information. */
static void copy_stack(struct backtrace_slot* slot, const struct pt_regs* regs) {
    uint32_t flags = 0;
    if (header->stack_bytes == 0) return;
    const uint32_t registers =
        host->dwarf_registers(regs, slot->registers, backtrace_most_registers);
    if (registers == 0 || registers > backtrace_most_registers) return;
    slot->stack_pointer = host->user_stack_pointer(regs);
    slot->stack_bytes = host->stack_extent(regs, header->stack_bytes, &flags);
    host->copy_stack(regs, slot + 1, slot->stack_bytes);
    slot->register_count = registers;
}

_Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "a walk can go straight into a slot");

static int handler(struct pt_regs* regs, int cpu) {
    if (host->requested(regs) != NMI_REQUEST_BACKTRACE) return 0;
    const uint64_t begin_ns = host->now_ns();
    struct backtrace_slot* const slot = take_slot();
    if (slot == 0) return 1;
    slot->thread_id = host->thread_id();
    slot->cpu = (uint32_t)cpu;
    slot->begin_ns = begin_ns;
    slot->address_count = host->walk_stack(regs, (uintptr_t*)slot->addresses, depth);
    copy_stack(slot, regs);
    slot->end_ns = host->now_ns();
    /* [BTR-1] release: the whole slot precedes its mark. Partner: the acquire at [BTR-2], layout.h.
     * Weakened: half a stack is shown for a whole one. */
    __atomic_store_n(&slot->complete, 1, __ATOMIC_RELEASE);
    return 1;
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof nmi_module,
    .name = "backtrace",
    .summary = "writes down where each thread is that nmi backtrace asks",
    .init = init,
    .handler = handler,
    .flags = NMI_MODULE_ASKS,
};
