/* SPDX-License-Identifier: MIT
 *
 * A module for tests: every NMI leaves a record of thread and tag, read from data that exit
 * poisons; so a handler that runs too late leaves a record with the poison in it.
 *
 *     tag=N           goes into the records; 1..999999
 *     hold=FILE       while the first byte of FILE is 1, handlers spin
 *     block=FILE      init waits while the first byte of FILE is 1
 *     open=FILE       init opens it, exit writes "left" to it
 */
#include <nmircu/module.h>

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef NAME
#define NAME "witness"
#endif

enum { poison = 0x0dead };

static const struct nmi_host* host;
static uint32_t tag;
static volatile const char* hold;
static int file = -1;

static volatile const char* map(const char* path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    void* memory = mmap(0, 1, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? 0 : memory;
}

static int init(const struct nmi_host* offered, const struct nmi_argument* arguments,
                uint32_t argument_count, char* error, uint32_t error_bytes) {
    host = offered;
    for (uint32_t i = 0; i < argument_count; ++i) {
        const char *key = arguments[i].key, *value = arguments[i].value;
        if (strcmp(key, "tag") == 0) {
            tag = (uint32_t)atoi(value);
        } else if (strcmp(key, "hold") == 0) {
            hold = map(value);
        } else if (strcmp(key, "block") == 0) {
            volatile const char* block = map(value);
            while (*block == 1)
                sched_yield();
        } else if (strcmp(key, "open") == 0) {
            file = open(value, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        } else {
            strncpy(error, "only tag, hold,\nblock and open", error_bytes);
            return 1;
        }
    }
    return 0;
}

static int handler(struct pt_regs* regs, int cpu) {
    (void)regs, (void)cpu;
    while (hold != 0 && *hold == 1) {
    }
    uint32_t* record = host->record_reserve(NMI_RECORD_FIRST_FREE, 2 * sizeof *record);
    if (record == 0) return 1;
    record[0] = host->thread_id();
    record[1] = tag;
    host->record_commit(record);
    return 1;
}

static void leave(void) {
    tag = poison;
    if (file >= 0 && write(file, "left", 4) != 4) abort();
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof nmi_module,
    .name = NAME,
    .summary = "says who was interrupted",
    .init = init,
    .handler = handler,
    .exit = leave,
};
