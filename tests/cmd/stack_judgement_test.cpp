// SPDX-License-Identifier: MIT
//
// Property: no thread is used for an attach whose stack shows, or may hide, that it is in the
// middle of what the dynamic loader needs itself; threads that wait, compute or make system calls
// are.
#include <gtest/gtest.h>
#include <nmi/attach/stack_judgement.hpp>

namespace {

using nmircu::command::objection_to;
using nmircu::command::stack_frame;
using nmircu::command::thread_stack;

constexpr const char* libc = "/lib/x86_64-linux-gnu/libc.so.6";
constexpr const char* loader = "/lib64/ld-linux-x86-64.so.2";
constexpr const char* program = "/usr/bin/program";

stack_frame in(const char* object, const char* function) {
    return {object, function, false};
}

// With the beginning of a thread below, as Debian's libc shows it: without names.
thread_stack stack(std::vector<stack_frame> frames) {
    frames.push_back(in(libc, ""));
    frames.push_back(in(libc, ""));
    frames.front().interrupted = true;
    return {frames, true};
}

std::string of_call(const char* function) {
    return objection_to(stack({in(libc, function), in(program, "work"), in(program, "thread")}));
}

TEST(stack_judgement, waiting_and_computing_threads_will_do) {
    EXPECT_EQ(objection_to(stack({in(program, "work")})), "");
    for (const char* call : {"read", "__read", "poll", "clock_nanosleep", "epoll_wait", "memcpy",
                             "pthread_cond_wait", "__GI___futex", "syscall"}) {
        EXPECT_EQ(of_call(call), "") << call;
    }
    // The call that the program made counts, not what libc calls for it.
    EXPECT_EQ(objection_to(stack({in(libc, ""), in(libc, "pthread_cond_wait"),
                                  in("libstdc++.so.6", "_ZNSt18condition_variable4waitEv"),
                                  in(program, "work")})),
              "");
}

TEST(stack_judgement, the_main_thread_will_do) {
    thread_stack main{{in(libc, "read"), in(program, "main"), in(libc, ""),
                       in(libc, "__libc_start_main"), in(program, "_start")},
                      true};
    EXPECT_EQ(objection_to(main), "");
}

TEST(stack_judgement, a_program_that_ends_is_left_alone) {
    thread_stack ends{{in(program, "handler"), in(libc, ""), in(libc, "exit"), in(libc, ""),
                       in(libc, "__libc_start_main"), in(program, "_start")},
                      true};
    EXPECT_NE(objection_to(ends), "");
}

TEST(stack_judgement, what_the_loader_needs_is_not_disturbed) {
    for (const char* call :
         {"malloc", "free", "realloc", "dlopen", "dl_iterate_phdr", "fork", "pthread_create",
          "exit", "printf", "getenv", "setenv", "getaddrinfo", "fopen", "__cxa_atexit", ""}) {
        EXPECT_NE(of_call(call), "") << call;
    }
    EXPECT_NE(objection_to(stack({in(loader, "_dl_map_object"), in(program, "work")})), "");
    EXPECT_NE(objection_to(stack({in(program, "constructor"), in(loader, ""), in(libc, "dlopen"),
                                  in(program, "work")})),
              "");
    EXPECT_NE(objection_to(stack({in(libc, ""), in(libc, "malloc"), in(program, "work")})), "");
    EXPECT_NE(objection_to(stack({in(program, "je_malloc"), in(program, "work")})), "");
    EXPECT_NE(objection_to(stack({in("/usr/lib/libjemalloc.so.2", ""), in(program, "work")})), "");
    EXPECT_NE(objection_to(stack({in("libstdc++.so.6", "_Znwm"), in(program, "work")})), "");
}

TEST(stack_judgement, callbacks_of_libc_count_as_the_call_that_made_them) {
    const auto within = [](const char* call) {
        return objection_to(stack({in(program, "callback"), in(libc, call), in(program, "work")}));
    };
    EXPECT_EQ(within("qsort"), "");
    EXPECT_NE(within("dl_iterate_phdr"), "");
    EXPECT_NE(within("exit"), "");
    EXPECT_NE(within(""), "");
}

TEST(stack_judgement, a_signal_handler_may_have_interrupted_anything) {
    thread_stack handler = stack({in(program, "handler"), in(program, "work")});
    handler.frames[1].interrupted = true;
    EXPECT_NE(objection_to(handler), "");
}

TEST(stack_judgement, a_thread_that_begins_or_ends_is_left_alone) {
    EXPECT_NE(objection_to(stack({in(libc, "")})), "");
    EXPECT_NE(objection_to(stack({in(libc, "madvise")})), "");
}

TEST(stack_judgement, what_cannot_be_seen_is_not_trusted) {
    thread_stack cut = stack({in(program, "work")});
    cut.complete = false;
    EXPECT_NE(objection_to(cut), "");
    EXPECT_NE(objection_to({}), "");
}

}  // namespace
