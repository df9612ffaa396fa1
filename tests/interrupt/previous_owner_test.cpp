// SPDX-License-Identifier: MIT
//
// Property: a signal on our vector that is not ours behaves as if we were not there, whoever owned
// it before and with whatever flags. Each case needs a process in which the trampoline is not
// installed yet.
#include <setjmp.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>

#include "../support/in_child.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/linux/signal_vector.hpp"
#include "raise.hpp"

namespace {

using nmircu::platform::attach_signal;
using nmircu::platform::exchange_owner;
using nmircu::platform::nmi_signal;
using nmircu::platform::perf_signal;
using nmircu_test::in_child;

void own(int signal, void (*handler)(int), int flags = 0, int also_blocked = 0) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    if (also_blocked != 0) sigaddset(&action.sa_mask, also_blocked);
    sigaction(signal, &action, nullptr);
}

volatile sig_atomic_t seen = 0;
volatile sig_atomic_t was_inside = 0;
sigset_t mask_inside;

void plain_owner(int signal) {
    seen = signal;
    was_inside = nmircu::in_nmi() || nmircu::rcu_read_held();
    pthread_sigmask(SIG_BLOCK, nullptr, &mask_inside);
}

TEST(previous_owner, a_plain_handler_is_called_outside_the_section) {
    EXPECT_EQ(in_child([] {
                  own(nmi_signal, plain_owner, 0, SIGUSR2);
                  if (attach_signal(nmi_signal) != 0) return 1;
                  raise(nmi_signal);
                  if (seen != nmi_signal) return 2;
                  if (was_inside) return 3;
                  if (!sigismember(&mask_inside, nmi_signal)) return 4;
                  if (!sigismember(&mask_inside, SIGUSR2)) return 5;
                  if (sigismember(&mask_inside, SIGUSR1)) return 6;
                  if (nmircu::nmi_forwarded_count() != 1) return 7;
                  pthread_sigmask(SIG_BLOCK, nullptr, &mask_inside);
                  return sigismember(&mask_inside, nmi_signal) ? 8 : 0;
              }),
              0);
}

TEST(previous_owner, nodefer_is_honoured) {
    EXPECT_EQ(in_child([] {
                  own(nmi_signal, plain_owner, SA_NODEFER);
                  if (attach_signal(nmi_signal) != 0) return 1;
                  raise(nmi_signal);
                  return sigismember(&mask_inside, nmi_signal) ? 2 : seen == nmi_signal ? 0 : 3;
              }),
              0);
}

TEST(previous_owner, a_siginfo_handler_gets_all_three_arguments) {
    EXPECT_EQ(in_child([] {
                  static volatile int value = 0;
                  struct sigaction action = {};
                  action.sa_flags = SA_SIGINFO;
                  action.sa_sigaction = [](int, siginfo_t* info, void* context) {
                      if (context != nullptr) value = info->si_value.sival_int;
                  };
                  sigaction(nmi_signal, &action, nullptr);
                  if (attach_signal(nmi_signal) != 0) return 1;
                  sigval sent;
                  sent.sival_int = 42;
                  sigqueue(getpid(), nmi_signal, sent);
                  take_pending_signals();
                  return value == 42 ? 0 : 2;
              }),
              0);
}

TEST(previous_owner, the_default_action_ends_the_process_by_that_signal) {
    EXPECT_EQ(in_child([] {
                  if (attach_signal(nmi_signal) != 0) return 1;
                  raise(nmi_signal);
                  return 2;
              }),
              128 + nmi_signal);
}

#if defined(__x86_64__)
TEST(previous_owner, a_breakpoint_without_a_debugger_ends_the_process_by_sigtrap) {
    EXPECT_EQ(in_child([] {
                  if (attach_signal(perf_signal) != 0) return 1;
                  asm volatile("int3");
                  return 2;
              }),
              128 + SIGTRAP);
}

TEST(previous_owner, an_ignored_breakpoint_cannot_be_ignored) {
    EXPECT_EQ(in_child([] {
                  own(perf_signal, SIG_IGN);
                  if (attach_signal(perf_signal) != 0) return 1;
                  asm volatile("int3");
                  return 2;
              }),
              128 + SIGTRAP);
}
#endif

