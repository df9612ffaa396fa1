// SPDX-License-Identifier: MIT
//
// Covering every thread exactly once. Context: thread, under the lock of sources.cpp.
//
// The list of threads that is complete before the first event is opened holds only threads that
// inherited nothing: each gets an event. A thread created after its creator got one inherits it. In
// between, a thread may be created by one that has no event *yet*; it is found by listing again,
// but so are threads that did inherit, and the kernel offers no way to tell. So all of them get a
// "doubtful" event, and the first signals decide: a thread that sees two tags dispatches only one
// (accept_perf_tag) and reports the pair. A doubtful event's thread and all its descendants since
// then also have the other event, so the doubtful, later one is closed; the kernel takes the
// inherited copies away with it. A pair must be seen twice, with a fresh choice in between, because
// a signal left over from an earlier source carries an innocent tag.
//
// An event stays open after its thread has ended: its inherited copies live and die with it.
#include "platform/linux/source_perf.hpp"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "platform/linux/signal_tag.hpp"
#include "platform/linux/thread_list.hpp"

namespace nmircu::platform {
namespace {

constexpr int unknown_paranoid = -100;

int read_paranoid() {
    int value = unknown_paranoid;
    if (std::FILE* file = std::fopen("/proc/sys/kernel/perf_event_paranoid", "re")) {
        if (std::fscanf(file, "%d", &value) != 1) value = unknown_paranoid;
        std::fclose(file);
    }
    return value;
}

std::string kernel_objection() {
    struct utsname name {};
    ::uname(&name);
    return perf_kernel_objection(name.release);
}

perf_event_attr attributes(int thread_id, std::uint32_t rate_hz) {
    perf_event_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_TASK_CLOCK;
    attr.sample_period = 1'000'000'000ull / rate_hz;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    attr.inherit = 1;
    attr.inherit_thread = 1;
    attr.remove_on_exec = 1;
    attr.sigtrap = 1;
    attr.sig_data = signal_tag(static_cast<std::uint32_t>(thread_id));
    return attr;
}

// Out of the way of programs that expect low descriptors (select, "the next one is 3").
int move_up(int fd) {
    constexpr int first_fd = 1024;
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, first_fd);
    if (moved < 0) return fd;
    ::close(fd);
    return moved;
}

bool is_event(int fd, std::uint64_t id) {
    std::uint64_t found = 0;
    return ::ioctl(fd, PERF_EVENT_IOC_ID, &found) == 0 && found == id;
}

// The program may have closed our descriptor and be using its number for something else.
void close_event(int fd, std::uint64_t id) {
    if (!is_event(fd, id)) return;
    // First off, in all threads: a forked child may hold the event open beyond our close.
    ::ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    ::close(fd);
}

bool same_pair(const tag_conflict& a, const tag_conflict& b) {
    return std::minmax(a.kept, a.rejected) == std::minmax(b.kept, b.rejected);
}

}  // namespace

std::string describe_perf_failure(int error, int paranoid) {
    const std::string refused =
        std::string("perf_event_open failed (") + std::strerror(error) + "): ";
    const std::string setting = "kernel.perf_event_paranoid is " + std::to_string(paranoid);
    switch (error) {
        case EACCES:
        case EPERM:
            if (paranoid > 2)
                return refused + setting + "; `sysctl kernel.perf_event_paranoid=2` as root " +
                       "would allow it";
            if (paranoid > unknown_paranoid)
                return refused + setting + ", which allows it; a seccomp filter (a container's, " +
                       "for example) or a security module does not";
            return refused + "a seccomp filter or a security module forbids it";
        case ENOSYS:
            return refused + "the kernel was built without it, or a seccomp filter hides it";
        case ENOENT:
        case ENODEV:
        case EOPNOTSUPP:
            return refused + "this kernel has no CPU clock event";
        case EMFILE:
        case ENFILE: {
            struct rlimit limit {};
            ::getrlimit(RLIMIT_NOFILE, &limit);
            return refused + "it takes a descriptor per thread and the limit (ulimit -n) is " +
                   std::to_string(limit.rlim_cur);
        }
        case EINVAL:
        case E2BIG:
            return refused + "this kernel does not know SIGTRAP on overflow";
        default:
            return refused + "not expected here";
    }
}

