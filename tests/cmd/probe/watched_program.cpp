// SPDX-License-Identifier: MIT
//
// A program for the watchdog: event loops that beat, wait, and stall when told to. Obeys lines on
// standard input, answers each with one line on standard output.
//
//   loops N         N threads, each an event loop with a heartbeat of its own: works, beats, waits
//   stall MS        the first of them stalls that long, once: "stalled" when it begins
//   spin MS         a thread that has no heartbeat runs that long without waiting
//   mask MS         a thread holds a masked region that long
//   hammer N        N threads that mask, and mark progress, all the time
//   sleep N         N threads that sleep
//   touch MS        a thread that touched once, by touch_nmi_watchdog, and then only sleeps
//   done            what was told to last a while is over
#include <nmircu/irq.hpp>
#include <nmircu/watchdog.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::atomic<bool> ending{false};
std::atomic<int> stall_ms{0};
std::vector<std::thread> threads;

long long now_ms() {
    return std::chrono::duration_cast<milliseconds>(clock_type::now().time_since_epoch()).count();
}

__attribute__((noinline)) void burn(milliseconds time) {
    const auto end = clock_type::now() + time;
    while (clock_type::now() < end) {
    }
    asm volatile("");
}

__attribute__((noinline)) void stall_on_purpose(int time_ms) {
    std::cout << "stalled " << now_ms() << std::endl;
    burn(milliseconds(time_ms));
    asm volatile("");
}
__attribute__((noinline)) void spin_on_purpose(int time_ms) {
    burn(milliseconds(time_ms));
    asm volatile("");
}
__attribute__((noinline)) void mask_on_purpose(int time_ms) {
    const nmircu::irq_flags flags = nmircu::local_irq_save();
    burn(milliseconds(time_ms));
    nmircu::local_irq_restore(flags);
}
__attribute__((noinline)) void sleep_on_purpose(int time_ms) {
    std::this_thread::sleep_for(milliseconds(time_ms));  // goes on when it was interrupted
    asm volatile("");
}

void event_loop(int number) {
    nmircu::heartbeat beat(("loop " + std::to_string(number)).c_str());
    while (!ending) {
        beat.idle();
        std::this_thread::sleep_for(milliseconds(2));
        beat.touch();
        burn(milliseconds(1));
        if (number != 0) continue;
        if (const int time_ms = stall_ms.exchange(0); time_ms != 0) stall_on_purpose(time_ms);
    }
}

void hammer() {
    while (!ending) {
        for (int i = 0; i < 1000; ++i) {
            const nmircu::irq_flags flags = nmircu::local_irq_save();
            nmircu::local_irq_restore(flags);
            nmircu::touch_nmi_watchdog();
        }
        std::this_thread::yield();
    }
}

void start(int count, void (*function)(int)) {
    for (int i = 0; i < count; ++i)
        threads.emplace_back(function, i);
}

void once(std::thread thread) {
    threads.push_back(std::move(thread));
}

std::string obey(const std::string& what, int number) {
    if (what == "loops") start(number, event_loop);
    if (what == "hammer") start(number, [](int) { hammer(); });
    if (what == "sleep")
        start(number, [](int) {
            while (!ending)
                std::this_thread::sleep_for(milliseconds(200));
        });
    if (what == "stall") {
        stall_ms = number;
        return "";  // the loop answers
    }
    if (what == "spin") once(std::thread(spin_on_purpose, number));
    if (what == "mask") once(std::thread(mask_on_purpose, number));
    if (what == "touch") {
        once(std::thread([number] {
            nmircu::touch_nmi_watchdog();
            sleep_on_purpose(number);
        }));
    }
    return what + " " + std::to_string(now_ms());
}

}  // namespace

int main() {
    std::ios::sync_with_stdio(false);  // so that it does not wait with a lock of stdio's held
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string what;
        int number = 0;
        words >> what >> number;
        const std::string answer = obey(what, number);
        if (!answer.empty()) std::cout << answer << std::endl;
    }
    ending = true;
    for (std::thread& one : threads)
        one.join();
}
