// SPDX-License-Identifier: MIT
//
// Dynamic non-maskable-interrupt handlers: install, swap, remove and free them while interrupts
// keep arriving on every CPU.
//
// Purpose. A handler that may run at any instruction of any thread cannot be freed, or its code
// unloaded, by anyone who has not waited for it. Here every dispatch is a read-side critical
// section of the default RCU domain (rcu.hpp), entered before the handler's address is loaded and
// left only in permanent code; so unpublishing a handler and waiting for a grace period makes it
// safe to free everything behind it.
//
// On Linux an NMI is a signal that this library's trampoline owns; on bare metal, vector 2.
//
// Smallest complete use:
//
//     int count_hits(void* cookie, nmircu::pt_regs*, int) {        // nmi context
//         static_cast<std::atomic<long>*>(cookie)->fetch_add(1, std::memory_order_relaxed);
//         return 1;                                               // handled
//     }
//
//     std::atomic<long> hits{0};
//     nmircu::nmi_attach();                        // once: take the interrupt
//     {
//         nmircu::nmi_handler handler;
//         if (handler.add(nmircu::nmi_type::local, "hits", count_hits, &hits) !=
//             nmircu::nmi_error::none) ...
//         nmircu::nmi_raise_self();
//     }                                            // removed; nobody is inside count_hits any more
//
// Guarantees. When `remove` (or the destructor) returns, no invocation of that handler is running
// and none will start. A dispatch sees either the old or the new handler of a swap, never none and
// never both. Every NMI is counted once: handled by a handler, forwarded to the signal's previous
// owner, or unknown.
//
// Misuse. `add`, `remove` and `swap` inside a handler would deadlock: they, and everything else
// here whose context excludes handlers, stop the program with a message that names both ends. What
// else is checked: docs/misuse.md.
//
// Stack. An NMI is taken on the interrupted thread's stack, or on its sigaltstack if it has one. On
// Linux that takes the kernel's frame (getauxval(AT_MINSIGSTKSZ); 3.3 KiB on a CPU with AVX-512),
// 1 KiB of ours, and what the handlers need; 8 KiB more if something is reported on stderr, or for
// the first one in a program whose dynamic linker binds functions when they are called.
//
// Limits. At most 64 handlers at once. fork(): the child has the same handlers and none of the
// parent's interrupt sources.
//
// Cost: docs/figures.md.
//
// Sources. Linux: arch/x86/kernel/nmi.c, arch/x86/include/asm/nmi.h, Documentation/RCU/NMI-RCU.rst.
// The interrupt: Intel SDM volume 3, section 6.7. Signals: POSIX.1-2017, volume XSH, section 2.4.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <nmircu/detail/cookie.hpp>
#include <nmircu/handler_statistics.hpp>
#include <nmircu/rcu.hpp>
#include <nmircu/rcu_stall.hpp>

#pragma GCC visibility push(default)

// The interrupted registers, under the one name they have in C too. Defined by the platform; use
// the accessors.
struct pt_regs;

