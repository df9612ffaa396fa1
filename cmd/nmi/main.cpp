// SPDX-License-Identifier: MIT
//
// The nmi command. All of it is in a library, so that tests can link it too.
#include <nmi/commands/options.hpp>

int main(int argc, char** argv) {
    return nmircu::command::command_main(argc, argv);
}
