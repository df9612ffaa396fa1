// SPDX-License-Identifier: MIT
//
// Which thread, and when; then two calls. See injection.hpp, and docs/attach.md for the reasons.
#include <nmi/attach/injection.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nmi/attach/loaded_object.hpp>
#include <nmi/attach/traced_thread.hpp>
#include <nmi/attach/unwinder.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>

#include <agent/entry.hpp>

namespace nmircu::command {
namespace {

using clock = std::chrono::steady_clock;
using milliseconds = std::chrono::milliseconds;

constexpr milliseconds beginning_deadline{2000};  // for its dynamic loader to map libc
constexpr milliseconds search_deadline{10000};    // for a thread at a safe moment
constexpr milliseconds call_deadline{10000};      // for the dynamic loader, and for the agent
constexpr milliseconds stop_deadline{500};        // for one thread to stop
constexpr std::uint64_t least_room = 128 << 10;   // of stack, for the dynamic loader

constexpr std::array libc_names = {"libc.so.6", "libc-2."};
constexpr std::array dl_names = {"libdl.so.2", "libdl-2."};
constexpr std::array agent_names = {"nmi-agent.so"};

// The agent takes two locks of libc's while it is entered and needs the loader's; a signal that
// ends this command must not come in between.
class signals_wait {
  public:
    signals_wait() {
        sigset_t set;
        sigemptyset(&set);
        for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP})
            sigaddset(&set, signal);
        sigprocmask(SIG_BLOCK, &set, &before_);
    }
    ~signals_wait() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
    signals_wait(const signals_wait&) = delete;
    signals_wait& operator=(const signals_wait&) = delete;

  private:
    sigset_t before_;
};

// What of libc's is called, and what of it a call needs.
struct entry_points {
    std::uint64_t dlopen = 0;
    std::uint64_t dlopen_flags = RTLD_NOW;
    std::uint64_t trampoline = 0;
    std::uint64_t errno_location = 0;
};

// A process that has just begun has its dynamic loader only.
void wait_for_libc(int pid) {
    const auto end = clock::now() + beginning_deadline;
    while (!loaded_object::is_mapped(pid, libc_names) && clock::now() < end)
        std::this_thread::sleep_for(milliseconds(2));
}

entry_points find_entry_points(const process_facts& facts, const std::string& attempt) {
    wait_for_libc(facts.pid);
    const auto libc = loaded_object::find(facts, libc_names);
    if (libc == nullptr) {
        fail(exit_refused,
             "{}: process {} has no libc.so.6 whose file can be read (it has just begun, or the "
             "file "
             "was replaced since): nothing was changed; try again, as root, or restart it",
             attempt, facts.pid);
    }
    entry_points found;
    found.dlopen = libc->symbol("dlopen");
    if (const auto dl = loaded_object::find(facts, dl_names); found.dlopen == 0 && dl != nullptr) {
        found.dlopen = dl->symbol("dlopen");
    }
    if (found.dlopen == 0) {
        found.dlopen = libc->symbol("__libc_dlopen_mode");
        found.dlopen_flags |= 0x80000000;  // __RTLD_DLOPEN
    }
    found.trampoline = libc->code(machine::trampoline_code());
    found.errno_location = libc->symbol("__errno_location");
    if (found.dlopen == 0 || found.trampoline == 0) {
        fail(
            exit_refused,
            "{}: the libc of process {} has no dlopen, or is not as expected: nothing was changed; "
            "try nmi run",
            attempt, facts.pid);
    }
    return found;
}

std::string task_file(int pid, int thread_id, const char* name) {
    return text_of_file(fmt::format("/proc/{}/task/{}/{}", pid, thread_id, name));
}

// How well the kernel hides that a thread was stopped: lower is better.
int disturbance(int pid, int thread_id) {
    const std::string what = task_file(pid, thread_id, "syscall");
    if (what.empty()) return 3;
    if (what.starts_with("running")) return 1;
    const long number = std::strtol(what.c_str(), nullptr, 10);
    if (machine::is_quiet_wait(number)) return 0;
    if (machine::is_loud_wait(number)) return 2;
    return 1;
}

char state_of(int pid, int thread_id) {
    const std::string line = task_file(pid, thread_id, "stat");
    const std::size_t name_end = line.rfind(") ");
    return name_end == std::string::npos ? 'X' : line[name_end + 2];
}

std::string name_of(int pid, int thread_id) {
    const std::string name = task_file(pid, thread_id, "comm");
    return one_line(std::string_view(name).substr(0, name.find('\n')));
}

std::vector<int> candidates(int pid) {
    std::multimap<int, int> by_disturbance;
    for (const int thread_id : threads_of(pid)) {
        const char state = state_of(pid, thread_id);
        if (state != 'R' && state != 'S') continue;  // others do not stop
        by_disturbance.emplace(disturbance(pid, thread_id), thread_id);
    }
    std::vector<int> order;
    for (const auto& [how, thread_id] : by_disturbance)
        order.push_back(thread_id);
    return order;
}

// The stack can grow by that much: it is the main thread's, or so much is mapped.
bool has_room(int pid, std::uint64_t stack_pointer, std::uint64_t bytes) {
    std::istringstream maps(text_of_file(fmt::format("/proc/{}/maps", pid)));
    for (std::string line; std::getline(maps, line);) {
        char* rest = nullptr;
        const std::uint64_t begin = std::strtoull(line.c_str(), &rest, 16);
        const std::uint64_t end = *rest == '-' ? std::strtoull(rest + 1, nullptr, 16) : 0;
        if (stack_pointer < begin || stack_pointer >= end) continue;
        return line.ends_with("[stack]") || stack_pointer - begin >= bytes;
    }
    return false;
}

