// SPDX-License-Identifier: MIT
//
// Rows by address, kept; see frame_table.hpp.
#include <nmi/unwind/frame_table.hpp>

#include <algorithm>

namespace nmircu::command {

frame_table::frame_table(std::unique_ptr<elf_file> file) : file_(std::move(file)) {
    if (!file_) return;
    segments_ = file_->segments();
    entry_point_ = file_->header().e_entry;
    entries_ = read_frame_entries(*file_);
}

const frame_entry* frame_table::entry_at(std::uint64_t address) const {
    auto after = std::upper_bound(
        entries_.entries.begin(), entries_.entries.end(), address,
        [](std::uint64_t wanted, const frame_entry& entry) { return wanted < entry.begin; });
    // Entries do not overlap, but for damage and for what both sections describe.
    for (int tries = 0; tries < 4 && after != entries_.entries.begin(); ++tries) {
        --after;
        if (address < after->end) return &*after;
    }
    return nullptr;
}

const frame_row* frame_table::run(std::uint64_t address) {
    const auto after = rows_.upper_bound(address);
    if (after != rows_.begin() && address < std::prev(after)->second.end) {
        return &std::prev(after)->second;
    }
    const frame_entry* entry = entry_at(address);
    if (entry == nullptr) return nullptr;
    const std::optional<frame_row> row = row_at(entries_.common[entry->common], *entry, address);
    if (!row) return nullptr;
    if (rows_.size() >= most_rows) {
        rows_.clear();
        recent_.fill({});
    }
    return &rows_.insert_or_assign(row->begin, *row).first->second;
}

const frame_row* frame_table::find(std::uint64_t address) {
    recent& slot = recent_[(address ^ address >> 10) % recent_rows];
    if (slot.address == address) return slot.row;
    const frame_row* row = run(address);
    slot = {address, row};
    return row;
}

}  // namespace nmircu::command
