// SPDX-License-Identifier: MIT
//
// Whose init is running; see module_resources.hpp.
#include <agent/module_resources.hpp>

namespace nmircu::agent {
namespace {

// Of this thread: null on every other one, so that a module cannot ask from elsewhere.
thread_local constinit resource_offer* current = nullptr;

}  // namespace

resource_offer::resource_offer(module_resources& to, const on_control& run, create_function create)
    : to_(to), run_(run), create_(create) {
    current = this;
}

resource_offer::~resource_offer() {
    current = nullptr;
}

void* resource_offer::memory(std::uint64_t bytes) noexcept {
    if (current == nullptr) return nullptr;
    void* result = nullptr;
    shared_memory& own = current->to_.memory;
    current->run_([&] { result = own.create(bytes); });
    return result;
}

int resource_offer::start_periodic(const nmi_periodic* what) noexcept {
    return current == nullptr ? -1 : current->to_.ticks.start(*what, current->create_);
}

}  // namespace nmircu::agent
