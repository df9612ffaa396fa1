// SPDX-License-Identifier: MIT
//
// Dynamic handlers of maskable interrupts, after the kernel's: request a line, share it, free it,
// disable it; and mask all of them on the calling thread for about a nanosecond.
//
// Purpose. What nmi.hpp is for interrupts that nobody may defer, this is for those that everybody
// may. On Linux a line is a signal; on bare metal, a vector other than 2. A handler that has been
// freed is neither running nor will it run: its code may be unloaded.
//
// Smallest complete use:
//
//     int count_hits(void* cookie, pt_regs*, int) {                // irq context
//         static_cast<std::atomic<long>*>(cookie)->fetch_add(1, std::memory_order_relaxed);
//         return nmircu::irq_handled;
//     }
//
//     std::atomic<long> hits{0};
//     if (nmircu::request_irq(SIGUSR1, count_hits, nmircu::irq_handler_flags::none, "hits", &hits)
//         != nmircu::irq_error::none) ...
//     const nmircu::irq_flags flags = nmircu::local_irq_save();
//     raise(SIGUSR1);                              // waits
//     nmircu::local_irq_restore(flags);            // has been handled
//     nmircu::free_irq(SIGUSR1, &hits);            // nobody is inside count_hits any more
//
// Guarantees. A handler runs with IRQs masked on its thread, and NMIs open; errno is kept. Nothing
// that arrives while a thread has IRQs masked is lost, or reordered beyond what POSIX says: signals
// from SIGRTMIN on queue and come in the order in which they were sent, each with its own
// information; others merge, those for the thread into one and those for the process into another,
// each with the information of the first. How: docs/design/soft-mask.md.
//
// Misuse. Whatever here waits for handlers would wait for ever inside one, or inside a read-side
// section: it stops the program with a message that names both ends.
//
// Limits. At most 64 handlers on all lines together. A masked region
//   - ends on the thread it began on, before that thread does: what it still keeps back is lost
//   with
//     it. longjmp and exceptions past local_irq_restore leave the thread masked (irq_guard does
//     not);
//   - does not change the blocking of lines with pthread_sigmask: while something is kept back the
//     lines are blocked, and a mask read inside must not be set outside. A line that is blocked
//     inside is open afterwards, if it was open before;
//   - creates no thread and executes no program, which would inherit those blocked lines. fork() is
//     fine: the child goes on in the region, and what was kept back stays the parent's.
// A signal for the whole process goes to a thread that does not block it, masked or not, and waits
// for that one. A system call in a masked region can return early for a signal that waits.
// A line is borrowed: when its last user has freed it, the signal has the action it had before, and
// what is still on its way, kept back in a masked region too, is treated by that action; behind
// what was sent later, if it queues. The default action of most signals ends the program: stop what
// raises them first.
//
// Cost: docs/figures.md.
//
// Sources. Linux: include/linux/interrupt.h, include/linux/irqflags.h, kernel/irq/manage.c.
// Signals: POSIX.1-2017, volume XSH, section 2.4.
#pragma once

#include <cstdint>
#include <type_traits>

#include <nmircu/detail/cookie.hpp>
#include <nmircu/handler_statistics.hpp>
#include <nmircu/nmi.hpp>
#include <nmircu/platform/irq_mask.hpp>

#pragma GCC visibility push(default)

