// SPDX-License-Identifier: MIT
//
// The program under test: knows nothing of the agent. Obeys lines on standard input and answers
// each with one line on standard output, so that a test knows when it is done. `burn N` lines make
// it interruptible: threads that only burn CPU time.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

// Functions with a section of their own; the linker says where those begin and end.
extern "C" {
extern const char __start_burn_some_code[], __stop_burn_some_code[];
extern const char __start_recurse_code[], __stop_recurse_code[];
}

namespace {

std::atomic<bool> end{false};
std::atomic<unsigned long> burnt{0};
std::vector<std::thread>& threads = *new std::vector<std::thread>;  // survives exit

__attribute__((noinline, section("burn_some_code"))) void burn_some() {
    for (int i = 0; i < 1000; ++i)
        burnt.fetch_add(1, std::memory_order_relaxed);
}

__attribute__((noinline)) void burn_until_end() {
    while (!end.load(std::memory_order_relaxed))
        burn_some();
}

std::string burn(std::istream& words) {
    int count = 0;
    words >> count;
    for (int i = 0; i < count; ++i)
        threads.emplace_back(burn_until_end);
    return "burning";
}

// Burns below that many calls of itself.
__attribute__((noinline, section("recurse_code"))) void recurse(int depth) {
    if (depth > 0) {
        recurse(depth - 1);
    } else {
        burn_until_end();
    }
    burnt.fetch_add(1, std::memory_order_relaxed);  // no tail call
}

std::string burn_deep(std::istream& words) {
    int depth = 0;
    words >> depth;
    threads.emplace_back([depth] { recurse(depth); });
    return "burning";
}

// Where the two functions begin and end, in the order in which they call each other.
std::string where(std::istream&) {
    std::ostringstream out;
    for (const char* const address : {__start_burn_some_code, __stop_burn_some_code,
                                      __start_recurse_code, __stop_recurse_code}) {
        out << reinterpret_cast<std::uintptr_t>(address) << ' ';
    }
    return out.str();
}

// Threads that block every signal before they start, as xz makes them.
std::string burn_blocked(std::istream&) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    threads.emplace_back(burn_until_end);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return "burning";
}

// The same, but the thread blocks them itself once it runs, in both ways there are.
std::string burn_blocking(std::istream&) {
    std::atomic<int> ready{0};
    threads.emplace_back([&ready] {
        sigset_t all, now;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        sigprocmask(SIG_SETMASK, &all, nullptr);
        pthread_sigmask(SIG_BLOCK, nullptr, &now);
        ready = sigismember(&now, SIGUSR1) == 1 ? 1 : 2;
        burn_until_end();
    });
    while (ready == 0) {
    }
    return ready == 1 ? "burning" : "SIGUSR1 is not blocked";
}

std::atomic<int> own_signals_seen{0};
void own_handler(int) {
    own_signals_seen.fetch_add(1);
}

// Takes the two signals for itself, as a program that never heard of us may: what it asks for is
// what it set, and what is sent to it arrives.
std::string own_signals(std::istream&) {
    struct sigaction mine = {}, before = {}, now = {};
    mine.sa_handler = own_handler;
    if (sigaction(SIGTRAP, &mine, &before) != 0) return "sigaction failed";
    if (before.sa_handler != SIG_DFL) return "somebody was there before";
    if (signal(SIGSTKFLT, own_handler) != SIG_DFL) return "signal found somebody";
    for (const int signo : {SIGTRAP, SIGSTKFLT}) {
        sigaction(signo, nullptr, &now);
        if (now.sa_handler != own_handler) return "sigaction tells of another handler";
        raise(signo);
    }
    mine.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGSTKFLT, &mine, nullptr);
    raise(SIGSTKFLT);
    sigaction(SIGSTKFLT, nullptr, &now);
    if (now.sa_handler != SIG_DFL) return "SA_RESETHAND did not reset";
    sigaction(SIGSTKFLT, &mine, nullptr);
    return "own " + std::to_string(own_signals_seen);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

bool is_blocked(int signo) {
    std::uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &mask, sizeof mask);
    return (mask >> (signo - 1) & 1) != 0;
}

// The same again with the functions of System V and BSD, which do not call those above.
std::string burn_holding(std::istream&) {
    std::atomic<int> ready{0};
    threads.emplace_back([&ready] {
        for (const int signo : {SIGTRAP, SIGSTKFLT, SIGUSR1}) {
            sighold(signo);
            if (sigset(signo, SIG_HOLD) == SIG_ERR) ready = 2;
        }
        if (!is_blocked(SIGUSR1)) ready = 3;
        sigrelse(SIGUSR1);
        const int all = ~0;
        sigblock(all);
        if (!is_blocked(SIGUSR1) || is_blocked(SIGTRAP)) ready = 4;
        sigsetmask(0);
        if (is_blocked(SIGUSR1)) ready = 5;
        sigsetmask(all);
        if ((sigblock(0) >> (SIGUSR1 - 1) & 1) == 0) ready = 6;
        if (ready == 0) ready = 1;
        burn_until_end();
    });
    while (ready == 0) {
    }
    return ready == 1 ? "burning" : "failed " + std::to_string(ready);
}