class injector {
  public:
    injector(const attach_target& target, const std::string& attempt)
        : target_(target),
          pid_(target.facts.pid),
          attempt_(attempt),
          libc_(find_entry_points(target.facts, attempt)) {}

    void run() {
        const auto end = clock::now() + search_deadline;
        for (milliseconds pause{2};; pause = std::min(pause * 2, milliseconds(100))) {
            const std::vector<int> order = candidates(pid_);
            unwinder_ = nullptr;  // what is mapped may have changed
            for (const int thread_id : order) {
                if (try_thread(thread_id)) return;
                if (clock::now() >= end) break;
            }
            if (clock::now() >= end) give_up(order.size());
            std::this_thread::sleep_for(pause);
        }
    }

  private:
    // False: another one, or another time.
    bool try_thread(int thread_id) {
        traced_thread thread(pid_, thread_id);
        if (!thread.stop(stop_deadline)) {
            // Permission was looked up: somebody else traces it, another nmi perhaps.
            return object(thread_id, errno == EPERM ? "may not be traced" : "does not stop");
        }
        if (const std::string why = objection(thread, thread_id); !why.empty()) {
            return object(thread_id, why);
        }
        const std::uint64_t errno_at = thread.errno_at(libc_.errno_location);
        int error_number = 0;
        const bool keeps_errno =
            errno_at != 0 && thread.read_memory(errno_at, &error_number, sizeof error_number);
        if (!keeps_errno && !machine::is_in_system_call(thread.stopped_at())) {
            return object(thread_id, "may be about to look at errno");
        }
        load_and_enter(thread);
        if (keeps_errno) {
            static_cast<void>(thread.write_memory(errno_at, &error_number, sizeof error_number));
        }
        check_result(thread);
        return true;
    }

    bool object(int thread_id, const std::string& why) {
        last_objection_ =
            fmt::format("thread {} ({}) {}", thread_id, name_of(pid_, thread_id), why);
        return false;
    }

    std::string objection(const traced_thread& thread, int thread_id) {
        const machine::state& at = thread.stopped_at();
        if (!machine::is_native(at)) return "runs 32-bit code";
        if (!has_room(pid_, machine::stack_pointer(at), least_room + machine::frame_bytes(at))) {
            return "has too small a stack";
        }
        if (thread.is_in_restartable_sequence()) return "is in a restartable sequence";
        if (unwinder_ == nullptr) unwinder_ = std::make_unique<unwinder>(pid_);
        return objection_to(unwinder_->stack_of(thread_id));
    }

    void load_and_enter(traced_thread& thread) {
        // Also if its code is there: somebody else may have begun to load it, and not be done.
        const machine::call open{libc_.dlopen, target_.agent, libc_.dlopen_flags, libc_.trampoline};
        call(thread, open, "its dynamic loader has not loaded the agent");
        const auto agent = loaded_object::find(target_.facts, agent_names);
        if (agent == nullptr) {
            why_ = fmt::format(
                "its dynamic loader refuses {}; try LD_DEBUG=all on a copy of the program: too "
                "little "
                "memory, or none left for static thread-local storage, are likely",
                target_.agent);
            return;
        }
        result_at_ = agent->symbol("nmi_agent_entry_result");
        const std::uint64_t enter = agent->symbol("nmi_agent_enter");
        if (result_at_ == 0 || enter == 0) {
            why_ = fmt::format("it has {} in it, which is of another version; try nmi of that one",
                               target_.agent);
            return;
        }
        call(thread, {enter, "", 0, libc_.trampoline}, "the agent has not started");
    }

    void call(traced_thread& thread, const machine::call& what, const char* instead) {
        switch (thread.call(what, call_deadline)) {
            case traced_thread::outcome::returned:
                return;
            case traced_thread::outcome::late:
                fail(
                    exit_error,
                    "{}: {} within {} s: something it waits for does not come. The program was let "
                    "go; the call ends by itself when it can. Try nmi status later",
                    attempt_, instead, call_deadline.count() / 1000);
            case traced_thread::outcome::ended:
                fail(exit_error, "{}: the process or its thread ended meanwhile; try again",
                     attempt_);
            case traced_thread::outcome::failed:
                fail(exit_error, "{}: its memory cannot be written ({}); try as root", attempt_,
                     std::strerror(errno));
        }
    }

    void check_result(const traced_thread& thread) const {
        if (!why_.empty()) fail(exit_error, "{}: {}", attempt_, why_);
        int result = 0;
        if (!thread.read_memory(result_at_, &result, sizeof result))
            return;  // the socket will tell
        if (result == agent::entry_forked) {
            fail(exit_refused,
                 "{}: process {} is the fork of a program that had handlers loaded, and has "
                 "inherited "
                 "them; try to detach before it forks",
                 attempt_, pid_);
        }
        if (result == agent::entry_no_thread) {
            fail(exit_error,
                 "{}: no thread can be started in process {}; see its limits (prlimit --pid {})",
                 attempt_, pid_, pid_);
        }
    }

    [[noreturn]] void give_up(std::size_t threads) const {
        fail(
            exit_error,
            "{}: none of its {} threads came to a moment in {} s at which it could load the agent: "
            "{}; nothing was changed; try again",
            attempt_, threads, search_deadline.count() / 1000,
            last_objection_.empty() ? "all are in the kernel" : last_objection_);
    }

    const attach_target& target_;
    const int pid_;
    const std::string& attempt_;
    const entry_points libc_;
    std::unique_ptr<unwinder> unwinder_;
    std::string last_objection_;
    std::string why_;
    std::uint64_t result_at_ = 0;
};

}  // namespace

void inject(const attach_target& target, const std::string& attempt) {
    const signals_wait held;
    injector(target, attempt).run();
}

}  // namespace nmircu::command
