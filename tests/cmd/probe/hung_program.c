/* SPDX-License-Identifier: MIT
 *
 * A program that hangs, for nmi backtrace and the debuggers it is compared with:
 *
 *     hung_program DEADLOCKED [FEATURE...]
 *
 * DEADLOCKED threads wait for two mutexes that two others hold and want from each other. FEATUREs:
 * `spin`, a thread that never ends a loop; `handler`, one that waits in a signal handler;
 * `blocked`, one that blocks every signal; `gone`, the first thread ends; `gaps`, the spinning
 * thread prints, at SIGUSR1 to the process, the longest time it was kept from running since the
 * last time. Prints "ready" when everybody is in place, and ends when its standard input does (not
 * with `gone`). */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER, right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static sem_t in_place;
static volatile sig_atomic_t asked_for_gap;
static int in_handler[2];

__attribute__((noinline)) static void take_two(pthread_mutex_t* first, pthread_mutex_t* second) {
    pthread_mutex_lock(first);
    pthread_barrier_wait(&both);
    sem_post(&in_place);
    pthread_mutex_lock(second);
    pthread_mutex_unlock(second);
    pthread_mutex_unlock(first);
}

static void* left_then_right(void* unused) {
    take_two(&left, &right);
    return unused;
}
static void* right_then_left(void* unused) {
    take_two(&right, &left);
    return unused;
}

__attribute__((noinline)) static void wait_for_lock(void) {
    sem_post(&in_place);
    pthread_mutex_lock(&left);
    pthread_mutex_unlock(&left);
}
static void* deadlocked(void* unused) {
    wait_for_lock();
    return unused;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

__attribute__((noinline)) static void spin_for_ever(void) {
    uint64_t longest = 0;
    for (uint64_t last = now_ns();;) {
        const uint64_t now = now_ns();
        if (now - last > longest) longest = now - last;
        last = now;
        if (asked_for_gap) {
            asked_for_gap = 0;
            printf("%llu\n", (unsigned long long)longest);
            fflush(stdout);
            longest = 0;
            last = now_ns();
        }
    }
}
static void* spinning(void* unused) {
    pthread_setname_np(pthread_self(), "spinner");
    sem_post(&in_place);
    spin_for_ever();
    return unused;
}

__attribute__((noinline)) static void wait_in_handler(int signal) {
    char byte;
    (void)signal;
    sem_post(&in_place);
    while (read(in_handler[0], &byte, 1) != 1) {
    }
}
static void* handling(void* unused) {
    pthread_setname_np(pthread_self(), "handler");
    raise(SIGUSR2);
    return unused;
}

static void* blocking(void* unused) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_setname_np(pthread_self(), "blocker");
    sem_post(&in_place);
    for (;;)
        pause();
    return unused;
}

static void ask_for_gap(int signal) {
    (void)signal;
    asked_for_gap = 1;
}

static void start(void* (*function)(void*)) {
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    if (pthread_create(&thread, &small, function, NULL) != 0) abort();
}

static int wants(int argc, char** argv, const char* feature) {
    for (int i = 2; i < argc; ++i) {
        if (strcmp(argv[i], feature) == 0) return 1;
    }
    return 0;
}

int main(int argc, char** argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 0;
    int threads = 2 + count;
    char byte;
    signal(SIGUSR2, wait_in_handler);
    pthread_barrier_init(&both, NULL, 2);
    sem_init(&in_place, 0, 0);
    start(left_then_right);
    start(right_then_left);
    sem_wait(&in_place);
    sem_wait(&in_place);
    for (int i = 0; i < count; ++i)
        start(deadlocked);
    if (wants(argc, argv, "spin") || wants(argc, argv, "gaps")) ++threads, start(spinning);
    if (wants(argc, argv, "handler") && pipe(in_handler) == 0) ++threads, start(handling);
    if (wants(argc, argv, "blocked")) ++threads, start(blocking);
    if (wants(argc, argv, "gaps")) signal(SIGUSR1, ask_for_gap);
    for (int i = 2; i < threads; ++i)
        sem_wait(&in_place);
    puts("ready");
    fflush(stdout);
    if (wants(argc, argv, "gone")) pthread_exit(NULL);
    while (read(0, &byte, 1) > 0) {
    }
    _exit(0);
}
