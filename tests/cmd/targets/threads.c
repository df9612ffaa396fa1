// SPDX-License-Identifier: MIT
//
// Linked statically and against musl, to be refused; see threads.cpp for its arguments.
#include <stdio.h>

int main(int count, char** arguments) {
    if (count < 2 || fclose(fopen(arguments[count - 1], "w")) != 0) return 1;
    while (getchar() != EOF) {
    }
    return 0;
}