namespace nmircu {

inline constexpr int irq_none = 0;  // not from the handler's device
inline constexpr int irq_handled = 1;

// Returns irq_none or irq_handled. Irq context: it must not lock, allocate, use stdio or lazily
// allocated thread-local storage, block, or loop unbounded. It may call anything whose context
// includes irq.
using irq_handler_t = int (*)(void* cookie, pt_regs* regs, int line);

// What came with the interrupt: on Linux its `const siginfo_t*`, valid while the handler runs; on
// bare metal null. Context: irq, nmi.
[[nodiscard]] const void* irq_information(const pt_regs* regs) noexcept;

// shared: others may request the line too, if they say the same.
enum class irq_handler_flags : std::uint8_t { none = 0, shared = 1 };

enum class [[nodiscard]] irq_error : std::uint8_t{
    none,
    null_handler,       // the handler is null
    no_such_line,       // not in 1..64
    unstoppable_line,   // SIGKILL, SIGSTOP
    fault_line,         // SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS
    line_of_libc,       // 32 and 33, glibc's own
    line_of_nmis,       // the signal of nmi_raise and of timers
    bad_flags,          // not one of irq_handler_flags
    null_cookie,        // shared, and no cookie
    bad_name,           // null, empty, or longer than handler_name_bytes - 1
    name_taken,         // another handler, of any line, has that name
    line_busy,          // somebody has the line, and not both share it
    cookie_taken,       // another user of the line has that cookie
    too_many,           // 64 handlers are registered
    not_attached,       // the system refused the line
    already_requested,  // this object holds a registration
    not_requested,      // nobody has that line, or not with that cookie
    not_disabled,       // enabled once more than disabled
    too_deep,           // disabled 65,535 times
    masked,             // the calling thread has IRQs masked
    own_handler,        // called by the very handler that it would wait for
};
// One sentence for people. Context: any.
[[nodiscard]] const char* describe(irq_error error) noexcept;

// Whether a line can be requested at all: none, or which rule forbids it. Context: any.
irq_error irq_line_error(int line) noexcept;

// Registers a handler for `line`. The name is copied. Unless the line is shared, `cookie` may be
// null. A line's first user finds it enabled. After an error nothing has changed.
// Errors: null_handler, the six of a line, bad_flags, null_cookie, bad_name, name_taken, line_busy,
// cookie_taken, too_many, not_attached.
// Context: thread, outside any section; blocks for grace periods; does not allocate.
irq_error request_irq(int line, irq_handler_t handler, irq_handler_flags flags, const char* name,
                      void* cookie) noexcept;

// Takes that user's handler off the line; when it returns, nobody is inside and nobody will be.
// After the last user the line is enabled, what it remembered while disabled is dropped (and
// counted), and the signal's action is again what it was before the first user: the default one, to
// ignore it, or a handler with its flags and mask. If the program has set an action of its own
// meanwhile, that one stays.
// Errors: those of a line, not_requested, own_handler. Context: thread, outside any section;
// blocks.
irq_error free_irq(int line, void* cookie) noexcept;

// When it returns, everybody who was inside a handler of the line has left it.
// Errors: those of a line. Context: thread, outside any section; blocks.
irq_error synchronize_irq(int line) noexcept;

// Keeps the line's interrupts from its handlers, on all threads, until enable_irq has been called
// as often; when it returns, nobody is inside them. What arrives meanwhile is remembered: of a line
// whose arrivals merge, the first; of one whose arrivals queue, the first 128, and the others are
// dropped and counted.
// Errors: those of a line, not_requested, too_deep. Context: thread, outside any section; blocks.
irq_error disable_irq(int line) noexcept;
// The same without waiting. Context: thread, signal, irq, nmi, and the line's handlers themselves.
irq_error disable_irq_nosync(int line) noexcept;

// Undoes one disable_irq. The last one calls the handlers, on the calling thread, for all that was
// remembered, oldest first; what arrives until then lines up behind.
// Errors: those of a line, not_requested, not_disabled, masked.
// Context: thread, outside any section and outside masked regions; blocks on other updates.
irq_error enable_irq(int line) noexcept;

// What local_irq_save found.
enum class irq_flags : std::uintptr_t {};

// Masks all IRQs on the calling thread, and puts back what was before; pairs nest. When the
// outermost pair ends, what has arrived is handled before local_irq_restore returns, on this
// thread, errno kept. NMIs are not masked. Context: any; neither blocks, neither allocates.
[[nodiscard, gnu::always_inline]] inline irq_flags local_irq_save() noexcept {
    return irq_flags{platform::mask_irqs()};
}
[[gnu::always_inline]] inline void local_irq_restore(irq_flags flags) noexcept {
    platform::unmask_irqs(static_cast<std::uint32_t>(flags));
}

// A masked region that ends with its scope.
class irq_guard {
  public:
    [[gnu::always_inline]] irq_guard() noexcept : flags_(local_irq_save()) {}
    [[gnu::always_inline]] ~irq_guard() { local_irq_restore(flags_); }
    irq_guard(const irq_guard&) = delete;
    irq_guard& operator=(const irq_guard&) = delete;

