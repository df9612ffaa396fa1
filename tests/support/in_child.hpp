// SPDX-License-Identifier: MIT
//
// Runs a test's body in a forked child, so that a hang or a death is a failure and no more.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace nmircu_test {

// The exit status of the body; 128 + the signal that ended it: 142 is the alarm, a hang.
template <class Body>
int in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(body());
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace nmircu_test
