/* SPDX-License-Identifier: MIT
 *
 * Text without stdio, which could hold a lock of the program's; and small files of /proc. */
#include <fcntl.h>
#include <unistd.h>

#include "watchdog.h"

void add_text(struct text* text, const char* what) {
    for (; *what != '\0' && text->used + 1 < sizeof text->bytes; ++what)
        text->bytes[text->used++] = *what;
    text->bytes[text->used] = '\0';
}

void add_number(struct text* text, uint64_t value, uint32_t base) {
    char digits[24];
    char* at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    add_text(text, at);
}

uint32_t read_file(const char* path, char* to, uint32_t bytes) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    uint32_t used = 0;
    if (file >= 0) {
        while (used + 1 < bytes) {
            const ssize_t got = read(file, to + used, bytes - 1 - used);
            if (got <= 0) break;
            used += (uint32_t)got;
        }
        close(file);
    }
    to[used] = '\0';
    return used;
}

void task_path(struct text* text, uint32_t thread_id, const char* name) {
    text->used = 0;
    add_text(text, "/proc/self/task/");
    add_number(text, thread_id, 10);
    add_text(text, "/");
    add_text(text, name);
}
