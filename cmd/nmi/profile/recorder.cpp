// SPDX-License-Identifier: MIT
//
// Samples into the call tree; see recorder.hpp.
#include <nmi/profile/recorder.hpp>

#include <nmircu/module.h>
#include <nmi/profile/sample.hpp>

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

void recorder::take(const ring::record& found) {
    if (found.kind != NMI_RECORD_SAMPLE) return;  // another module's record
    const std::optional<sample> taken = read_sample(found.payload);
    if (!taken) {
        ++malformed_;
        return;
    }
    if (taken->truncated) ++truncated_;
    places_.clear();
    for (const std::uint64_t address : taken->addresses) {
        const bool interrupted = places_.empty();
        // All but the first are return addresses: the call is the instruction before.
        const code_place place = place_of(interrupted ? address : address - 1);
        // Where no code is, nothing returns to: the walk has left the chain of frame pointers.
        if (!interrupted && place.object == code_place::no_object) break;
        places_.push_back(place);
    }
    calls_.add(threads_.index_of(taken->thread_id), places_);
}

void recorder::refresh() {
    if (frozen_) return;
    map_.refresh();
    threads_.refresh();
}

}  // namespace nmircu::command
