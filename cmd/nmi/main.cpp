// SPDX-License-Identifier: MIT
//
// The nmi command. All but this is in a library, so that tests can link it too.
#include <fcntl.h>

#include <nmi/commands/options.hpp>

namespace {

// A standard stream that is closed would give its number to the next file we open, and what is said
// there would go into that file. A program we start finds it closed, as it would without us.
void occupy_closed_streams() {
    for (int fd = 0; fd <= 2; ++fd) {
        if (fcntl(fd, F_GETFD) == -1) open("/dev/null", O_RDWR | O_CLOEXEC);
    }
}

}  // namespace

int main(int argc, char** argv) {
    occupy_closed_streams();
    return nmircu::command::command_main(argc, argv);
}
