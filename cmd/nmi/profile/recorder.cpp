// SPDX-License-Identifier: MIT
//
// Samples into the call tree; see recorder.hpp.
#include <nmi/profile/recorder.hpp>

#include <nmircu/module.h>

namespace nmircu::command {

code_place recorder::place_of(std::uint64_t address) {
    code_place place = map_.find(address);
    if (place.object == code_place::no_object && !looked_again_) {
        looked_again_ = true;
        map_.refresh();
        place = map_.find(address);
    }
    return place;
}

void recorder::add(const sample_head& head, std::span<const std::uint64_t> addresses) {
    places_.clear();
    for (const std::uint64_t address : addresses) {
        const bool interrupted = places_.empty();
        // All but the first are return addresses: the call is the instruction before.
        const code_place place = place_of(interrupted ? address : address - 1);
        // Where no code is, nothing returns to: the walk has left the chain of frame pointers.
        if (!interrupted && place.object == code_place::no_object) break;
        places_.push_back(place);
    }
    const std::uint32_t which = calls_.add(threads_.index_of(head.thread_id), places_, head.weight);
    repeats_.sampled(head.thread_id, head.time_ns, which);
    ++counts_.records;
    counts_.merged += head.weight - 1;
    if (head.off_cpu) counts_.off_cpu += head.weight;
    if (head.truncated) counts_.truncated += head.weight;
    if (head.unwound_badly) counts_.unwound_badly += head.weight;
}

void recorder::take_sample(const ring::record& found) {
    const std::optional<sample> taken = read_sample(found.payload);
    if (taken) {
        add(*taken, taken->addresses);
    } else {
        ++counts_.malformed;
    }
}

void recorder::take_stack(const ring::record& found) {
    const std::optional<stack_sample> taken = read_stack_sample(found.payload);
    if (!taken) {
        ++counts_.malformed;
        return;
    }
    sample_head head = *taken;
    unwinding how = unwinding::failed;
    addresses_.assign(1, taken->instruction());
    if (unwinder_ != nullptr) {
        place_of(taken->instruction());  // the map is to know it
        addresses_.clear();
        how = unwinder_->unwind(*taken, map_, addresses_);
        if (addresses_.empty()) addresses_.push_back(taken->instruction());
    }
    head.truncated = how == unwinding::cut;
    head.unwound_badly = how == unwinding::failed;
    add(head, addresses_);
}

void recorder::take_repeat(const ring::record& found) {
    const std::optional<repeat> taken = read_repeat(found.payload);
    if (!taken) {
        ++counts_.malformed;
        return;
    }
    repeats_.repeated(*taken);
}

void recorder::take_name(const ring::record& found) {
    const std::optional<told_name> taken = read_thread_name(found.payload);
    if (taken) {
        threads_.told(taken->thread_id, taken->name, taken->first);
    } else {
        ++counts_.malformed;
    }
}

void recorder::take(const ring::record& found) {
    switch (found.kind) {
        case NMI_RECORD_SAMPLE:
            return take_sample(found);
        case NMI_RECORD_REPEAT:
            return take_repeat(found);
        case NMI_RECORD_STACK:
            return take_stack(found);
        case NMI_RECORD_THREAD_NAME:
            return take_name(found);
        default:
            return;  // another module's record
    }
}

void recorder::count_again(const std::vector<repeats::settled>& settled) {
    for (const repeats::settled& one : settled) {
        calls_.add_again(one.which, one.count);
        counts_.repeated += one.count;
        if (one.off_cpu) counts_.off_cpu += one.count;
    }
}

void recorder::begin_round() {
    looked_again_ = frozen_;
    count_again(repeats_.begin_round());
}

void recorder::finish() {
    count_again(repeats_.finish());
}

void recorder::forget_calls() {
    calls_.reset();
}

void recorder::refresh() {
    if (frozen_) return;
    map_.refresh();
    threads_.refresh();
}

}  // namespace nmircu::command
