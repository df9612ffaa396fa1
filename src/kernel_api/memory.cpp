// SPDX-License-Identifier: MIT
//
// kmalloc and its like, on libc's allocator. Thread context: malloc's lock may be held by whatever
// an interrupt has interrupted.
#include <cstdlib>

#include <nmircu/kernel_api.h>

using nmircu::detail::require_no_handler;

void* nmircu_kmalloc(size_t bytes, gfp_t) {
    require_no_handler("kmalloc", __builtin_return_address(0));
    return std::malloc(bytes);
}

void* nmircu_kzalloc(size_t bytes, gfp_t) {
    require_no_handler("kzalloc", __builtin_return_address(0));
    return std::calloc(1, bytes);
}

void nmircu_kfree(const void* object) {
    require_no_handler("kfree (kfree_rcu(pointer, member) is for handlers)",
                       __builtin_return_address(0));
    std::free(const_cast<void*>(object));
}

void nmircu_kfree_rcu_waiting(void* object) {
    require_no_handler("kfree_rcu without a member", __builtin_return_address(0));
    nmircu_synchronize_rcu();
    std::free(object);
}
