// SPDX-License-Identifier: MIT
//
// A program to run under `nmi run`, told what to do by its arguments, in order:
//
//   spin MS      burn MS milliseconds of CPU time in spin_here
//   print TEXT   write TEXT to stdout
//   env NAME     write the value of an environment variable, or "(unset)"
//   ready FILE   create FILE
//   wait FILE    until FILE exists, burning CPU time in spin_here
//   kill N       raise signal N
//   ignore N     ignore signal N
//   trap N FILE  on signal N, create FILE and go on
//   exec WORD... replace this program
//   forget ALL   write over the environment, as programs do that change their title
//   fd N         write "open" or "closed"
//   quit N       _exit(N), without exit handlers
//   exit N       exit(N)
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char* trap_file;

static void create(const char* path) {
    const int file = open(path, O_CREAT | O_WRONLY, 0600);
    if (file >= 0) close(file);
}

static void trapped(int signal) {
    (void)signal;
    create(trap_file);
}

static double cpu_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

// Found by its name in the profile; the work is between the looks at the clock.
__attribute__((noinline)) double spin_here(double sum) {
    for (int i = 1; i < 200000; ++i)
        sum += 1.0 / (sum + i);
    return sum;
}

static void spin(double ms) {
    volatile double result = 0;
    for (const double end = cpu_ms() + ms; cpu_ms() < end;)
        result = spin_here(result);
}

static void wait_for(const char* path) {
    while (access(path, F_OK) != 0)
        spin(1);
}

static void forget(void) {
    for (char** variable = environ; *variable; ++variable)
        memset(*variable, 0, strlen(*variable));
}

static void show(const char* name) {
    const char* value = getenv(name);
    printf("%s\n", value ? value : "(unset)");
    fflush(stdout);
}

int main(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        const char* what = argv[i];
        const char* value = argv[i + 1];
        if (strcmp(what, "spin") == 0) spin(atof(value));
        if (strcmp(what, "print") == 0) printf("%s\n", value), fflush(stdout);
        if (strcmp(what, "env") == 0) show(value);
        if (strcmp(what, "ready") == 0) create(value);
        if (strcmp(what, "wait") == 0) wait_for(value);
        if (strcmp(what, "kill") == 0) raise(atoi(value));
        if (strcmp(what, "ignore") == 0) signal(atoi(value), SIG_IGN);
        if (strcmp(what, "trap") == 0) trap_file = argv[i + 2], signal(atoi(value), trapped), ++i;
        if (strcmp(what, "exec") == 0) execv(value, argv + i + 1);
        if (strcmp(what, "forget") == 0) forget();
        if (strcmp(what, "fd") == 0) {
            printf(fcntl(atoi(value), F_GETFD) == -1 ? "closed\n" : "open\n"), fflush(stdout);
        }
        if (strcmp(what, "quit") == 0) _exit(atoi(value));
        if (strcmp(what, "exit") == 0) exit(atoi(value));
    }
    return 0;
}