std::string own_signals_sysv(std::istream&) {
    struct sigaction now = {};
    own_signals_seen = 0;
    for (const int signo : {SIGTRAP, SIGSTKFLT, SIGUSR1}) {
        if (sigset(signo, own_handler) != SIG_DFL) return "sigset found somebody";
        sigaction(signo, nullptr, &now);
        if (now.sa_handler != own_handler || now.sa_flags & SA_RESTART) return "not as it was set";
        raise(signo);
        siginterrupt(signo, 0);
        sigaction(signo, nullptr, &now);
        if ((now.sa_flags & SA_RESTART) == 0) return "siginterrupt did nothing";
        siginterrupt(signo, 1);
        if (signal(signo, own_handler) != own_handler) return "signal found another";
        sigaction(signo, nullptr, &now);
        if ((now.sa_flags & SA_RESTART) != 0) return "signal forgot siginterrupt";
        siginterrupt(signo, 0);
        raise(signo);
        if (sigignore(signo) != 0) return "sigignore failed";
        sigaction(signo, nullptr, &now);
        if (now.sa_handler != SIG_IGN) return "not ignored";
        raise(signo);
    }
    return "own " + std::to_string(own_signals_seen);
}

#pragma GCC diagnostic pop

void* wait_for_ever(void* set) {
    int signo = 0;
    sigwait(static_cast<const sigset_t*>(set), &signo);
    return nullptr;
}

// Both are pending, and one with a higher number: who waits for all of them gets that one.
std::string wait_for_signals(std::istream&) {
    own_signals_seen = 0;
    struct sigaction mine = {};
    mine.sa_handler = own_handler;
    const auto bit = [](int signo) { return std::uint64_t{1} << (signo - 1); };
    const std::uint64_t both = bit(SIGTRAP) | bit(SIGSTKFLT), all = both | bit(SIGWINCH);
    sigset_t wanted, ours;
    sigemptyset(&wanted);
    sigemptyset(&ours);
    for (const int signo : {SIGTRAP, SIGSTKFLT}) {
        sigaction(signo, &mine, nullptr);
        sigaddset(&wanted, signo);
        sigaddset(&ours, signo);
    }
    sigaddset(&wanted, SIGWINCH);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, nullptr, sizeof all);
    raise(SIGTRAP);
    raise(SIGSTKFLT);
    int signo = 0;
    siginfo_t info;
    raise(SIGWINCH);
    if (sigwait(&wanted, &signo) != 0 || signo != SIGWINCH) return "sigwait took another";
    raise(SIGWINCH);
    if (sigwaitinfo(&wanted, &info) != SIGWINCH) return "sigwaitinfo took another";
    raise(SIGWINCH);
    timespec a_while = {0, 1000};
    if (sigtimedwait(&wanted, &info, &a_while) != SIGWINCH) return "sigtimedwait took another";
    if (sigtimedwait(&ours, &info, &a_while) != -1 || errno != EAGAIN) return "it took ours";
    const int file = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    raise(SIGWINCH);
    signalfd_siginfo read_info[4];
    if (read(file, read_info, sizeof read_info) != sizeof *read_info) return "signalfd took more";
    if (read_info->ssi_signo != SIGWINCH) return "signalfd took another";
    close(file);
    if (own_signals_seen != 0) return "one was not pending";
    pthread_t waiting;
    void* result = nullptr;
    pthread_create(&waiting, nullptr, wait_for_ever, &wanted);
    pthread_cancel(waiting);
    pthread_join(waiting, &result);
    if (result != PTHREAD_CANCELED) return "sigwait cannot be cancelled";
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &all, nullptr, sizeof all);
    return "own " + std::to_string(own_signals_seen);
}

// Short-lived threads, one after the other, each of which burns for its whole life.
std::string churn(std::istream& words) {
    int count = 0;
    words >> count;
    for (int i = 0; i < count; ++i)
        std::thread([] {
            for (int k = 0; k < 20; ++k)
                burn_some();
        }).join();
    return "churned";
}

