// SPDX-License-Identifier: MIT
//
// See threads.hpp.
#include "threads.hpp"

#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace bench {

namespace {

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::exit(1);
}

cpu_set_t usable_cpus() {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof(set), &set) != 0) give_up("sched_getaffinity");
    return set;
}

const cpu_set_t& all_cpus() {
    static const cpu_set_t all = usable_cpus();
    return all;
}

// The `index`th of them, modulo their number; a negative index: all.
cpu_set_t chosen_cpus(int index) {
    const cpu_set_t& all = all_cpus();
    if (index < 0) return all;
    int left = index % CPU_COUNT(&all);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all) || left-- != 0)
        ++cpu;
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    CPU_SET(cpu, &wanted);
    return wanted;
}

}  // namespace

unsigned stay_on_cpu(int index) {
    const cpu_set_t wanted = chosen_cpus(index);
    if (::sched_setaffinity(0, sizeof(wanted), &wanted) != 0) give_up("sched_setaffinity");
    return static_cast<unsigned>(CPU_COUNT(&all_cpus()));
}

void keep_others_on_cpu(int index) {
    const cpu_set_t wanted = chosen_cpus(index);
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        const pid_t thread = std::stoi(task.path().filename());
        // A thread may end meanwhile.
        if (thread != ::gettid()) ::sched_setaffinity(thread, sizeof(wanted), &wanted);
    }
}

crowd::crowd(unsigned size, std::function<void()> arrive, std::function<void()> leave)
    : arrive_(std::move(arrive)), leave_(std::move(leave)), arrived_(size), members_(size) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    for (pthread_t& thread : members_) {
        if (const int error = pthread_create(&thread, &attributes, member, this); error != 0) {
            std::fprintf(stderr, "error: cannot start %u threads; raise `ulimit -u`\n", size);
            std::exit(1);
        }
    }
    pthread_attr_destroy(&attributes);
    arrived_.wait();
}

void* crowd::member(void* self) {
    crowd& mine = *static_cast<crowd*>(self);
    mine.arrive_();
    mine.arrived_.count_down();
    mine.over_.wait();
    mine.leave_();
    return nullptr;
}

crowd::~crowd() {
    over_.count_down();
    for (const pthread_t thread : members_)
        pthread_join(thread, nullptr);
}

partner::partner(std::function<void()> arrive, std::function<void()> turn,
                 std::function<void()> leave)
    : thread_([this, arrive = std::move(arrive), turn = std::move(turn), leave = std::move(leave)] {
          stay_on_cpu(1);
          arrive();
          turn();
          started_.count_down();
          // Relaxed: nothing is handed over.
          while (!over_.load(std::memory_order_relaxed))
              turn();
          leave();
      }) {
    started_.wait();
}

partner::~partner() {
    over_.store(true, std::memory_order_relaxed);  // nothing is handed over
    thread_.join();
}

}  // namespace bench
