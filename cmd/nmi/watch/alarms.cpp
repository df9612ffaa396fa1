// SPDX-License-Identifier: MIT
//
// Reading alarms; see alarms.hpp. Every length is read once and checked before it is used.
#include <nmi/watch/alarms.hpp>

#include <algorithm>
#include <cstring>

#include <nmi/complaint.hpp>

#include <modules/watchdog/layout.h>

namespace nmircu::command {
namespace {

constexpr std::size_t least_bytes =
    watchdog_page_bytes + std::size_t{watchdog_slots} * watchdog_slot_bytes;
static_assert(sizeof(watchdog_alarm) <= watchdog_slot_bytes);

template <std::size_t Bytes>
std::string text_of(const char (&from)[Bytes]) {
    char copy[Bytes];
    std::memcpy(copy, from, Bytes);
    return one_line({copy, strnlen(copy, Bytes)});
}

}  // namespace

std::unique_ptr<alarms> alarms::open(const unique_fd& file, std::string& why) {
    std::unique_ptr<handed_memory> memory = handed_memory::open(file, least_bytes, why);
    if (!memory) return nullptr;
    const auto& header = *reinterpret_cast<const watchdog_header*>(memory->data());
    if (read_once(header.version) != WATCHDOG_VERSION) {
        why = "its memory is of another version";
        return nullptr;
    }
    return std::unique_ptr<alarms>(new alarms(std::move(memory)));
}

bool alarms::copy(std::uint32_t number, stall_alarm& to) const {
    const auto& from = *reinterpret_cast<const watchdog_alarm*>(
        memory_->data() + watchdog_page_bytes +
        std::size_t{(number - 1) % watchdog_slots} * watchdog_slot_bytes);
    if (watchdog_number(&from) != number) return false;
    const std::uint32_t addresses = read_once(from.address_count);
    const std::uint32_t rule = read_once(from.rule);
    if (addresses > watchdog_most_addresses) return false;
    switch (rule) {
        case WATCHDOG_HEARTBEAT:
            to.rule = stall_rule::heartbeat;
            break;
        case WATCHDOG_BUSY:
            to.rule = stall_rule::busy;
            break;
        case WATCHDOG_MASK:
            to.rule = stall_rule::mask;
            break;
        default:
            return false;
    }
    to.number = number;
    to.thread_id = read_once(from.thread_id);
    to.time_ns = read_once(from.time_ns);
    to.stalled_ns = read_once(from.stalled_ns);
    to.thread = text_of(from.thread);
    to.heartbeat = text_of(from.heartbeat);
    to.addresses.assign(from.addresses, from.addresses + addresses);
    return watchdog_number_again(&from) == number;
}

std::vector<stall_alarm> alarms::take() {
    const std::uint32_t count =
        read_once(reinterpret_cast<const watchdog_header*>(memory_->data())->alarms);
    std::vector<stall_alarm> found;
    if (count <= taken_) return found;
    if (count - taken_ > watchdog_slots) {
        lost_ += count - taken_ - watchdog_slots;
        taken_ = count - watchdog_slots;
    }
    while (taken_ != count) {
        stall_alarm one;
        if (copy(++taken_, one)) {
            found.push_back(std::move(one));
        } else {
            ++lost_;
        }
    }
    return found;
}

}  // namespace nmircu::command
