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
// Limits. At most 64 handlers at once. fork(): the child has the same handlers and none of the
// parent's interrupt sources.
//
// Cost: docs/figures.md.
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/rcu.hpp>

#pragma GCC visibility push(default)

namespace nmircu {

// The interrupted registers. Defined by the platform; use the accessors.
struct pt_regs;

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

// NMIs taken on `cpu` so far, exact. 0 for a CPU that does not exist. Context: any.
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

// local: raised by one of this library's sources or by nmi_raise. external: somebody else's signal
// on our vector. unknown: asked, after everybody else, about an interrupt that nobody claimed.
enum class nmi_type : std::uint8_t { local, external, unknown };
inline constexpr unsigned nmi_type_count = 3;

enum class [[nodiscard]] nmi_error : std::uint8_t{
    none,
    null_handler,   // the handler is null
    bad_name,       // null, empty, or longer than nmi_name_bytes - 1
    name_taken,     // another handler, of any type, has that name
    too_many,       // 64 handlers are registered
    already_added,  // this object holds a registration
    not_added,      // this object holds none
};
// One sentence for people. Context: any.
[[nodiscard]] const char* describe(nmi_error error) noexcept;

inline constexpr unsigned nmi_name_bytes = 32;
inline constexpr unsigned most_nmi_handlers = 64;

struct nmi_handler_statistics;

// One registration in the chain. Not movable: the chain refers to it.
class nmi_handler {
  public:
    constexpr nmi_handler() noexcept = default;
    nmi_handler(const nmi_handler&) = delete;
    nmi_handler& operator=(const nmi_handler&) = delete;
    // As remove, if added.
    ~nmi_handler();

    // Appends to the chain of `type`. Context: thread, outside any section; blocks for a grace
    // period if the chain changed a moment ago; does not allocate. The name is copied.
    nmi_error add(nmi_type type, const char* name, nmi_handler_t function, void* cookie) noexcept;

    // Replaces function and cookie; each later dispatch calls the new one, and when this returns,
    // nobody is inside the old one. Statistics go on. Context: thread, outside any section; blocks.
    nmi_error swap(nmi_handler_t function, void* cookie) noexcept;

    // Takes the handler out of the chain and waits until nobody is inside it. `last`, if not null,
    // receives its final statistics, and `cpu_handled` its claims on each of `cpus` CPUs.
    // Context: thread, outside any section; blocks.
    nmi_error remove(nmi_handler_statistics* last = nullptr, std::uint64_t* cpu_handled = nullptr,
                     unsigned cpus = 0) noexcept;

    [[nodiscard]] bool added() const noexcept { return id_ >= 0; }

  private:
    int id_ = -1;
};

// What has been observed of one handler. Sums over the CPUs are taken without stopping anyone:
// exact once the handler is idle.
struct nmi_handler_statistics {
    char name[nmi_name_bytes];
    nmi_type type;
    std::uint32_t generation;   // 1 + number of swaps
    std::uint64_t calls;        // times it was asked
    std::uint64_t handled;      // times it claimed the interrupt
    std::uint64_t timed_calls;  // of the calls, those whose duration was measured
    std::uint64_t total_ns;     // time in those
    std::uint64_t longest_ns;   // the longest of those
};

// Copies the statistics of up to `most` registered handlers, in order of registration; returns how
// many there are. `cpu_handled`, if not null, receives for handler h on CPU c the claims at
// [h * cpus + c]. Context: thread, outside any section; blocks on other registrations.
unsigned nmi_handlers(nmi_handler_statistics* out, unsigned most, std::uint64_t* cpu_handled,
                      unsigned cpus) noexcept;

// NMIs that nobody claimed, and signals handed on to their previous owner. Context: any.
[[nodiscard]] std::uint64_t nmi_unknown_count() noexcept;
[[nodiscard]] std::uint64_t nmi_forwarded_count() noexcept;

// One dispatch in `interval` has its handlers timed (1: all of them, exact maxima; 0: none).
// Reading the clock costs more than the rest of a dispatch, so the default is 16. Context: any.
void nmi_set_timing_interval(std::uint32_t interval) noexcept;

// Takes the interrupt: installs the permanent trampoline. Context: thread. Idempotent.
// Returns 0, or an errno value (Linux only).
int nmi_attach() noexcept;

// Raises an NMI on the calling thread (handled before it returns, unless the thread has the signal
// blocked), or on the thread `tid` of this process. Returns 0 or an errno value: ESRCH, no such
// thread; EAGAIN, too many signals pending. Context: any.
int nmi_raise_self() noexcept;
int nmi_raise(int tid) noexcept;

}  // namespace nmircu

#pragma GCC visibility pop