  private:
    irq_flags flags_;
};

// Whether IRQs are kept from the calling thread: in a masked region, in an IRQ handler, in an NMI.
// Context: any.
[[nodiscard]] bool irqs_disabled() noexcept;
// Whether the calling thread is inside an IRQ handler, perhaps with an NMI above it. Context: any.
[[nodiscard]] bool in_irq() noexcept;

struct irq_handler_statistics;

// One registration, which ends with the object. Not movable.
class irq_handler {
  public:
    constexpr irq_handler() noexcept = default;
    irq_handler(const irq_handler&) = delete;
    irq_handler& operator=(const irq_handler&) = delete;
    // As release, if requested.
    ~irq_handler();

    // As request_irq; also already_requested.
    irq_error request(int line, const char* name, irq_handler_t function, void* cookie,
                      irq_handler_flags flags = irq_handler_flags::none) noexcept;

    // The same for anything, a plain function too, that can be called as callable(regs, line), with
    // pt_regs& and int, and returns an int. It is called directly from the dispatcher's one
    // indirect call, and must live until the registration has ended.
    template <class Callable>
    requires std::is_invocable_r_v<int, Callable&, pt_regs&, int> irq_error
    request(int line, const char* name, Callable& callable,
            irq_handler_flags flags = irq_handler_flags::none)
    noexcept {
        return request(line, name, call_object<Callable>, detail::to_cookie(callable), flags);
    }

    // The same for a function Function(cookie, regs, line) that takes its cookie by reference.
    template <auto Function, class Cookie>
    requires std::is_invocable_r_v<int, decltype(Function), Cookie&, pt_regs&, int> irq_error
    request(int line, const char* name, Cookie& cookie,
            irq_handler_flags flags = irq_handler_flags::none)
    noexcept {
        return request(line, name, call_function<Function, Cookie>, detail::to_cookie(cookie),
                       flags);
    }

    // As free_irq, inside the handler itself too. `last`, if not null, receives the handler's final
    // statistics.
    irq_error release(irq_handler_statistics* last = nullptr) noexcept;

    [[nodiscard]] bool requested() const noexcept { return token_ != 0; }

  private:
    template <class Callable>
    static int call_object(void* callable, pt_regs* regs, int line) {
        return detail::from_cookie<Callable>(callable)(*regs, line);
    }
    template <auto Function, class Cookie>
    static int call_function(void* cookie, pt_regs* regs, int line) {
        return Function(detail::from_cookie<Cookie>(cookie), *regs, line);
    }

    std::uint64_t token_ = 0;
    int line_ = 0;
};

// What has been observed of one handler.
struct irq_handler_statistics : handler_statistics {
    int line;
};

// Copies the statistics of up to `most` registered handlers, in order of registration; returns how
// many there are. `cpu_handled`, if not null, receives for handler h on CPU c the claims at
// [h * cpus + c]. Context: thread, outside any section; blocks on other registrations.
unsigned irq_handlers(irq_handler_statistics* out, unsigned most, std::uint64_t* cpu_handled,
                      unsigned cpus) noexcept;

// What has been observed of one line since the program began. What arrived is taken, merged and
// dropped together, and what is remembered now.
struct irq_line_statistics {
    std::uint64_t taken;      // interrupts whose handlers were asked
    std::uint64_t unhandled;  // of those, claimed by nobody, and without a previous owner
    std::uint64_t forwarded;  // of those, claimed by nobody, and given to the previous owner
    std::uint64_t merged;     // while disabled: of a line that merges, after the first
    std::uint64_t dropped;    // for want of room, or of users
    unsigned users;           // handlers now
    unsigned disabled;        // how often disable_irq is ahead of enable_irq now
};
// Zeroes for a line that does not exist. Context: any.
[[nodiscard]] irq_line_statistics irq_read_line(int line) noexcept;

}  // namespace nmircu

#pragma GCC visibility pop
