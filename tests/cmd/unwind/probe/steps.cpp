// SPDX-License-Identifier: MIT
//
// A program to be single-stepped: between its two breakpoints it calls deep and shallow, through
// procedure linkage tables that are still unbound, into libc and back out of it (qsort), into the
// vdso, with stacks that are realigned and that grow at run time. Built without frame pointers. Its
// handler of SIGUSR1 has a breakpoint, too.
#include <alloca.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

namespace {

volatile int sink;

[[gnu::noinline]] int by_number(const void* a, const void* b) {
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

[[gnu::noinline]] int sorts(int n) {
    int numbers[] = {5, n, 3, 9, 1, 7};
    qsort(numbers, 6, sizeof numbers[0], by_number);
    return numbers[2];
}

[[gnu::noinline]] int prints(int n) {
    char text[64];
    snprintf(text, sizeof text, "%d %s %.3f", n, "words", n / 3.0);
    return static_cast<int>(strlen(text));
}

[[gnu::noinline]] int tells_time() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<int>(now.tv_nsec);
}

[[gnu::noinline]] int grows(int n) {
    char* room = static_cast<char*>(alloca(static_cast<unsigned>(n) * 16));
    memset(room, n, static_cast<unsigned>(n) * 16);
    sink = room[n];
    return sorts(room[1]);
}

[[gnu::noinline]] int realigns(int n) {
    alignas(64) volatile char room[128];
    room[n] = static_cast<char>(n);
    return room[n] + prints(n);
}

[[gnu::noinline]] int allocates(int n) {
    void* memory = malloc(static_cast<unsigned>(n) * 100);
    memset(memory, 1, static_cast<unsigned>(n));
    sink = n;
    free(memory);
    return n;
}

[[gnu::noinline]] int deep(int n) {
    int below = 0;
    if (n > 0) {
        below = deep(n - 1);
    } else {
        below = sorts(n) + grows(4) + realigns(5) + tells_time() + allocates(7);
    }
    sink = below;
    return below + n;
}

void on_signal(int) {
    asm volatile("int3");
}

}  // namespace

int main() {
    signal(SIGUSR1, on_signal);
    asm volatile("int3");
    sink = deep(10);
    asm volatile("int3");
    return 0;
}
