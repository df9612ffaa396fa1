// SPDX-License-Identifier: MIT
//
// Reading alarms; see alarms.hpp. Every length is read once and checked before it is used.
#include <nmi/watch/alarms.hpp>

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <nmi/complaint.hpp>

#include <modules/watchdog/layout.h>

namespace nmircu::command {
namespace {

constexpr std::size_t least_bytes =
    watchdog_page_bytes + std::size_t{watchdog_slots} * watchdog_slot_bytes;
static_assert(sizeof(watchdog_alarm) <= watchdog_slot_bytes);

template <class Value>
Value read_once(const Value& from) {
    return __atomic_load_n(&from, __ATOMIC_RELAXED);  // another process may be writing it
}

template <std::size_t Bytes>
std::string text_of(const char (&from)[Bytes]) {
    char copy[Bytes];
    std::memcpy(copy, from, Bytes);
    return one_line({copy, strnlen(copy, Bytes)});
}

}  // namespace

std::unique_ptr<alarms> alarms::open(const unique_fd& file, std::string& why) {
    struct stat found;
    const int seals = fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(file.get(), &found) != 0) {
        why = "what it sent is no memory file that keeps its size";
        return nullptr;
    }
    const auto bytes = static_cast<std::size_t>(found.st_size);
    if (bytes < least_bytes) {
        why = "its memory is too short";
        return nullptr;
    }
    void* const memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) {
        why = std::strerror(errno);
        return nullptr;
    }
    std::unique_ptr<alarms> result(
        new alarms(static_cast<const std::byte*>(memory), bytes, found.st_ino));
    if (read_once(static_cast<const watchdog_header*>(memory)->version) != WATCHDOG_VERSION) {
        why = "its memory is of another version";
        return nullptr;
    }
    return result;
}

alarms::~alarms() {
    munmap(const_cast<std::byte*>(memory_), bytes_);
}

bool alarms::copy(std::uint32_t number, stall_alarm& to) const {
    const auto& from = *reinterpret_cast<const watchdog_alarm*>(
        memory_ + watchdog_page_bytes +
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
        read_once(reinterpret_cast<const watchdog_header*>(memory_)->alarms);
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
