// SPDX-License-Identifier: MIT
//
// Heartbeats for C++; the manual is watchdog.h.
//
//     nmircu::heartbeat beat("requests");
//     for (;;) {
//         beat.idle();
//         take_request();
//         beat.touch();
//         serve();
//     }
#pragma once

#include <nmircu/watchdog.h>

namespace nmircu {

// A heartbeat of the thread that makes it.
class heartbeat {
  public:
    // Context: thread. As nmircu_heartbeat_begin.
    explicit heartbeat(const char* name) noexcept : beat_(nmircu_heartbeat_begin(name)) {}
    heartbeat(const heartbeat&) = delete;
    heartbeat& operator=(const heartbeat&) = delete;
    // Context: thread, any.
    ~heartbeat() { nmircu_heartbeat_end(beat_); }

    // Context of both: any.
    void touch() noexcept { nmircu_heartbeat_touch(beat_); }
    void idle() noexcept { nmircu_heartbeat_idle(beat_); }
    // It is the calling thread's now. Context: thread.
    void move_to_this_thread() noexcept { nmircu_heartbeat_move(beat_); }

  private:
    nmircu_heartbeat* beat_;
};

// The calling thread makes progress, or waits. Context: thread; after a thread's first call, any.
inline void touch_nmi_watchdog() noexcept {
    nmircu_touch_nmi_watchdog();
}
inline void idle_nmi_watchdog() noexcept {
    nmircu_idle_nmi_watchdog();
}

}  // namespace nmircu
