// SPDX-License-Identifier: MIT
//
// See dispatchers.hpp.
#include "dispatchers.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

#include <nmircu/nmi.hpp>

#include "platform/linux/signal_tag.hpp"

// gperftools 2.10, src/profile-handler.h, which Debian does not install; libprofiler exports them.
struct ProfileHandlerToken;
using ProfileHandlerCallback = void (*)(int signal, siginfo_t* info, void* context, void* argument);
ProfileHandlerToken* ProfileHandlerRegisterCallback(ProfileHandlerCallback callback,
                                                    void* argument);
void ProfileHandlerUnregisterCallback(ProfileHandlerToken* token);

namespace bench {

const dispatcher raw{"raw sigaction handler", SIGUSR2};
const dispatcher nmircu{"nmircu", ::nmircu::platform::nmi_signal};
const dispatcher profile_handler{"gperftools ProfileHandler", SIGPROF};
const dispatcher global_rwlock{"list under a pthread_rwlock", SIGVTALRM};

void give_up(const char* what) {
    std::fprintf(stderr, "error: %s\n", what);
    std::exit(1);
}

namespace {

// Of this program, not a library: accessed without a call.
constinit thread_local volatile std::uint64_t thread_hits = 0;

void work() {
    thread_hits = thread_hits + 1;
}

// Two of each, to be swapped.
void raw_handler(int, siginfo_t*, void*) {
    work();
}
void other_raw_handler(int, siginfo_t*, void*) {
    work();
}
int nmi_work(void*, ::nmircu::pt_regs*, int) {
    work();
    return 1;
}
int other_nmi_work(void*, ::nmircu::pt_regs*, int) {
    work();
    return 1;
}
void listed_work(int, siginfo_t*, void*, void*) {
    work();
}

// What anybody would write: a short list under a lock.
class locked_list {
  public:
    using function = ProfileHandlerCallback;

    void call(int signal, siginfo_t* info, void* context) {
        const int saved_errno = errno;
        pthread_rwlock_rdlock(&lock_);
        for (unsigned i = 0; i < count_; ++i)
            functions_[i](signal, info, context, nullptr);
        pthread_rwlock_unlock(&lock_);
        errno = saved_errno;
    }
    void add(function what) {
        change([&] { functions_[count_++] = what; });
    }
    void remove_last() {
        change([&] { --count_; });
    }
    void replace_last(function what) {
        change([&] { functions_[count_ - 1] = what; });
    }

  private:
    // The signal must not arrive in a thread that writes: it would wait for itself.
    template <class Change>
    void change(Change what) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_rwlock_wrlock(&lock_);
        what();
        pthread_rwlock_unlock(&lock_);
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    pthread_rwlock_t lock_ = PTHREAD_RWLOCK_INITIALIZER;
    function functions_[16];
    unsigned count_ = 0;
};
locked_list list;

void list_handler(int signal, siginfo_t* info, void* context) {
    list.call(signal, info, context);
}

using signal_handler = void (*)(int, siginfo_t*, void*);

signal_handler handler_of(int signal) {
    struct sigaction action;
    ::sigaction(signal, nullptr, &action);
    return action.sa_sigaction;
}

// With the flags and the mask of ours.
void take_signal(int signal, signal_handler handler) {
    struct sigaction action;
    ::sigaction(nmircu.signal, nullptr, &action);
    action.sa_sigaction = handler;
    if (::sigaction(signal, &action, nullptr) != 0) give_up("sigaction failed");
}

// As the kernel delivers what raise_signals asks for.
siginfo_t queued_info(int signal) {
    siginfo_t info = {};
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(::nmircu::platform::signal_tag(0));
    return info;
}

class all_counted {
  public:
    explicit all_counted(std::uint64_t count) : least_(thread_hits + count) {}
    ~all_counted() {
        if (thread_hits < least_) give_up("a signal was not handled");
    }
    all_counted(const all_counted&) = delete;
    all_counted& operator=(const all_counted&) = delete;

  private:
    std::uint64_t least_;
};

std::unique_ptr<::nmircu::nmi_handler> own_first, own_second;
ProfileHandlerToken *profile_first, *profile_second;

void add_to_ours(std::unique_ptr<::nmircu::nmi_handler>& handler, const char* name) {
    if (handler == nullptr) handler = std::make_unique<::nmircu::nmi_handler>();
    if (handler->add(::nmircu::nmi_type::local, name, nmi_work, nullptr) !=
        ::nmircu::nmi_error::none) {
        give_up("a handler could not be added");
    }
}

void swap_second() {
    static bool other = false;
    other = !other;
    if (own_second->swap(other ? other_nmi_work : nmi_work, nullptr) != ::nmircu::nmi_error::none) {
        give_up("a handler could not be swapped");
    }
}

void remove_second() {
    if (own_second->remove() != ::nmircu::nmi_error::none) give_up("a handler was not removed");
}

}  // namespace

installed_dispatchers::installed_dispatchers() {
    if (::nmircu::nmi_attach() != 0) give_up("nmi_attach failed");
    ::nmircu::nmi_set_timing_interval(16);  // the default
    // Threads in excess of CPUs are preempted in the handler too: nothing to warn of.
    ::nmircu::nmi_set_longest_allowed(0);
    add_to_ours(own_first, "bench first");
    take_signal(raw.signal, raw_handler);
    take_signal(global_rwlock.signal, list_handler);
    list.add(listed_work);
    profile_first = ProfileHandlerRegisterCallback(listed_work, nullptr);
    const itimerval never = {};
    ::setitimer(ITIMER_PROF, &never, nullptr);
}

installed_dispatchers::~installed_dispatchers() {
    ProfileHandlerUnregisterCallback(profile_first);
    list.remove_last();
    own_first.reset();
    own_second.reset();
    ::nmircu::nmi_set_longest_allowed(1'000'000);  // the default
}

void raise_signals(const dispatcher& who, std::uint64_t count) {
    siginfo_t info = queued_info(who.signal);
    const pid_t process = ::getpid(), thread = ::gettid();
    const all_counted check(count);
    for (; count != 0; --count)
        ::syscall(SYS_rt_tgsigqueueinfo, process, thread, who.signal, &info);
}

void call_signal_handler(const dispatcher& who, std::uint64_t count) {
    siginfo_t info = queued_info(who.signal);
    ucontext_t context = {};
    signal_handler volatile function = handler_of(who.signal);
    const all_counted check(count);
    for (; count != 0; --count)
        function(who.signal, &info, &context);
}

const registration nmircu_registration{nmircu, "nmi_handler",
                                       [] { add_to_ours(own_second, "bench second"); },
                                       remove_second, swap_second};
const registration profile_handler_registration{
    profile_handler, profile_handler.name,
    [] { profile_second = ProfileHandlerRegisterCallback(listed_work, nullptr); },
    [] { ProfileHandlerUnregisterCallback(profile_second); }, nullptr};
const registration global_rwlock_registration{
    global_rwlock, "pthread_rwlock, for writing", [] { list.add(listed_work); },
    [] { list.remove_last(); }, [] { list.replace_last(listed_work); }};

void swap_raw() {
    static std::mutex mutex;
    static struct sigaction action;
    const std::lock_guard lock(mutex);
    if (action.sa_sigaction == nullptr) ::sigaction(raw.signal, nullptr, &action);
    action.sa_sigaction = action.sa_sigaction == raw_handler ? other_raw_handler : raw_handler;
    if (::sigaction(raw.signal, &action, nullptr) != 0) give_up("sigaction failed");
}

}  // namespace bench