std::string perf_kernel_objection(const char* release) {
    unsigned major = 0;
    unsigned minor = 0;
    if (std::sscanf(release, "%u.%u", &major, &minor) != 2) return {};
    if (major > 5 || (major == 5 && minor >= 18)) return {};
    return std::string(
               "perf needs Linux 5.18 or later (before it, a blocked SIGTRAP kills the "
               "program) and this is ") +
           release;
}

int perf_source::open_event(int thread_id, bool doubtful) {
    perf_event_attr attr = attributes(thread_id, rate_hz_);
    const long opened =
        ::syscall(SYS_perf_event_open, &attr, thread_id, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (opened < 0) return errno == ESRCH ? 0 : errno;  // ended since it was listed
    const int fd = move_up(static_cast<int>(opened));
    std::uint64_t id = 0;
    ::ioctl(fd, PERF_EVENT_IOC_ID, &id);
    events_.push_back({thread_id, fd, id, doubtful});
    return 0;
}

// Opens an event for each of `threads` that is not in `known`, and adds it there.
int perf_source::open_unknown(const std::vector<int>& threads, std::vector<int>& known,
                              bool doubtful) {
    std::vector<int> unknown;
    std::set_difference(threads.begin(), threads.end(), known.begin(), known.end(),
                        std::back_inserter(unknown));
    for (const int thread_id : unknown) {
        if (const int error = open_event(thread_id, doubtful)) return error;
    }
    const auto middle = known.insert(known.end(), unknown.begin(), unknown.end());
    std::inplace_merge(known.begin(), middle, known.end());
    return 0;
}

std::string perf_source::start(std::uint32_t rate_hz, int excluded_tid) {
    if (std::string objection = kernel_objection(); !objection.empty()) return objection;
    rate_hz_ = rate_hz;
    excluded_tid_ = excluded_tid;
    forget_perf_tags();
    tag_conflict old[most_tag_conflicts];
    (void)take_tag_conflicts(old);

    // Ends when a list shows nobody new. The bound is for a program that never stops creating
    // threads; by then only threads created in the last few microseconds could be missed.
    constexpr int most_passes = 8;
    std::vector<int> known;
    if (excluded_tid != 0) known.push_back(excluded_tid);
    std::vector<int> threads = list_threads();
    if (threads.empty()) return "cannot read /proc/self/task: is /proc mounted?";
    for (int pass = 0; pass < most_passes; ++pass) {
        const std::size_t before = known.size();
        if (const int error = open_unknown(threads, known, pass > 0)) {
            stop();
            return describe_perf_failure(error, read_paranoid());
        }
        if (pass > 0 && known.size() == before) break;
        threads = list_threads();
    }
    return {};
}

void perf_source::stop() {
    for (const event& e : events_)
        close_event(e.fd, e.id);
    events_.clear();
    suspects_.clear();
}

void perf_source::abandon() noexcept {
    for (const event& e : events_) {
        if (is_event(e.fd, e.id)) ::close(e.fd);
    }
    events_.clear();
    suspects_.clear();
}

bool perf_source::all_ours() const {
    return std::all_of(events_.begin(), events_.end(),
                       [](const event& e) { return is_event(e.fd, e.id); });
}

void perf_source::resolve(const tag_conflict& conflict) {
    const auto suspect =
        std::find_if(suspects_.begin(), suspects_.end(),
                     [&](const tag_conflict& s) { return same_pair(s, conflict); });
    if (suspect == suspects_.end()) {
        suspects_.push_back(conflict);
        return;
    }
    suspects_.erase(suspect);
    const auto of_pair = [&](const event& e) {
        const auto tag = static_cast<std::uint32_t>(e.thread_id);
        return tag == conflict.kept || tag == conflict.rejected;
    };
    const auto first = std::find_if(events_.begin(), events_.end(), of_pair);
    if (first == events_.end()) return;
    const auto later = std::find_if(first + 1, events_.end(), of_pair);
    if (later == events_.end() || !later->doubtful) return;  // one of them is closed already
    close_event(later->fd, later->id);
    events_.erase(later);
}

std::string perf_source::rescan() {
    tag_conflict conflicts[most_tag_conflicts];
    const unsigned count = take_tag_conflicts(conflicts);
    for (unsigned i = 0; i < count; ++i)
        resolve(conflicts[i]);
    if (count > 0) forget_perf_tags();
    if (all_ours()) return {};
    stop();
    return start(rate_hz_, excluded_tid_);
}

}  // namespace nmircu::platform
