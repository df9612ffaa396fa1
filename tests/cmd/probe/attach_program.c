// SPDX-License-Identifier: MIT
//
// A busy program to attach to. It watches what an attach could disturb: registers, errno, system
// calls that are interrupted, its own signals. It ends with status 0 when its input is closed, and
// with a line on stderr and status 1 when something was not as it left it. Its arguments, in order:
//
//   threads N    N threads of each kind: computing, allocating, sleeping, keeping errno, waiting
//   brief        a thread that creates threads which end at once
//   prof         SIGPROF 1000 times a second, handled on alternate stacks
//   trap         SIGTRAP raised and handled over and over
//   blocked      threads started later block every signal
//   filter       a seccomp filter that allows everything
//   strict       seccomp's strict mode
//   user N       drop privileges to user N; before threads, whose waits it would interrupt
//   ready FILE   create FILE
//   forks        on SIGUSR1, fork a child that waits, and write its number to the file "fork"
//   later        on SIGUSR1, start five threads that compute
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_int signals_are_used;  // so that waits may end with EINTR
static atomic_long profs, traps;

static void wrong(const char* what) {
    fprintf(stderr, "WRONG: %s (errno %d)\n", what, errno);
    _exit(1);
}

static void start(void* (*function)(void*)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, NULL) != 0) wrong("no thread");
    pthread_detach(thread);
}

// The same in integer, SSE and x87 registers; a register that is not put back shows.
__attribute__((noinline)) static double compute(double seed) {
    double a = seed, b = 1, c = 0.5, d = 2;
    long double e = seed;
    unsigned long f = 1, g = 2;
    for (int i = 0; i < 20000; ++i) {
        a = a * 0.999 + b;
        b = b * 0.998 + c;
        c = c * 0.997 + d * 0.001;
        e = e * 0.5L + 1;
        f = f * 6364136223846793005ul + g;
        g ^= f >> 7;
    }
    return a + b + c + (double)e + (double)(f ^ g);
}

static void* computes(void* unused) {
    const double expected = compute(3);
    for (;;) {
        if (compute(3) != expected) wrong("a computation");
    }
    return unused;
}

static void* allocates(void* unused) {
    unsigned seed = 1;
    for (;;) {
        char* block[16];
        for (int i = 0; i < 16; ++i) {
            block[i] = malloc((size_t)rand_r(&seed) % 5000 + 1);
            *block[i] = (char)i;
        }
        for (int i = 0; i < 16; ++i) {
            if (*block[i] != (char)i) wrong("a block of memory");
            free(block[i]);
        }
    }
    return unused;
}

static void* sleeps(void* unused) {
    const struct timespec while_ = {0, 20000000};
    for (;;) {
        if (nanosleep(&while_, NULL) != 0 && !signals_are_used) wrong("nanosleep");
        if (poll(NULL, 0, 20) != 0 && !signals_are_used) wrong("poll");
    }
    return unused;
}

static void* keeps_errno(void* unused) {
    for (;;) {
        errno = 12345;
        compute(1);
        if (errno != 12345) wrong("errno");
    }
    return unused;
}

static void* waits(void* unused) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&lock);
    for (;;)
        pthread_cond_wait(&never, &lock);
    return unused;
}

static void* ends_at_once(void* unused) {
    return unused;
}
static void* creates(void* unused) {
    for (;;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, ends_at_once, NULL) != 0) wrong("no brief thread");
        pthread_join(thread, NULL);
    }
    return unused;
}

static void on_prof(int signal) {
    (void)signal;
    const int saved = errno;
    errno = 1;
    ++profs;
    errno = saved;
}
static void on_trap(int signal) {
    (void)signal;
    ++traps;
}
static void* raises_traps(void* unused) {
    for (long seen = 0;; ++seen) {
        raise(SIGTRAP);
        if (traps != seen + 1) wrong("a SIGTRAP of the program's own");
        compute(2);
    }
    return unused;
}

static void handle(int signal, void (*handler)(int)) {
    struct sigaction action = {0};
    action.sa_handler = handler;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    sigaction(signal, &action, NULL);
}

static void take_prof(void) {
    static char stack[65536];
    const stack_t alternate = {stack, 0, sizeof stack};
    const struct itimerval every = {{0, 1000}, {0, 1000}};
    signals_are_used = 1;
    sigaltstack(&alternate, NULL);
    handle(SIGPROF, on_prof);
    setitimer(ITIMER_PROF, &every, NULL);
}

static void take_traps(void) {
    handle(SIGTRAP, on_trap);
    start(raises_traps);
}

static void allow_everything(void) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog filter = {1, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) wrong("no filter");
}

static void become(int user) {
    if (setgid((gid_t)user) != 0 || setuid((uid_t)user) != 0) wrong("no such user");
}

static void start_threads(int count) {
    void* (*const kinds[])(void*) = {computes, allocates, sleeps, keeps_errno, waits};
    for (int i = 0; i < count; ++i) {
        for (int kind = 0; kind < 5; ++kind)
            start(kinds[kind]);
    }
}

static void create(const char* path) {
    const int file = open(path, O_CREAT | O_WRONLY, 0600);
    if (file < 0) wrong("the file cannot be made");
    dprintf(file, "%d\n", getpid());
    close(file);
}

static void fork_a_child(void) {
    const pid_t child = fork();
    for (; child == 0;)
        pause();
    const int file = open("fork.new", O_CREAT | O_WRONLY | O_TRUNC, 0600);
    dprintf(file, "%d\n", child);
    close(file);
    rename("fork.new", "fork");
}
static void start_five(void) {
    for (int i = 0; i < 5; ++i)
        start(computes);
}

static void (*request)(void);
static void* fulfils_requests(void* unused) {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR1);
    for (int signal; sigwait(&only, &signal) == 0;)
        request();
    return unused;
}
static void take_requests(void (*what)(void)) {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &only, NULL);
    request = what;
    start(fulfils_requests);
}

static void obey(char** argv) {
    for (; *argv; ++argv) {
        const char* what = *argv;
        if (strcmp(what, "threads") == 0) start_threads(atoi(*++argv));
        if (strcmp(what, "brief") == 0) start(creates);
        if (strcmp(what, "prof") == 0) take_prof();
        if (strcmp(what, "trap") == 0) take_traps();
        if (strcmp(what, "filter") == 0) allow_everything();
        if (strcmp(what, "user") == 0) become(atoi(*++argv));
        if (strcmp(what, "ready") == 0) create(*++argv);
        if (strcmp(what, "forks") == 0) take_requests(fork_a_child);
        if (strcmp(what, "later") == 0) take_requests(start_five);
        if (strcmp(what, "strict") == 0) prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        if (strcmp(what, "blocked") == 0) {
            sigset_t all;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, NULL);
        }
    }
}

int main(int argc, char** argv) {
    (void)argc;
    obey(argv + 1);
    char byte;
    for (;;) {
        const ssize_t got = syscall(SYS_read, 0, &byte, 1);
        if (got == 0) syscall(SYS_exit_group, 0);
        if (got < 0 && !(errno == EINTR && signals_are_used)) wrong("read");
    }
}
