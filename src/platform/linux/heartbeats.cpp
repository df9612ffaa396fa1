// SPDX-License-Identifier: MIT
//
// The table of heartbeats (nmircu/watchdog.h), and what a watchdog finds of it. The watchdog is
// a module of an agent's, with a core of its own, and comes to this one through one exported
// function.
//
//   variable     written by                           read by
//   used         who begins or ends a heartbeat       the same, watchdog   [WD-1] with [WD-2],
//   [WD-3] thread_id    the same, and who moves it           watchdog             relaxed: a number
//   name         who begins it                        watchdog             used
//   beat         anybody; the watchdog                the same             relaxed
#include <nmircu/watchdog.h>

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/linux/irq_vector.hpp"

namespace {

enum : std::uint32_t { unused, changing, in_use };

constexpr std::uint32_t heartbeats = 512;
constinit nmircu_heartbeat table[heartbeats]{};
// Of those for whom there is no room.
constinit nmircu_heartbeat nobodys{};

__thread nmircu_heartbeat* own __attribute__((tls_model("initial-exec")));

std::uint32_t current_thread() {
    return static_cast<std::uint32_t>(::syscall(SYS_gettid));
}

bool claim(nmircu_heartbeat& slot) {
    std::uint32_t expected = unused;
    // [WD-1] acquire: who had it has let go of it. Partner: the release at [WD-2].
    // Weakened: a name is overwritten by its former owner.
    return __atomic_compare_exchange_n(&slot.used, &expected, changing, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

void publish(nmircu_heartbeat& slot) {
    // [WD-3] release: name and thread precede the word that shows them.
    // Partner: the acquire at [WD-4], modules/watchdog/heartbeats.c. Weakened: an alarm names
    // another loop.
    __atomic_store_n(&slot.used, in_use, __ATOMIC_RELEASE);
}

void set_thread(nmircu_heartbeat& slot) {
    __atomic_store_n(&slot.thread_id, current_thread(), __ATOMIC_RELAXED);  // see the top
}

pthread_key_t at_thread_exit;
pthread_once_t once = PTHREAD_ONCE_INIT;
bool has_key = false;

void end_own(void* beat) {
    own = nullptr;
    nmircu_heartbeat_end(static_cast<nmircu_heartbeat*>(beat));
}
void make_key() {
    has_key = pthread_key_create(&at_thread_exit, end_own) == 0;
}

// Without a key nobody would end it with its thread.
nmircu_heartbeat* begin_own() {
    const int saved_errno = errno;
    pthread_once(&once, make_key);
    nmircu_heartbeat* beat = has_key ? nmircu_heartbeat_begin("") : &nobodys;
    if (beat != &nobodys && pthread_setspecific(at_thread_exit, beat) != 0) {
        nmircu_heartbeat_end(beat);
        beat = &nobodys;
    }
    own = beat;
    errno = saved_errno;
    return beat;
}

int mark_region(nmircu_mask_words* words) {
    return nmircu::platform::mark_masked_region(words->depth, words->regions_ended) ? 1 : 0;
}

constexpr nmircu_watchdog_parts view{.version = 1,
                                     .bytes = sizeof(nmircu_watchdog_parts),
                                     .heartbeats = table,
                                     .heartbeat_count = heartbeats,
                                     .heartbeat_bytes = sizeof(nmircu_heartbeat),
                                     .mark_region = mark_region};

}  // namespace

nmircu_heartbeat* nmircu_heartbeat_begin(const char* name) {
    for (nmircu_heartbeat& slot : table) {
        if (!claim(slot)) continue;
        set_thread(slot);
        std::strncpy(slot.name, name, sizeof slot.name - 1);
        slot.name[sizeof slot.name - 1] = '\0';
        nmircu_heartbeat_idle(&slot);
        publish(slot);
        return &slot;
    }
    return &nobodys;
}

void nmircu_heartbeat_end(nmircu_heartbeat* beat) {
    if (beat == &nobodys) return;
    // [WD-2] release: nothing of it is used any more. Partner: the acquire at [WD-1].
    // Weakened: as there.
    __atomic_store_n(&beat->used, unused, __ATOMIC_RELEASE);
}

void nmircu_heartbeat_move(nmircu_heartbeat* beat) {
    if (beat != &nobodys) set_thread(*beat);
}

void nmircu_touch_nmi_watchdog() {
    nmircu_heartbeat* beat = own;
    if (beat == nullptr) [[unlikely]]
        beat = begin_own();
    nmircu_heartbeat_touch(beat);
}

void nmircu_idle_nmi_watchdog() {
    nmircu_heartbeat* beat = own;
    if (beat == nullptr) [[unlikely]]
        beat = begin_own();
    nmircu_heartbeat_idle(beat);
}

const nmircu_watchdog_parts* nmircu_watchdog_view() {
    return &view;
}
