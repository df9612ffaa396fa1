/* SPDX-License-Identifier: MIT
 *
 * What an init does with its arguments, without libc. Thread context. */
#ifndef MODULES_ARGUMENTS_H
#define MODULES_ARGUMENTS_H

#include <stdint.h>

/* Writes both texts to `error`, cut to its size. What init returns then. */
static inline int refuse(char* error, uint32_t error_bytes, const char* text, const char* what) {
    uint32_t used = 0;
    for (; *text != '\0' && used + 1 < error_bytes; ++text)
        error[used++] = *text;
    for (; *what != '\0' && used + 1 < error_bytes; ++what)
        error[used++] = *what;
    if (error_bytes > 0) error[used] = '\0';
    return 1;
}

static inline int same(const char* a, const char* b) {
    for (; *a != '\0' && *a == *b; ++a, ++b) {
    }
    return *a == *b;
}

/* 0, and *out untouched: no number from `least` to `most`, which is at most 400,000,000. */
static inline int read_number(const char* text, uint32_t least, uint32_t most, uint32_t* out) {
    uint32_t value = 0;
    if (*text == '\0') return 0;
    for (const char* c = text; *c != '\0'; ++c) {
        if (*c < '0' || *c > '9') return 0;
        value = value * 10 + (uint32_t)(*c - '0');
        if (value > most) return 0;
    }
    if (value < least) return 0;
    *out = value;
    return 1;
}

#endif
