// SPDX-License-Identifier: MIT
//
// kfree_rcu(pointer, member): retiring an object that has nothing but an rcu_head somewhere in it.
// Any context.
//
// The head's two words are the engine's: the next one, and the function to call. The object cannot
// say where it begins either, because readers are still looking at it. So there is a function for
// every offset that a head may have; the kernel has a similar limit for a similar reason.
#include <array>
#include <cstdlib>
#include <utility>

#include <nmircu/kernel_api.h>
#include <nmircu/platform/port.hpp>

#include "platform/text.hpp"

namespace {

constexpr std::size_t step = sizeof(void*);
constexpr std::size_t offsets = NMIRCU_KFREE_RCU_LIMIT / step;

template <std::size_t Offset>
void free_object_around(rcu_head* head) {
    std::free(reinterpret_cast<char*>(head) - Offset);
}

constexpr auto free_by_offset = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<rcu_callback_t, offsets>{free_object_around<I * step>...};
}
(std::make_index_sequence<offsets>());

}  // namespace

void nmircu_kfree_rcu(void* object, size_t head_offset) {
    if (object == nullptr) return;
    if (head_offset >= NMIRCU_KFREE_RCU_LIMIT || head_offset % step != 0) {
        nmircu::platform::text_line line;
        line << "nmircu: kfree_rcu called at " << __builtin_return_address(0)
             << " for an rcu_head at offset " << std::uint64_t{head_offset}
             << "; it must be aligned and below " << std::uint64_t{NMIRCU_KFREE_RCU_LIMIT};
        nmircu::platform::port::panic(line.c_str());
    }
    auto* const head = reinterpret_cast<rcu_head*>(static_cast<char*>(object) + head_offset);
    nmircu::rcu_call(*head, free_by_offset[head_offset / step]);
}
