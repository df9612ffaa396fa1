/* SPDX-License-Identifier: MIT
 *
 * The kernel's own names, for C and C++: code written like the kernel's document on RCU and NMI
 * handlers compiles unchanged, and runs with signals for NMIs.
 *
 * Smallest complete use; examples/nmi_rcu has all of it:
 *
 *     static int dummy_nmi_callback(struct pt_regs *regs, int cpu) { return 0; }
 *     static nmi_callback_t nmi_callback = dummy_nmi_callback;
 *
 *     void do_nmi(struct pt_regs *regs, long error_code)
 *     {
 *         int cpu;
 *
 *         nmi_enter();
 *         cpu = smp_processor_id();
 *         ++nmi_count(cpu);
 *         if (!rcu_dereference_sched(nmi_callback)(regs, cpu))
 *             default_do_nmi(regs);
 *         nmi_exit();
 *     }
 *
 *     nmi_set_entry(do_nmi);                                behind the NMI vector
 *     rcu_assign_pointer(nmi_callback, my_callback);
 *     nmi_raise_self();                                     or nmi_raise(tid)
 *     rcu_assign_pointer(nmi_callback, dummy_nmi_callback);
 *     synchronize_rcu();
 *     kfree(my_nmi_data);
 *
 * The program defines dummy_nmi_callback, nmi_callback, do_nmi, set_nmi_callback and
 * unset_nmi_callback by itself; ours are in nmi.h and, for C++, in nmi.hpp, namespace nmircu. In C
 * every name here is a macro or an inline function: what the library exports is called nmircu_*.
 * C needs C11 and the GNU extensions that GCC and clang share; C++ needs C++20, and may include any
 * header of ours in the same file, but not `using namespace nmircu` in a file with its own do_nmi.
 *
 * There is one kind of RCU, as in the kernel since 4.20: an NMI handler, rcu_read_lock and what
 * *_sched names are readers of the same domain, and synchronize_sched is synchronize_rcu. Contexts
 * are those of rcu.hpp and nmi.hpp, under similar names.
 *
 * Cost: rcu_read_lock and rcu_read_unlock are a call each in C, and inlined in C++.
 */
#ifndef NMIRCU_KERNEL_API_H
#define NMIRCU_KERNEL_API_H

#include <stddef.h>
#include <stdint.h>

#include <nmircu/arch/dependent_load.h>
#include <nmircu/detail/nmi_c.h>

#ifdef __cplusplus
#include <atomic>
#include <type_traits>

#include <nmircu/nmi.hpp>

using nmircu::default_do_nmi;
using nmircu::frame_pointer;
using nmircu::in_nmi;
using nmircu::instruction_pointer;
using nmircu::nmi_attach;
using nmircu::nmi_callback_t;
using nmircu::nmi_enter;
using nmircu::nmi_entry_t;
using nmircu::nmi_exit;
using nmircu::nmi_forwarded_count;
using nmircu::nmi_raise;
using nmircu::nmi_raise_self;
using nmircu::nmi_set_entry;
using nmircu::nmi_set_longest_allowed;
using nmircu::nmi_set_timing_interval;
using nmircu::nmi_swallowed_count;
using nmircu::nmi_unknown_count;
using nmircu::rcu_assign_pointer;
using nmircu::rcu_barrier;
using nmircu::rcu_dereference;
using nmircu::rcu_head;
using nmircu::smp_processor_id;
using nmircu::user_stack_pointer;
#else
/* Lives in an object that call_rcu or kfree_rcu will free. Its contents are the library's. */
struct rcu_head {
    struct rcu_head* next;
    void (*func)(struct rcu_head* head);
};
#endif

#pragma GCC visibility push(default)

typedef void (*rcu_callback_t)(struct rcu_head* head);
typedef unsigned gfp_t;

#ifdef __cplusplus
extern "C" {
#endif
void nmircu_rcu_read_lock(void);
void nmircu_rcu_read_unlock(void);
void nmircu_call_rcu(struct rcu_head* head, rcu_callback_t function);
void nmircu_rcu_barrier(void);
void* nmircu_kmalloc(size_t bytes, gfp_t flags) __attribute__((malloc, alloc_size(1)));
void* nmircu_kzalloc(size_t bytes, gfp_t flags) __attribute__((malloc, alloc_size(1)));
void nmircu_kfree(const void* object);
void nmircu_kfree_rcu(void* object, size_t head_offset);
void nmircu_kfree_rcu_waiting(void* object);
uint64_t* nmircu_nmi_count_word(int cpu);
/* For race checkers that take atomic accesses for plain ones; does nothing without one. */
void nmircu_before_publication(const void* pointer, uintptr_t value);
#ifdef __cplusplus
}
#endif

/* ---- Pointers -------------------------------------------------------------------------------- */

#if defined(__SANITIZE_THREAD__)
#define NMIRCU_UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NMIRCU_UNDER_THREAD_SANITIZER 1
#endif
#endif
#ifndef NMIRCU_UNDER_THREAD_SANITIZER
#define NMIRCU_UNDER_THREAD_SANITIZER 0
#endif