// A thread that a library which was never built for us creates.
std::string third_party(std::istream& words) {
    std::string path;
    words >> path;
    void* library = dlopen(path.c_str(), RTLD_NOW);
    if (library == nullptr) return dlerror();
    auto start = reinterpret_cast<void (*)(void (*)())>(dlsym(library, "start_thread"));
    start(burn_until_end);
    return "burning";
}

std::string close_all(std::istream&) {
    for (int fd = 3; fd < 70000; ++fd)
        close(fd);
    return "closed";
}

std::string lowest_fd(std::istream&) {
    const int fd = open("/dev/null", O_RDONLY);
    close(fd);
    return std::to_string(fd);
}

// A child that does what children do: threads, exit handlers.
std::string fork_child(std::istream&) {
    const pid_t child = fork();
    if (child == 0) {
        std::thread([] { burn_some(); }).join();
        std::exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? std::to_string(WEXITSTATUS(status)) : "killed";
}

// Many children, each of which takes the locks a fork may leave behind: malloc's and the loader's.
std::string fork_many(std::istream& words) {
    int count = 0;
    words >> count;
    int good = 0;
    for (int i = 0; i < count; ++i) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(20);
            void* library = dlopen("libm.so.6", RTLD_NOW);
            std::vector<std::string> some(100, std::string(1000, 'x'));
            std::thread([] { burn_some(); }).join();
            _exit(library != nullptr && dlsym(library, "cos") != nullptr ? 0 : 1);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (status == 0) ++good;
    }
    return std::to_string(good);
}

std::string set_user(std::istream& words) {
    uid_t uid = 0;
    words >> uid;
    return setuid(uid) == 0 ? "set" : std::strerror(errno);
}

std::vector<pid_t> children;
std::string fork_and_keep(std::istream&) {
    int ready[2];
    if (pipe(ready) != 0) return "no pipe";
    const pid_t child = fork();
    char c = 0;
    if (child == 0) {
        std::thread burning(burn_until_end);
        if (write(ready[1], &c, 1) == 1) pause();
    }
    if (read(ready[0], &c, 1) != 1) return "no child";
    close(ready[0]);
    close(ready[1]);
    children.push_back(child);
    return std::to_string(child);
}

std::string spawn_env(std::istream&) {
    std::string out;
    FILE* pipe = popen("env | grep -c -e NMI_ -e nmi-agent", "r");
    char line[64] = {};
    while (std::fgets(line, sizeof line, pipe) != nullptr)
        out += line;
    pclose(pipe);
    return out.substr(0, out.find('\n'));
}

std::string own_env(std::istream&) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
        if (std::strstr(*entry, "NMI_AGENT") != nullptr) return *entry;
        if (std::strstr(*entry, "LD_PRELOAD") != nullptr) return *entry;
    }
    return "clean";
}

std::string own_mask(std::istream&) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    std::string blocked;
    for (int signo = 1; signo < 32; ++signo) {
        if (sigismember(&mask, signo) == 1) blocked += std::to_string(signo) + " ";
    }
    return blocked.empty() ? "none" : blocked;
}

std::string replace_by(std::istream& words) {
    std::string program;
    words >> program;
    execl(program.c_str(), program.c_str(), nullptr);
    return std::strerror(errno);
}

std::string stop_burning(std::istream&) {
    end.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads)
        thread.join();
    threads.clear();
    return "stopped";
}

const std::map<std::string, std::function<std::string(std::istream&)>> commands = {
    {"burn", burn},
    {"burn_deep", burn_deep},
    {"where", where},
    {"burn_blocked", burn_blocked},
    {"burn_blocking", burn_blocking},
    {"own_signals", own_signals},
    {"burn_holding", burn_holding},
    {"own_signals_sysv", own_signals_sysv},
    {"wait_for_signals", wait_for_signals},
    {"own_signals_seen", [](std::istream&) { return std::to_string(own_signals_seen); }},
    {"churn", churn},
    {"third_party", third_party},
    {"close_all", close_all},
    {"lowest_fd", lowest_fd},
    {"fork", fork_child},
    {"fork_many", fork_many},
    {"set_user", set_user},
    {"fork_and_keep", fork_and_keep},
    {"spawn_env", spawn_env},
    {"own_env", own_env},
    {"own_mask", own_mask},
    {"exec", replace_by},
    {"stop", stop_burning},
    {"alive", [](std::istream&) { return std::string("yes"); }},
};

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string verb;
        int status = 0;
        words >> verb;
        if (verb == "exit" && words >> status) std::exit(status);  // with threads running
        if (verb == "return" && words >> status) {
            stop_burning(words);
            return status;
        }
        const auto command = commands.find(verb);
        std::cout << (command == commands.end() ? "what?" : command->second(words)) << std::endl;
    }
    std::_Exit(99);  // nobody is left to obey
}
