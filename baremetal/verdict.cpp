// SPDX-License-Identifier: MIT
#include "baremetal/verdict.hpp"

#include "baremetal/layout.h"
#include "platform/baremetal/console.hpp"
#include "platform/baremetal/instructions.hpp"
#include "platform/text.hpp"

namespace nmircu::baremetal {

void power_off(unsigned status) noexcept {
    outl(EXIT_PORT, status);
    halt_for_ever();
}

void end_with_success(const char* name, const char* text) noexcept {
    platform::text_line line;
    line << "PASS " << name << " " << text;
    print_line(line.c_str());
    power_off(EXIT_PASS);
}

void end_with_failure(const char* name, const char* reason) noexcept {
    platform::text_line line;
    line << "FAIL " << name << ": " << reason;
    print_line(line.c_str());
    power_off(EXIT_FAIL);
}

}  // namespace nmircu::baremetal
