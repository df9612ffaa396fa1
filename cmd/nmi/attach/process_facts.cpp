// SPDX-License-Identifier: MIT
//
// Reading /proc, and the reasons against an attach; see process_facts.hpp.
#include <nmi/attach/process_facts.hpp>

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <nmi/attach/machine.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/profile/memory_map.hpp>
#include <nmi/symbols/elf_file.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;

std::string proc(int pid, const std::string& name) {
    return fmt::format("/proc/{}/{}", pid, name);
}

// What stands behind "KEY:" in a status file.
std::istringstream value_of(const std::string& status, const std::string& key) {
    const std::size_t at = ("\n" + status).find("\n" + key + ":");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + key.size() + 1;
    return std::istringstream(status.substr(begin, status.find('\n', begin) - begin));
}

std::string link_of(int pid, const std::string& name) {
    std::error_code error;
    return fs::read_symlink(proc(pid, name), error);
}

bool shares(int pid, const char* space) {
    const std::string theirs = link_of(pid, std::string("ns/") + space);
    return theirs.empty() || theirs == link_of(getpid(), std::string("ns/") + space);
}

bool same_root(int pid) {
    struct stat theirs, ours;
    return stat(proc(pid, "root/").c_str(), &theirs) != 0 || stat("/", &ours) != 0 ||
           (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino);
}

struct refuser {
    const std::string& attempt;

    template <class... Args>
    [[noreturn]] void operator()(fmt::format_string<Args...> text, Args&&... args) const {
        fail(exit_refused, "{}: {}", attempt, fmt::format(text, std::forward<Args>(args)...));
    }
};

void check_state(const process_facts& facts, const refuser& refuse) {
    if (facts.pid == getpid()) refuse("that is this command; try another process");
    if (facts.process != facts.pid) {
        refuse("{} is a thread of process {}; try {}", facts.pid, facts.process, facts.process);
    }
    if (facts.state == 'Z' || facts.state == 'X') {
        refuse("process {} has ended and waits for its parent; try another", facts.pid);
    }
    if (facts.tracer != 0) {
        refuse(
            "process {} is traced by process {} (a debugger, or strace), and the kernel allows one "
            "tracer; try again when that has ended",
            facts.pid, facts.tracer);
    }
    if (facts.state == 'T' || facts.state == 't') {
        refuse("process {} is stopped; try kill -CONT {}", facts.pid, facts.pid);
    }
}

// The kernel's own answer: the same check as for ptrace, and it leaves no trace.
void check_permission(const process_facts& facts, const refuser& refuse) {
    const unique_fd memory(open(proc(facts.pid, "mem").c_str(), O_RDONLY | O_CLOEXEC));
    if (memory) return;
    if (facts.uid != geteuid() && geteuid() != 0) {
        refuse("process {} belongs to user {}; try as that user, or as root", facts.pid, facts.uid);
    }
    const std::string scope = text_of_file("/proc/sys/kernel/yama/ptrace_scope");
    if (!scope.empty() && scope[0] != '0') {
        refuse(
            "kernel.yama.ptrace_scope is {}, which keeps users from entering their own programs; "
            "try as root, or sysctl kernel.yama.ptrace_scope=0",
            one_line(scope.substr(0, 1)));
    }
    refuse(
        "the kernel does not let us into process {} ({}): it has dropped privileges, or a security "
        "module forbids it; try as root",
        facts.pid, std::strerror(errno));
}

// Of any thread: they may differ. 0 none, 1 strict, 2 filter.
int seccomp_mode(int pid) {
    int mode = 0;
    for (const int thread_id : threads_of(pid)) {
        int one = 0;
        value_of(text_of_file(proc(pid, fmt::format("task/{}/status", thread_id))), "Seccomp") >>
            one;
        mode = one == 1 || mode == 1 ? 1 : std::max(mode, one);
    }
    return mode;
}

void check_seccomp(const process_facts& facts, seccomp_filters filters, const refuser& refuse) {
    const int mode = seccomp_mode(facts.pid);
    if (mode == 1) {
        refuse(
            "process {} runs in seccomp's strict mode, which kills it for any system call an agent "
            "makes; try a build without it",
            facts.pid);
    }
    if (mode == 2 && filters == seccomp_filters::refuse) {
        refuse(
            "process {} runs under a seccomp filter, which may kill it for a system call that an "
            "agent makes; try --seccomp if it allows those that docs/attach.md lists",
            facts.pid);
    }
}

bool has_section(const elf_file& file, const char* name) {
    const auto sections = file.sections();
    return std::any_of(sections.begin(), sections.end(),
                       [&](const elf_file::section& one) { return one.name == name; });
}