namespace nmircu {

using ::pt_regs;

// Context of the three: nmi, irq, signal; with the regs of the handler that is running.
[[nodiscard]] std::uintptr_t instruction_pointer(const pt_regs* regs) noexcept;
[[nodiscard]] std::uintptr_t user_stack_pointer(const pt_regs* regs) noexcept;
[[nodiscard]] std::uintptr_t frame_pointer(const pt_regs* regs) noexcept;

// The documents' handler: returns non-zero if it handled the interrupt. nmi context: it must not
// lock, allocate, use stdio or lazily allocated thread-local storage, block, or loop unbounded.
// The dispatcher saves errno and has every maskable signal blocked. It may call anything here whose
// context includes nmi.
using nmi_callback_t = int (*)(pt_regs* regs, int cpu);
// The same with a cookie, for the chain.
using nmi_handler_t = int (*)(void* cookie, pt_regs* regs, int cpu);

// The entry and exit of every NMI: nests a read-side section and marks the thread as inside an NMI.
// Context: nmi. Called by do_nmi; needed only by a program with an entry of its own.
void nmi_enter() noexcept;
void nmi_exit() noexcept;
// Whether the calling thread is inside an NMI. Context: any.
[[nodiscard]] bool in_nmi() noexcept;

// The CPU the calling thread runs on: 0..possible CPUs - 1. Context: any. On Linux a thread may
// have moved by the time it looks at the result.
[[nodiscard]] int smp_processor_id() noexcept;

// NMIs taken on `cpu` so far, exact. 0 for a CPU that does not exist. Context: any. Only a call
// that overlaps the first nmi_set_entry may see too much.
[[nodiscard]] std::uint64_t nmi_count(int cpu) noexcept;

// The NMI's own work: enter; count; the callback if it handles it, else default_do_nmi; exit.
// Context: nmi.
void do_nmi(pt_regs* regs, long error_code) noexcept;
// The machine's own reaction: the chain of the interrupt's type, all of it; if nobody claims it,
// the previous owner of a signal that is not ours; else an unknown NMI, which is counted.
// Context: nmi, inside nmi_enter/nmi_exit.
void default_do_nmi(pt_regs* regs) noexcept;

// Replaces the NMI callback, which is asked before the chain; whatever the callback uses must be
// initialised before. Context: any. The old callback may still be running: rcu_synchronize before
// freeing what it uses. `callback` must not be null: that stops the program with a message.
void set_nmi_callback(nmi_callback_t callback) noexcept;
// Back to the dummy callback, which handles nothing. Same caveat.
void unset_nmi_callback() noexcept;
// Returns 0. Context: any.
int dummy_nmi_callback(pt_regs* regs, int cpu) noexcept;

// A program's own do_nmi: what runs on each NMI, all of it. It calls nmi_enter first and nmi_exit
// last, counts, and may call default_do_nmi in between. Context: nmi; the rules of a handler.
using nmi_entry_t = void (*)(pt_regs* regs, long error_code);

// Puts `program` behind the NMI vector in place of ours, and takes the interrupt (nmi_attach); null
// restores ours. When it returns, nobody is inside the entry that was there before, nor will be:
// its code may be unloaded. The vector is inside a section around the entry, before it looks for
// it. Returns 0, or the errno value of nmi_attach; then nothing has changed. Context: thread,
// outside any section, else the program is stopped with a message; blocks for a grace period; does
// not allocate. A forked child keeps the entry. Cost: from the first call on, null or not, our
// do_nmi counts with an atomic instruction: both it and a program's entry may then count, as
// kernel_api.h's nmi_count(cpu), and no NMI is lost.
int nmi_set_entry(nmi_entry_t program) noexcept;

// local: raised by one of this library's sources or by nmi_raise. external: somebody else's signal
// on our vector. unknown: asked, after everybody else, about an interrupt that nobody claimed.
enum class nmi_type : std::uint8_t { local, external, unknown };
inline constexpr unsigned nmi_type_count = 3;

// first: asked before every handler that is registered already; otherwise, after them.
enum class nmi_flags : std::uint8_t { none = 0, first = 1 };

enum class [[nodiscard]] nmi_error : std::uint8_t{
    none,
    null_handler,   // the handler is null
    bad_type,       // not one of nmi_type
    bad_flags,      // not one of nmi_flags
    bad_name,       // null, empty, or longer than handler_name_bytes - 1
    name_taken,     // another handler, of any type, has that name
    too_many,       // 64 handlers are registered
    already_added,  // this object holds a registration
    not_added,      // nothing by that token or name is registered, or it is being removed already
    still_running,  // the time was up and somebody still inside; the handler is still registered
};
// One sentence for people. Context: any.
[[nodiscard]] const char* describe(nmi_error error) noexcept;

inline constexpr unsigned most_nmi_handlers = 64;

// Names one registration, and never another one. The default names none.
enum class nmi_token : std::uint64_t {};

// Registers a handler for `type`: the kernel's register_nmi_handler, with a cookie. `token`, if not
// null, receives what it is called. The name is copied. After an error nothing has changed.
// Context: thread, outside any section; blocks for a grace period if the chain changed a moment
// ago; does not allocate. The chain of the type refers to `handler` until it is unregistered.
nmi_error register_nmi_handler(nmi_type type, nmi_handler_t handler, void* cookie, nmi_flags flags,
                               const char* name, nmi_token* token = nullptr) noexcept;

// Takes the handler out of its chain; when it returns, nobody is inside and nobody will be.
// Context: thread, outside any section; blocks. Inside a handler: stops the program with a message.
nmi_error unregister_nmi_handler(nmi_token token) noexcept;
nmi_error unregister_nmi_handler(const char* name) noexcept;

// Threads that kept a handler from being unregistered: those inside it; if there is none, those
// inside any other read-side section, which a grace period waits for as well.
struct nmi_still_inside {
    unsigned threads;  // how many; described below are at most 8 of them
    rcu_stalled_reader thread[8];
};

// The same, if it can be done within `most_ns`. Otherwise still_running, and the handler is
// registered as before, its counts unbroken; NMIs in between were not shown to it. `who`, if not
// null, then says who was inside; by then they may have left.
// Context: thread, outside any section; blocks for at most about `most_ns`, longer if another
// update is under way, and for finding out who.
nmi_error unregister_nmi_handler_within(nmi_token token, std::uint64_t most_ns,
                                        nmi_still_inside* who = nullptr) noexcept;

// The same without waiting: no dispatch that begins after the return calls the handler, and when
// nobody is inside it and its name is free again, `done(argument)` is called on the reclaimer
// thread (rcu_retire.hpp; outside sections, where it may block and free, also the nmi_handler that
// the token is of). `done` may be null; then
// rcu_barrier waits for the removal.
// Context: thread, signal, irq, nmi, and the handler itself. Does not block, does not allocate.
nmi_error unregister_nmi_handler_later(nmi_token token, void (*done)(void* argument),
                                       void* argument) noexcept;

// The handler of that name, of any type; none if there is none. Context: thread; blocks on updates.
[[nodiscard]] nmi_token find_nmi_handler(const char* name) noexcept;

// A handler that is asked instead of the whole chain of its type, for what must not depend on
// anybody else's code: a crash being written down. Returns how many events it handled.
using nmi_emergency_t = int (*)(nmi_type type, pt_regs* regs);
// Null: back to the chain. Context: any. The old one may still be running: rcu_synchronize before
// freeing what it uses.
nmi_error set_emergency_nmi_handler(nmi_type type, nmi_emergency_t handler) noexcept;

struct nmi_handler_statistics;

// One registration, which ends with the object. Not movable.
class nmi_handler {
  public:
    constexpr nmi_handler() noexcept = default;
    nmi_handler(const nmi_handler&) = delete;
    nmi_handler& operator=(const nmi_handler&) = delete;
    // As remove, if added.
    ~nmi_handler();

