// SPDX-License-Identifier: MIT
//
// forks CHILDREN MILLISECONDS [PROGRAM ARGUMENTS...]: children by fork, all at once, each of which
// computes for so much CPU time and ends, or computes and becomes PROGRAM. Status 0 if all of
// theirs are.
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void compute(long milliseconds) {
    const clock_t end = clock() + milliseconds * (CLOCKS_PER_SEC / 1000);
    for (volatile unsigned sum = 0; clock() < end;)
        for (unsigned i = 0; i < 10000; ++i)
            sum = sum + i;
}

int main(int count, char** arguments) {
    const int children = atoi(arguments[1]);
    for (int i = 0; i < children; ++i) {
        if (fork() != 0) continue;
        compute(atol(arguments[2]));
        if (count > 3) execv(arguments[3], arguments + 3);
        exit(count > 3);
    }
    int failed = 0;
    for (int status; wait(&status) > 0;)
        failed |= status != 0;
    return failed;
}