void check_program(const process_facts& facts, const refuser& refuse) {
    const std::unique_ptr<elf_file> self = elf_file::open("/proc/self/exe");
    const std::unique_ptr<elf_file> file = elf_file::open(proc(facts.pid, "exe"));
    if (file == nullptr || self == nullptr) {
        refuse("process {} has no program file: it belongs to the kernel; try another", facts.pid);
    }
    if (file->header().e_machine != self->header().e_machine ||
        file->elf_class() != self->elf_class()) {
        refuse(
            "process {} is built for another kind of machine than nmi and its agent (32 bits, or "
            "emulated); try a build for this one",
            facts.pid);
    }
    const std::string loader = fs::path(file->interpreter()).filename();
    if (loader.empty()) {
        refuse(
            "process {} is statically linked ({}), so it has no dynamic loader to load the agent; "
            "try a dynamically linked build, or link libnmircu into it",
            facts.pid,
            has_section(*file, ".gopclntab") ? "a Go program without cgo" : "no PT_INTERP");
    }
    const std::string ours = fs::path(self->interpreter()).filename();
    if (loader != ours) {
        refuse(
            "process {} is started by {}, and the agent needs {}; try a build against this "
            "system's C library",
            facts.pid, loader, ours);
    }
    if (has_section(*file, ".gopclntab")) {
        refuse(
            "process {} is a Go program: its threads run on stacks of Go's own, too small for the "
            "dynamic loader; try nmi run, before it is started",
            facts.pid);
    }
}

void check_machine(const process_facts& facts, const refuser& refuse) {
    if (!machine::is_known())
        refuse("nobody has written this for this kind of machine; try nmi run");
    if (facts.has_shadow_stack) {
        refuse(
            "process {} has a shadow stack, which catches returns that nobody called for; try "
            "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off when it is started",
            facts.pid);
    }
    if (!shares(facts.pid, "user")) {
        refuse(
            "process {} is in another user namespace, where users have other numbers; try nmi "
            "inside it (nsenter --user --mount --pid --target {})",
            facts.pid, facts.pid);
    }
    if (facts.inner_pid != facts.pid && shares(facts.pid, "mnt")) {
        refuse(
            "process {} is in a PID namespace of its own, but its /proc is ours and shows it wrong "
            "numbers; try unshare --pid --fork --mount-proc",
            facts.pid);
    }
}

// As the target would, with its user and groups.
bool may_read(const process_facts& facts, const std::string& path) {
    if (geteuid() != 0 || facts.uid == 0) return access(path.c_str(), R_OK) == 0;
    const pid_t child = fork();
    if (child < 0) return true;  // the dynamic loader will find out
    if (child == 0) {
        const bool became =
            setgroups(0, nullptr) == 0 && setgid(facts.gid) == 0 && setuid(facts.uid) == 0;
        _exit(became && access(path.c_str(), R_OK) == 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0;
}

void check_agent_file(const process_facts& facts, const std::string& agent, const refuser& refuse) {
    const std::string seen = facts.root + agent;
    struct stat theirs, ours;
    if (stat(agent.c_str(), &ours) != 0 || stat(seen.c_str(), &theirs) != 0 ||
        ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino) {
        refuse(
            "process {} does not see {}: it has another file system (a container, a chroot); try "
            "NMI_LIBRARY_DIR with a folder that is at the same path in both",
            facts.pid, agent);
    }
    if (!may_read(facts, seen)) {
        refuse(
            "user {}, as whom process {} runs, may not read {}; try NMI_LIBRARY_DIR with a folder "
            "that user can enter",
            facts.uid, facts.pid, agent);
    }
}

}  // namespace

// A listing ends early when the thread that it has come to exits. The directory's link count, two
// more than the number of threads, tells.
std::vector<int> threads_of(int pid) {
    const std::string folder = proc(pid, "task");
    std::set<int> found;
    for (int listing = 0; listing < 8; ++listing) {
        std::error_code error;
        for (fs::directory_iterator at(folder, error), end; !error && at != end;
             at.increment(error)) {
            found.insert(std::atoi(at->path().filename().c_str()));
        }
        struct stat about;
        if (stat(folder.c_str(), &about) != 0 || found.size() + 2 >= about.st_nlink) break;
    }
    return {found.begin(), found.end()};
}

process_facts facts_of(int pid, const std::string& attempt) {
    const std::string status = text_of_file(proc(pid, "status"));
    if (status.empty()) {
        fail(exit_error, "{}: there is no process {}; try pgrep to find it", attempt, pid);
    }
    process_facts facts;
    facts.pid = pid;
    unsigned real = 0;
    value_of(status, "Uid") >> real >> facts.uid;
    value_of(status, "Gid") >> real >> facts.gid;
    value_of(status, "State") >> facts.state;
    value_of(status, "TracerPid") >> facts.tracer;
    value_of(status, "Tgid") >> facts.process;
    for (auto numbers = value_of(status, "NSpid"); numbers >> facts.inner_pid;) {
    }
    if (facts.inner_pid == 0) facts.inner_pid = pid;
    std::string features;
    std::getline(value_of(status, "x86_Thread_features"), features);
    facts.has_shadow_stack = features.find("shstk") != std::string::npos;
    if (!shares(pid, "mnt") || !same_root(pid)) facts.root = proc(pid, "root");
    return facts;
}

attach_target check_target(int pid, const std::string& agent, seccomp_filters filters,
                           const std::string& attempt) {
    const refuser refuse{attempt};
    attach_target target{facts_of(pid, attempt), agent, false};
    check_state(target.facts, refuse);
    check_permission(target.facts, refuse);
    check_program(target.facts, refuse);
    check_machine(target.facts, refuse);
    check_seccomp(target.facts, filters, refuse);
    for (const mapping& line : parse_maps(text_of_file(proc(pid, "maps")))) {
        if (!line.path.ends_with("/nmi-agent.so")) continue;
        target.has_agent_code = true;
        target.agent = line.path;
    }
    if (!target.has_agent_code) check_agent_file(target.facts, agent, refuse);
    return target;
}

}  // namespace nmircu::command