    // As register_nmi_handler.
    nmi_error add(nmi_type type, const char* name, nmi_handler_t function, void* cookie,
                  nmi_flags flags = nmi_flags::none) noexcept;

    // The same for anything, a plain function too, that can be called as callable(regs, cpu), with
    // pt_regs& and int, and returns an int. It is called directly from the dispatcher's one
    // indirect call, and must live until the registration has ended.
    template <class Callable>
    requires std::is_invocable_r_v<int, Callable&, pt_regs&, int> nmi_error
    add(nmi_type type, const char* name, Callable& callable, nmi_flags flags = nmi_flags::none)
    noexcept { return add(type, name, call_object<Callable>, detail::to_cookie(callable), flags); }

    // The same for a function Function(cookie, regs, cpu) that takes its cookie by reference.
    template <auto Function, class Cookie>
    requires std::is_invocable_r_v<int, decltype(Function), Cookie&, pt_regs&, int> nmi_error
    add(nmi_type type, const char* name, Cookie& cookie, nmi_flags flags = nmi_flags::none)
    noexcept {
        return add(type, name, call_function<Function, Cookie>, detail::to_cookie(cookie), flags);
    }

    // Replaces function and cookie; each later dispatch calls the new one, and when this returns,
    // nobody is inside the old one. Statistics go on. Context: thread, outside any section; blocks.
    nmi_error swap(nmi_handler_t function, void* cookie) noexcept;

    // Takes the handler out of the chain and waits until nobody is inside it, also if it is on its
    // way out by unregister_nmi_handler_later (then: not_added). `last`, if not null, receives its
    // final statistics, and `cpu_handled` its claims on each of `cpus` CPUs.
    // Context: thread, outside any section; blocks.
    nmi_error remove(nmi_handler_statistics* last = nullptr, std::uint64_t* cpu_handled = nullptr,
                     unsigned cpus = 0) noexcept;

    [[nodiscard]] bool added() const noexcept { return token_ != nmi_token{}; }
    // For unregister_nmi_handler_later, from inside the handler.
    [[nodiscard]] nmi_token token() const noexcept { return token_; }

  private:
    template <class Callable>
    static int call_object(void* callable, pt_regs* regs, int cpu) {
        return detail::from_cookie<Callable>(callable)(*regs, cpu);
    }
    template <auto Function, class Cookie>
    static int call_function(void* cookie, pt_regs* regs, int cpu) {
        return Function(detail::from_cookie<Cookie>(cookie), *regs, cpu);
    }

    nmi_token token_{};
};

// A callable and its registration in one object.
template <class Callable>
requires std::is_invocable_r_v<int, Callable&, pt_regs&, int>
class nmi_function {
  public:
    explicit nmi_function(Callable given) : callable_(std::move(given)) {}

    // As nmi_handler's.
    nmi_error add(nmi_type type, const char* name, nmi_flags flags = nmi_flags::none) noexcept {
        return handler_.add(type, name, callable_, flags);
    }
    nmi_error remove() noexcept { return handler_.remove(); }
    [[nodiscard]] Callable& callable() noexcept { return callable_; }

