// SPDX-License-Identifier: MIT
//
// Thread names from /proc; see thread_names.hpp.
#include <nmi/profile/thread_names.hpp>

#include <fstream>

#include <fmt/format.h>

namespace nmircu::command {

std::string thread_names::read_name(std::uint32_t thread_id) const {
    std::ifstream file(fmt::format("/proc/{}/task/{}/comm", pid_, thread_id));
    std::string name;
    std::getline(file, name);
    return name;
}

std::uint32_t thread_names::index_of(std::uint32_t thread_id) {
    const auto found = by_id_.find(thread_id);
    if (found != by_id_.end() && !found->second.ended) return found->second.index;
    std::string name = read_name(thread_id);
    // A late sample of a thread that has ended belongs to that thread, not to a new one.
    if (found != by_id_.end() && name.empty()) return found->second.index;
    if (name.empty()) name = fmt::format("thread {}", thread_id);
    const auto index = static_cast<std::uint32_t>(names_.size());
    names_.push_back(std::move(name));
    by_id_[thread_id] = {index, false};
    return index;
}

void thread_names::refresh() {
    for (auto& [id, thread] : by_id_) {
        if (thread.ended) continue;
        std::string name = read_name(id);
        if (name.empty()) {
            thread.ended = true;
        } else {
            names_[thread.index] = std::move(name);
        }
    }
}

}  // namespace nmircu::command
