/* SPDX-License-Identifier: MIT
 *
 * As much of C's output as a program needs that reports on the console: %d %u %x %c %s %p %%, with
 * l or ll and nothing else before them; a call's last line is ended if it does not end itself.
 * Thread context.
 */
#ifndef NMIRCU_BAREMETAL_STDIO_H
#define NMIRCU_BAREMETAL_STDIO_H

#ifdef __cplusplus
extern "C" {
#endif
typedef struct nmircu_console FILE;
/* The console, both. */
#define stdout ((FILE*)0)
#define stderr ((FILE*)0)
/* They return how many characters were written. */
int printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
int fprintf(FILE* file, const char* format, ...) __attribute__((format(printf, 2, 3)));
#ifdef __cplusplus
}
#endif

#endif
