// SPDX-License-Identifier: MIT
//
// Thread names as told and from /proc; see thread_names.hpp.
#include <nmi/profile/thread_names.hpp>

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

namespace nmircu::command {

std::string thread_names::read_name(std::uint32_t thread_id) const {
    std::ifstream file(fmt::format("/proc/{}/task/{}/comm", pid_, thread_id));
    std::string name;
    std::getline(file, name);
    return name;
}

std::uint32_t thread_names::add(std::uint32_t thread_id) {
    const auto index = static_cast<std::uint32_t>(threads_.size());
    threads_.push_back({thread_id, fmt::format("tid {}", thread_id), false, false, false});
    by_id_[thread_id] = index;
    return index;
}

void thread_names::rename(thread& which, std::string_view name) {
    if (name.empty()) return;
    which.name = name;
    which.named = true;
}

std::uint32_t thread_names::index_of(std::uint32_t thread_id) {
    const auto found = by_id_.find(thread_id);
    if (found != by_id_.end() && !threads_[found->second].ended) return found->second;
    const std::string name = read_name(thread_id);
    // A late sample of a thread that has ended belongs to that thread, not to a new one.
    if (found != by_id_.end() && name.empty()) return found->second;
    const std::uint32_t index = add(thread_id);
    rename(threads_[index], name);
    return index;
}

void thread_names::told(std::uint32_t thread_id, std::string_view name, bool first) {
    const auto found = by_id_.find(thread_id);
    const bool is_new = found == by_id_.end() || (first && threads_[found->second].told_first);
    thread& which = threads_[is_new ? add(thread_id) : found->second];
    which.told_first |= first;
    rename(which, name);
}

void thread_names::refresh() {
    for (const auto& [id, index] : by_id_) {
        thread& which = threads_[index];
        if (which.ended) continue;
        const std::string name = read_name(id);
        which.ended = name.empty();
        rename(which, name);
    }
}

std::size_t thread_names::nameless() const {
    return static_cast<std::size_t>(
        std::count_if(threads_.begin(), threads_.end(), [](const thread& t) { return !t.named; }));
}

}  // namespace nmircu::command