/* A pointer of any type, as the two functions below see it. */
typedef uintptr_t __attribute__((may_alias)) nmircu_pointer_word;

__attribute__((always_inline)) static inline void nmircu_publish(void* pointer, uintptr_t value) {
    /* [PUB-5] release: the pointee's initialisation precedes the pointer.
     * Partner: the dependent load at [PUB-6]. Weakened: a handler runs with its data
     * uninitialised. */
    __atomic_store_n((nmircu_pointer_word*)pointer, value, __ATOMIC_RELEASE);
}

__attribute__((always_inline)) static inline uintptr_t nmircu_follow(const void* pointer) {
    /* [PUB-6] The address dependency orders the pointee's loads after this one on every CPU but
     * Alpha; the empty asm keeps the compiler from guessing the value. Acquire under
     * ThreadSanitizer, which does not know dependencies. As [PUB-2], for plain pointers.
     * Partner: the release at [PUB-5]. Weakened: the new pointer, the old contents behind it. */
    uintptr_t value =
        __atomic_load_n((const nmircu_pointer_word*)pointer,
                        NMIRCU_UNDER_THREAD_SANITIZER ? __ATOMIC_ACQUIRE : __ATOMIC_RELAXED);
    __asm__ volatile("" : "+r"(value));
    nmircu_dependent_load_barrier();
    return value;
}

/* rcu_assign_pointer(p, value): publishes `value` in the plain pointer p; it may be null, and
 * whatever was written before is visible to who follows p.
 * rcu_dereference(p): the value of p, which is a pointer to data or to a function, to be used
 * inside a section or a handler. One load; on Alpha a barrier after it.
 * Context: thread, signal, irq, nmi. `p` is evaluated once. */
#ifdef __cplusplus
template <class T>
inline void rcu_assign_pointer(T*& pointer, std::type_identity_t<T*> value) noexcept {
    const auto word = reinterpret_cast<uintptr_t>(value);
    if (nmircu::detail::publications_are_watched()) [[unlikely]]
        nmircu_before_publication(&pointer, word);
    nmircu_publish(&pointer, word);
}
template <class T>
[[nodiscard, gnu::always_inline]] inline T* rcu_dereference(T* const& pointer) noexcept {
    return reinterpret_cast<T*>(nmircu_follow(&pointer));
}
template <class T>
[[nodiscard, gnu::always_inline]] inline T* rcu_dereference_sched(T* const& pointer) noexcept {
    return rcu_dereference(pointer);
}
#else
static inline void nmircu_assign(void* pointer, uintptr_t value) {
    nmircu_before_publication(pointer, value);
    nmircu_publish(pointer, value);
}
/* ?: makes the compiler compare the types, and drops the const of a member of a const object. */
#define rcu_assign_pointer(p, value) nmircu_assign(&(p), (uintptr_t)(1 ? (value) : (p)))
#define rcu_dereference(p) ((__typeof__(1 ? (p) : (p)))nmircu_follow(&(p)))
#define rcu_dereference_sched(p) rcu_dereference(p)
#endif

/* ---- Sections, grace periods, callbacks ------------------------------------------------------ */

/* rcu_read_lock, rcu_read_unlock: enter and leave a section; they nest.
 *   Context: thread, signal, irq, nmi. Never block, never allocate.
 * synchronize_rcu, synchronize_sched: wait until every section and handler that was entered before
 *   has been left. Context: thread, outside any section; inside one, the program is stopped with a
 *   message.
 * call_rcu: has function(head) called after a grace period, on the library's reclaimer thread (or
 *   on one that calls rcu_barrier), outside any section; it may block, but not call rcu_barrier.
 *   Context: any, a handler included; see rcu_retire.hpp. Does not allocate. The head is the
 *   library's until then. Neither argument may be null.
 * rcu_barrier: waits for the callbacks of every earlier call_rcu and kfree_rcu. Context: as
 *   synchronize_rcu, and outside callbacks. */
#ifdef __cplusplus
[[gnu::always_inline]] inline void rcu_read_lock() noexcept {
    nmircu::detail::enter_section();
}
[[gnu::always_inline]] inline void rcu_read_unlock() noexcept {
    nmircu::detail::exit_section();
}
inline void synchronize_rcu() noexcept {
    nmircu::rcu_synchronize();
}
inline void synchronize_sched() noexcept {
    nmircu::rcu_synchronize();
}
inline void call_rcu(rcu_head* head, rcu_callback_t function) noexcept {
    nmircu::rcu_call(*head, function);
}
#else
static inline void rcu_read_lock(void) {
    nmircu_rcu_read_lock();
}
static inline void rcu_read_unlock(void) {
    nmircu_rcu_read_unlock();
}
static inline void synchronize_rcu(void) {
    nmircu_synchronize_rcu();
}
static inline void synchronize_sched(void) {
    nmircu_synchronize_rcu();
}
static inline void call_rcu(struct rcu_head* head, rcu_callback_t function) {
    nmircu_call_rcu(head, function);
}
static inline void rcu_barrier(void) {
    nmircu_rcu_barrier();
}
#endif

