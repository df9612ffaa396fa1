// SPDX-License-Identifier: MIT
//
// Property: a fault inside a handler ends the program as it would have without us, after a line
// that names the handler; any other fault, and any program with a fault handler of its own, is left
// alone.
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>
#include <nmircu/irq.hpp>
#include <nmircu/nmi.hpp>

namespace {

using nmircu::nmi_error;
using nmircu::nmi_type;

int* volatile nowhere = nullptr;

int writes_nowhere(void*, nmircu::pt_regs*, int) {
    *nowhere = 1;
    return 1;
}
int callback_writes_nowhere(nmircu::pt_regs*, int) {
    *nowhere = 1;
    return 1;
}

int emergency_writes_nowhere(nmi_type, nmircu::pt_regs*) {
    *nowhere = 1;
    return 1;
}

void crash_in_handler() {
    if (nmircu::nmi_attach() != 0) std::_Exit(3);
    nmircu::nmi_handler handler;
    if (handler.add(nmi_type::local, "crasher", writes_nowhere, nullptr) != nmi_error::none) {
        std::_Exit(4);
    }
    static_cast<void>(nmircu::nmi_raise_self());
    std::_Exit(5);
}

void own_handler(int) {
    constexpr char text[] = "the program's own\n";
    [[maybe_unused]] const auto written = ::write(2, text, sizeof text - 1);
    std::_Exit(7);
}

TEST(fault_report_death, names_the_handler_and_dies_of_the_fault) {
    EXPECT_EXIT(crash_in_handler(), testing::KilledBySignal(SIGSEGV),
                "nmircu: SIGSEGV \\(address 0x0\\) in handler crasher \\(0x[0-9a-f]+\\) on thread "
                "[0-9]+, at 0x[0-9a-f]+; it ends the program");
}

TEST(fault_report_death, names_the_callback) {
    EXPECT_EXIT(
        {
            if (nmircu::nmi_attach() != 0) std::_Exit(3);
            nmircu::set_nmi_callback(callback_writes_nowhere);
            static_cast<void>(nmircu::nmi_raise_self());
        },
        testing::KilledBySignal(SIGSEGV), "SIGSEGV .* in handler nmi callback .* on thread");
}

TEST(fault_report_death, names_the_emergency_handler) {
    EXPECT_EXIT(
        {
            if (nmircu::nmi_attach() != 0) std::_Exit(3);
            if (nmircu::set_emergency_nmi_handler(nmi_type::local, emergency_writes_nowhere) !=
                nmi_error::none) {
                std::_Exit(4);
            }
            static_cast<void>(nmircu::nmi_raise_self());
        },
        testing::KilledBySignal(SIGSEGV), "SIGSEGV .* in handler emergency handler .* on thread");
}

// Nothing at all is said: an empty stderr but for what follows.
TEST(fault_report_death, a_fault_elsewhere_is_the_programs_own_business) {
    EXPECT_EXIT(
        {
            if (nmircu::nmi_attach() != 0) std::_Exit(3);
            *nowhere = 1;
        },
        testing::KilledBySignal(SIGSEGV), "^$");
    EXPECT_EXIT(
        {
            if (nmircu::nmi_attach() != 0) std::_Exit(3);
            std::raise(SIGSEGV);
        },
        testing::KilledBySignal(SIGSEGV), "^$");
}

TEST(fault_report_death, a_program_with_a_handler_of_its_own_keeps_it) {
    EXPECT_EXIT(
        {
            std::signal(SIGSEGV, own_handler);
            crash_in_handler();
        },
        testing::ExitedWithCode(7), "^the program's own\n$");
}

TEST(fault_report_death, can_be_turned_off) {
    EXPECT_EXIT(
        {
            ::setenv("NMIRCU_FAULT_REPORTS", "0", 1);
            crash_in_handler();
        },
        testing::KilledBySignal(SIGSEGV), "^$");
}

TEST(fault_report_death, a_setting_that_does_not_parse_is_reported_once) {
    EXPECT_EXIT(
        {
            ::setenv("NMIRCU_FAULT_REPORTS", "maybe", 1);
            if (nmircu::nmi_attach() != 0) std::_Exit(3);
            for (const int line : {SIGUSR1, SIGUSR2}) {
                nmircu::irq_handler handler;
                if (handler.request(line, "line", writes_nowhere, nullptr) !=
                    nmircu::irq_error::none) {
                    std::_Exit(4);
                }
            }
            std::_Exit(0);
        },
        testing::ExitedWithCode(0),
        "^nmircu: NMIRCU_FAULT_REPORTS=maybe is ignored: it must be a number from 0 to 1\n$");
}

}  // namespace