  private:
    Callable callable_;
    nmi_handler handler_;  // ends before what it calls
};

// What has been observed of one handler.
struct nmi_handler_statistics : handler_statistics {
    nmi_type type;
};

// Copies the statistics of up to `most` registered handlers, in order of registration; returns how
// many there are. `cpu_handled`, if not null, receives for handler h on CPU c the claims at
// [h * cpus + c]. Context: thread, outside any section; blocks on other registrations.
unsigned nmi_handlers(nmi_handler_statistics* out, unsigned most, std::uint64_t* cpu_handled,
                      unsigned cpus) noexcept;

// What has been observed of one CPU: NMIs taken, and of those whose handlers were timed, how many,
// the time spent in them, and the longest.
struct nmi_cpu_statistics {
    std::uint64_t taken;
    std::uint64_t timed;
    std::uint64_t total_ns;
    std::uint64_t longest_ns;
};
// Zeroes for a CPU that does not exist. Context: any.
[[nodiscard]] nmi_cpu_statistics nmi_read_cpu(int cpu) noexcept;

// Every NMI is one of four: claimed by somebody; handed on to the signal's previous owner; unknown,
// as nobody claimed it; or swallowed: the second half of a pair, which nobody claimed because the
// handlers of the first, at the same instruction, found the events of both. Context: any.
[[nodiscard]] std::uint64_t nmi_unknown_count() noexcept;
[[nodiscard]] std::uint64_t nmi_forwarded_count() noexcept;
[[nodiscard]] std::uint64_t nmi_swallowed_count() noexcept;

// What happens at an unknown NMI besides counting it: nothing; a line on stderr, at most one a
// second (the default); or a line and the end of the program. Context: any.
enum class nmi_unknown_policy : std::uint8_t { ignore, report, abort };
void nmi_set_unknown_policy(nmi_unknown_policy policy) noexcept;

// One dispatch in `interval` has its handlers timed (1: all of them, exact maxima; 0: none).
// Reading the clock costs more than the rest of a dispatch, so the default is 16. Context: any.
void nmi_set_timing_interval(std::uint32_t interval) noexcept;

// The longest that one call of a handler may take before a line on stderr names it: each time it
// sets a record for its CPU, at most one line a second. Only timed calls are seen (above).
// 0: never. Default 1,000,000. Context: any.
void nmi_set_longest_allowed(std::uint64_t ns) noexcept;

// Takes the interrupt: installs the permanent trampoline. Context: thread. Idempotent.
// Returns 0, or an errno value (Linux only): EBUSY, the program has installed a handler of its own
// over ours since; no NMI arrives until it takes it away again.
//
// From then on a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL) inside a handler is reported on stderr
// with the handler's name before it ends the program; only for those of the four whose action is
// the default one at a call of this, and not at all with NMIRCU_FAULT_REPORTS=0 in the environment.
int nmi_attach() noexcept;

// Raises an NMI on the calling thread (handled before it returns, unless the thread has the signal
// blocked), or on the thread `tid` of this process. Returns 0 or an errno value: ESRCH, no such
// thread; EAGAIN, too many signals pending; EBUSY, nobody has attached, or the program has taken
// the signal for itself since. Context: any.
int nmi_raise_self() noexcept;
int nmi_raise(int tid) noexcept;

// Why an NMI does not reach a thread now.
enum class nmi_unreachable_reason : std::uint8_t {
    not_attached,            // nobody has attached, or the program has taken the signal since
    blocks_signal,           // gets one NMI, late, when it unblocks the signal
    waits_for_signal,        // in sigwait or the like, which takes the signal instead
    stopped,                 // by a signal or a debugger
    sleeps_uninterruptibly,  // in the kernel, until that is over
    ended,                   // the first thread, which called pthread_exit
    no_answer,               // not on Linux
};
// One sentence for people. Context: any.
[[nodiscard]] const char* describe(nmi_unreachable_reason reason) noexcept;

struct nmi_unreachable_thread {
    std::int32_t tid;     // gettid(2); on bare metal, the CPU
    std::int32_t signal;  // which one: that of nmi_raise and timers, or of perf, once attached
    nmi_unreachable_reason reason;
    char state;     // as in proc(5): R, S, D, T, ...; '?': not known
    char name[16];  // pthread_setname_np(3)
};

// Not a number of threads: /proc/self/task cannot be read.
inline constexpr std::size_t nmi_threads_unknown = ~std::size_t{0};

// Describes up to `most` threads of this process that NMIs do not reach at the moment; returns how
// many there are, or nmi_threads_unknown. A thread that was created or has ended meanwhile may be
// left out or listed. One that blocks the signal only briefly, as libc does around
// pthread_create, is left out if it did so at one of two looks. `out` may be null if `most` is 0.
// Context: thread; does not allocate, and blocks no longer than reading a few files per thread
// takes: on Linux three to five of /proc/self/task.
std::size_t nmi_unreachable_threads(nmi_unreachable_thread* out, std::size_t most) noexcept;

namespace detail {

// The word behind kernel_api.h's nmi_count(cpu). Atomic accesses only. Context: any.
[[nodiscard]] std::uint64_t& nmi_count_word(int cpu) noexcept;

}  // namespace detail

}  // namespace nmircu

#pragma GCC visibility pop