TEST(previous_owner, an_ignored_signal_stays_ignored) {
    EXPECT_EQ(in_child([] {
                  own(nmi_signal, SIG_IGN);
                  if (attach_signal(nmi_signal) != 0) return 1;
                  raise(nmi_signal);
                  return nmircu::nmi_forwarded_count() == 1 ? 0 : 2;
              }),
              0);
}

sigjmp_buf escape;

TEST(previous_owner, may_leave_by_longjmp) {
    EXPECT_EQ(in_child([] {
                  own(perf_signal, [](int) { siglongjmp(escape, 1); });
                  if (attach_signal(perf_signal) != 0) return 1;
                  for (static int round = 0; round < 100; ++round) {
                      if (sigsetjmp(escape, 1) == 0) raise(perf_signal);
                  }
                  nmircu::rcu_synchronize();  // would wait for ever for a section left open
                  return nmircu::nmi_forwarded_count() == 100 ? 0 : 2;
              }),
              0);
}

TEST(previous_owner, one_that_asked_for_one_call_is_called_once) {
    EXPECT_EQ(in_child([] {
                  own(nmi_signal, plain_owner, static_cast<int>(SA_RESETHAND));
                  if (attach_signal(nmi_signal) != 0) return 1;
                  raise(nmi_signal);
                  if (seen != nmi_signal) return 2;
                  raise(nmi_signal);
                  return 3;
              }),
              128 + nmi_signal);
}

TEST(previous_owner, a_signal_taken_away_is_noticed_and_comes_back) {
    EXPECT_EQ(in_child([] {
                  if (attach_signal(nmi_signal) != 0) return 1;
                  struct sigaction ours;
                  sigaction(nmi_signal, nullptr, &ours);
                  own(nmi_signal, plain_owner);
                  if (nmircu::nmi_attach() != EBUSY) return 2;
                  if (nmircu::nmi_raise_self() != EBUSY || seen != 0) return 3;
                  sigaction(nmi_signal, &ours, nullptr);
                  if (nmircu::nmi_attach() != 0) return 4;
                  return raise_here();
              }),
              0);
}

TEST(previous_owner, the_program_may_exchange_it_while_signals_arrive) {
    EXPECT_EQ(in_child([] {
                  static std::atomic<int> first{0}, second{0};
                  own(nmi_signal, [](int) { first.fetch_add(1); });
                  if (attach_signal(nmi_signal) != 0) return 1;
                  std::atomic<bool> stop{false};
                  std::thread exchanger([&] {
                      struct sigaction a = {}, b = {}, old = {};
                      a.sa_handler = [](int) { first.fetch_add(1); };
                      b.sa_handler = [](int) { second.fetch_add(1); };
                      // The same few actions, far more often than different ones are kept.
                      for (int error = 0; !stop.load() || second.load() == 0;) {
                          if (!exchange_owner(nmi_signal, &b, &old, error) || error != 0) _exit(2);
                          if (!exchange_owner(nmi_signal, &a, &old, error) || error != 0) _exit(3);
                          if (old.sa_handler != b.sa_handler) _exit(4);
                      }
                  });
                  for (int i = 0; i < 20000; ++i)
                      raise(nmi_signal);
                  stop.store(true);
                  while (second.load() == 0)
                      raise(nmi_signal);
                  exchanger.join();
                  return first.load() + second.load() >= 20000 ? 0 : 5;
              }),
              0);
}

TEST(previous_owner, ours_are_not_handed_on) {
    EXPECT_EQ(in_child([] {
                  own(nmi_signal, plain_owner);
                  if (attach_signal(nmi_signal) != 0) return 1;
                  static_cast<void>(raise_here());
                  if (seen != 0) return 2;
                  return nmircu::nmi_unknown_count() == 1 ? 0 : 3;
              }),
              0);
}

TEST(previous_owner, only_the_two_signals_can_be_attached) {
    EXPECT_EQ(attach_signal(SIGSEGV), EINVAL);
    EXPECT_EQ(attach_signal(0), EINVAL);
}

}  // namespace