/* ---- Memory ---------------------------------------------------------------------------------- */

#define GFP_KERNEL ((gfp_t)0)
#define GFP_ATOMIC ((gfp_t)1)

/* Memory from malloc. Null if there is none; kfree(NULL) does nothing. The flags change nothing: on
 * Linux there is no allocator that an interrupt could use, so GFP_ATOMIC too is for threads only.
 * Context: thread. Inside an NMI: stops the program with a message. */
__attribute__((malloc, alloc_size(1))) static inline void* kmalloc(size_t bytes, gfp_t flags) {
    return nmircu_kmalloc(bytes, flags);
}
/* The same, zeroed. */
__attribute__((malloc, alloc_size(1))) static inline void* kzalloc(size_t bytes, gfp_t flags) {
    return nmircu_kzalloc(bytes, flags);
}
static inline void kfree(const void* object) {
    nmircu_kfree(object);
}

/* kfree_rcu(pointer, member): frees a kmalloc'ed object after a grace period; `member` is its
 *   struct rcu_head, less than 4,096 bytes from its start and aligned as a pointer is, which the
 *   compiler checks. Context: any, as call_rcu: also a handler.
 * kfree_rcu(pointer): for objects without one: waits for the grace period, then frees. Context: as
 *   synchronize_rcu.
 * The pointer is evaluated once, and may be null. */
#define NMIRCU_KFREE_RCU_LIMIT 4096
#define kfree_rcu(...) \
    NMIRCU_KFREE_RCU_OF(__VA_ARGS__, NMIRCU_KFREE_RCU_2, NMIRCU_KFREE_RCU_1, none)(__VA_ARGS__)
#define NMIRCU_KFREE_RCU_OF(pointer, member, macro, ...) macro
#define NMIRCU_KFREE_RCU_1(pointer) nmircu_kfree_rcu_waiting(pointer)
#define NMIRCU_KFREE_RCU_2(pointer, member) \
    nmircu_kfree_rcu((pointer), NMIRCU_HEAD_OFFSET(NMIRCU_POINTEE(pointer), member))
#ifdef __cplusplus
#define NMIRCU_POINTEE(pointer) std::remove_reference_t<decltype(*(pointer))>
#else
#define NMIRCU_POINTEE(pointer) __typeof__(*(pointer))
#endif
/* The offset; an array of negative size, and so an error, where it is too large. */
#define NMIRCU_HEAD_OFFSET(type, member)                                                          \
    (offsetof(type, member) + 0 * sizeof(char[offsetof(type, member) < NMIRCU_KFREE_RCU_LIMIT &&  \
                                                      offsetof(type, member) % sizeof(void*) == 0 \
                                                  ? 1                                             \
                                                  : -1]))

/* The object that `pointer`, to its `member`, is part of: what a callback of call_rcu begins with.
 */
#ifndef container_of
#define container_of(pointer, type, member) \
    ((type*)(void*)((char*)(pointer)-offsetof(type, member)))
#endif

/* ---- Counting NMIs --------------------------------------------------------------------------- */

/* nmi_count(cpu): the NMIs taken on a CPU, as an lvalue: ++ and += are atomic, so none is lost
 *   wherever the thread that counts has moved. From the first nmi_set_entry on it is the whole
 *   count, also of NMIs taken before and of those that our own do_nmi takes; before it, what the
 *   program itself has added. nmircu_nmi_count(cpu) is the whole count at any time.
 * add_pda(__nmi_count, n): adds n to the count of the running CPU, as x86-64 did until 2009.
 * Context: any. A CPU that does not exist has a count that nobody uses. */
#ifdef __cplusplus
[[nodiscard]] inline std::atomic<uint64_t>& nmi_count(int cpu) noexcept {
    return reinterpret_cast<std::atomic<uint64_t>&>(*nmircu_nmi_count_word(cpu));
}
#else
#define nmi_count(cpu) (*(_Atomic uint64_t*)nmircu_nmi_count_word(cpu))
#endif
#define add_pda(field, n) ((void)(NMIRCU_PDA_##field += (n)))
#define NMIRCU_PDA___nmi_count nmi_count(smp_processor_id())

/* ---- What a program has no use for ----------------------------------------------------------- */

/* Arguments in registers, on i386. */
#define fastcall

/* Linking is the linker's business here; the symbol has to be one. */
#ifdef __cplusplus
#define EXPORT_SYMBOL(symbol) static_assert(sizeof(&(symbol)) != 0, "a symbol")
#else
#define EXPORT_SYMBOL(symbol) _Static_assert(sizeof(&(symbol)) != 0, "a symbol")
#endif
#define EXPORT_SYMBOL_GPL(symbol) EXPORT_SYMBOL(symbol)

#pragma GCC visibility pop

#endif
