// SPDX-License-Identifier: MIT
//
// An alarm with names, as text or as a line of JSON.
#pragma once

#include <string>

#include <nmi/profile/memory_map.hpp>
#include <nmi/symbols/symbolizer.hpp>
#include <nmi/watch/alarms.hpp>

namespace nmircu::command {

const char* name_of(stall_rule rule);

// Names code as it is mapped when an alarm is to be told.
class alarm_teller {
  public:
    explicit alarm_teller(int pid) : map_(pid) {}

    // A line and the stack below it.
    std::string text(const stall_alarm& alarm);
    std::string json(const stall_alarm& alarm);

  private:
    std::vector<function_name> frames_of(const stall_alarm& alarm);

    memory_map map_;
};

}  // namespace nmircu::command
