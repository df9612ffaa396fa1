// SPDX-License-Identifier: MIT
//
// Ourselves. Compiled twice: IN_LIBRARY is a shared library's exported functions for entering and
// leaving, as a language without our headers would call them; otherwise the reader is inlined.
#include <nmircu/rcu.hpp>
#include <nmircu/rcu_retire.hpp>

#include "peer.h"
#include "section_calls.h"

namespace {

constinit bench_box first{1};
constinit std::atomic<bench_box*> current{&first};

#ifdef CALLED
#define ENTER bench_enter_section()
#define LEAVE bench_leave_section()
#else
#define ENTER nmircu::rcu_default_domain().lock()
#define LEAVE nmircu::rcu_default_domain().unlock()
#endif
#define CURRENT nmircu::rcu_dereference(current)
#define PAUSE(left) static_cast<void>(0)

#include "loops.h"

void synchronize() {
    nmircu::rcu_synchronize();
}

void update() {
    bench_box* const old = current.load(std::memory_order_relaxed);  // the only updater
    nmircu::rcu_assign_pointer(current, new bench_box{old->value + 1});
    nmircu::rcu_synchronize();
    if (old != &first) delete old;
}

std::atomic<std::uint64_t> freed{0};

struct counted_delete {
    template <class T>
    void operator()(T* object) const {
        delete object;
        freed.fetch_add(1, std::memory_order_relaxed);  // a count for people
    }
};
struct retired : nmircu::rcu_obj_base<retired, counted_delete> {
    explicit retired(std::uint64_t given) : value(given) {}
    std::uint64_t value;
};
void retire(std::uint64_t count) {
    for (; count != 0; --count)
        (new retired(count))->retire();
}
std::uint64_t reclaimed() {
    return freed.load(std::memory_order_relaxed);  // a count for people
}
void barrier() {
    nmircu::rcu_barrier();
}

}  // namespace

#ifdef CALLED
const bench_peer bench_nmircu_call {
    .name = "nmircu, called in a library",
#else
const bench_peer bench_nmircu_inlined{
    .name = "nmircu, inlined",
#endif
    .enroll = nullptr, .resign = nullptr, .rest = nullptr, .resume = nullptr, .sections = sections,
    .nested = nested, .reads = reads, .worked = worked, .synchronize = synchronize,
    .update = update, .retire = retire, .reclaimed = reclaimed, .barrier = barrier,
};
