// SPDX-License-Identifier: MIT
//
// Of libc only what is known to hold no lock is allowed; of everything else what does not look like
// an allocator. See stack_judgement.hpp.
#include <nmi/attach/stack_judgement.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace nmircu::command {
namespace {

using std::string_view;

string_view file_name(string_view path) {
    return path.substr(path.find_last_of('/') + 1);
}

bool contains(string_view text, string_view part) {
    return text.find(part) != string_view::npos;
}

// With or without the underscores and suffixes under which libc knows the same function.
string_view plain(string_view name) {
    for (const string_view prefix : {"__GI_", "__libc_", "__"}) {
        if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
    }
    return name;
}

bool is_libc(string_view object) {
    const string_view name = file_name(object);
    return name.starts_with("libc.so") || name.starts_with("libc-2") ||
           name.starts_with("libpthread");
}

bool is_loader(string_view object) {
    const string_view name = file_name(object);
    return name.starts_with("ld-linux") || name.starts_with("ld-2") || name.starts_with("ld.so") ||
           name.starts_with("libdl");
}

// Calls that wait, or are a system call and nothing else, or only compute.
constexpr std::array harmless_calls = {"accept",
                                       "accept4",
                                       "clock_nanosleep",
                                       "close",
                                       "connect",
                                       "epoll_pwait",
                                       "epoll_pwait2",
                                       "epoll_wait",
                                       "eventfd_read",
                                       "fstat",
                                       "fsync",
                                       "futex",
                                       "getpid",
                                       "gettid",
                                       "ioctl",
                                       "kill",
                                       "lseek",
                                       "madvise",
                                       "memchr",
                                       "memcmp",
                                       "memcpy",
                                       "memmove",
                                       "memset",
                                       "mmap",
                                       "mprotect",
                                       "msgrcv",
                                       "munmap",
                                       "nanosleep",
                                       "open",
                                       "open64",
                                       "openat",
                                       "pause",
                                       "poll",
                                       "ppoll",
                                       "pread",
                                       "pread64",
                                       "pselect",
                                       "pwrite",
                                       "pwrite64",
                                       "read",
                                       "readv",
                                       "recv",
                                       "recvfrom",
                                       "recvmmsg",
                                       "recvmsg",
                                       "sched_yield",
                                       "select",
                                       "send",
                                       "sendmsg",
                                       "sendto",
                                       "sigsuspend",
                                       "sigtimedwait",
                                       "sigwait",
                                       "sigwaitinfo",
                                       "sleep",
                                       "stat",
                                       "strcmp",
                                       "strlen",
                                       "strncmp",
                                       "syscall",
                                       "tgkill",
                                       "usleep",
                                       "wait",
                                       "wait3",
                                       "wait4",
                                       "waitid",
                                       "waitpid",
                                       "write",
                                       "writev",
                                       "pthread_cond_wait",
                                       "pthread_cond_timedwait",
                                       "pthread_cond_clockwait",
                                       "pthread_join",
                                       "pthread_timedjoin_np",
                                       "pthread_clockjoin_np",
                                       "pthread_barrier_wait",
                                       "pthread_mutex_lock",
                                       "pthread_mutex_unlock",
                                       "sem_wait",
                                       "sem_timedwait",
                                       "sem_clockwait"};

// Calls of libc that call back, holding nothing.
constexpr std::array callers_back = {"qsort", "qsort_r", "bsearch", "call_once", "pthread_once"};

constexpr std::array beginnings = {"clone", "clone3", "start_thread", "start_call_main",
                                   "start_main"};

template <class Names>
bool is_one_of(const Names& names, string_view name) {
    return std::find(names.begin(), names.end(), plain(name)) != names.end();
}

std::string described(const stack_frame& frame) {
    return "is in " + (frame.function.empty() ? "a function" : frame.function) + " of " +
           std::string(file_name(frame.object));
}

// C's and C++'s names for it, and the libraries that bring their own.
bool looks_like_an_allocator(const stack_frame& frame) {
    const string_view name = file_name(frame.object);
    for (const string_view library : {"malloc", "libasan", "libtsan", "libubsan", "liblsan"}) {
        if (contains(name, library)) return true;
    }
    for (const string_view part :
         {"malloc", "calloc", "realloc", "memalign", "free", "_Znw", "_Zna", "_Zdl", "_Zda"}) {
        if (contains(frame.function, part)) return true;
    }
    return false;
}

// A run of libc's frames [first, last) ends where somebody called libc, or where the thread began.
std::string objection_to_libc(const thread_stack& stack, std::size_t first, std::size_t last) {
    const stack_frame& called = stack.frames[last - 1];
    const bool outermost = last == stack.frames.size();
    if (first == 0) {
        // A thread that is beginning or ending has nothing of its own below libc's frames.
        if (outermost) return "has only frames of libc: it begins or ends";
        return is_one_of(harmless_calls, called.function) ? "" : described(called);
    }
    // The thread's beginning often has no name: Debian's libc has no symbols for it.
    if (outermost) {
        const bool begins = called.function.empty() || is_one_of(beginnings, called.function);
        return begins ? "" : described(called);
    }
    const bool main_follows =
        last + 1 == stack.frames.size() && !is_loader(stack.frames[last].object);
    if (main_follows && (called.function.empty() || is_one_of(beginnings, called.function) ||
                         contains(called.function, "libc_start"))) {
        return "";
    }
    return is_one_of(callers_back, called.function) ? "" : described(called);
}

}  // namespace

std::string objection_to(const thread_stack& stack) {
    const auto& frames = stack.frames;
    if (frames.empty()) return "shows no stack";
    for (std::size_t i = 0; i < frames.size(); ++i) {
        if (i > 0 && frames[i].interrupted) return "is in a signal handler";
        if (is_loader(frames[i].object)) return "is in the dynamic loader";
        // Also below exit handlers, where libc's beginning of main hides it.
        if (is_libc(frames[i].object) && frames[i].function == "exit") return described(frames[i]);
        if (!is_libc(frames[i].object) && looks_like_an_allocator(frames[i])) {
            return described(frames[i]);
        }
    }
    for (std::size_t i = 0; i < frames.size();) {
        std::size_t end = i;
        while (end < frames.size() && is_libc(frames[end].object))
            ++end;
        if (end > i) {
            const std::string objection = objection_to_libc(stack, i, end);
            if (!objection.empty()) return objection;
        }
        i = end + 1;
    }
    return stack.complete ? "" : "has a stack that cannot be followed to its beginning";
}

}  // namespace nmircu::command
