// SPDX-License-Identifier: MIT
//
// Reading slots; see answers.hpp. Every length is read once and checked before it is used.
#include <nmi/backtrace/answers.hpp>

#include <algorithm>

#include <modules/backtrace/layout.h>

namespace nmircu::command {

answers::answers(std::unique_ptr<handed_memory> memory) : memory_(std::move(memory)) {}

std::unique_ptr<answers> answers::open(const unique_fd& file, std::string& why) {
    std::unique_ptr<handed_memory> memory = handed_memory::open(file, backtrace_page_bytes, why);
    if (!memory) return nullptr;
    std::unique_ptr<answers> result(new answers(std::move(memory)));
    if (const char* wrong = result->read_header()) {
        why = wrong;
        return nullptr;
    }
    return result;
}

const char* answers::read_header() {
    const auto& header = *reinterpret_cast<const backtrace_header*>(memory_->data());
    slots_ = read_once(header.slots);
    slot_bytes_ = read_once(header.slot_bytes);
    stack_bytes_ = read_once(header.stack_bytes);
    if (read_once(header.version) != BACKTRACE_VERSION) return "its memory is of another version";
    if (slots_ == 0 || slots_ > backtrace_most_slots || slot_bytes_ % backtrace_page_bytes != 0 ||
        stack_bytes_ > backtrace_most_stack_bytes ||
        slot_bytes_ < sizeof(backtrace_slot) + stack_bytes_ ||
        std::uint64_t{slots_} * slot_bytes_ > memory_->bytes() - backtrace_page_bytes) {
        return "its memory is not laid out as it should be";
    }
    taken_.assign(slots_, false);
    return nullptr;
}

const backtrace_slot& answers::slot(std::uint32_t number) const {
    return *reinterpret_cast<const backtrace_slot*>(memory_->data() + backtrace_page_bytes +
                                                    std::uint64_t{number} * slot_bytes_);
}

std::uint32_t answers::missed() const {
    const auto& header = *reinterpret_cast<const backtrace_header*>(memory_->data());
    const std::uint32_t begun = read_once(header.taken);
    return begun > slots_ ? begun - slots_ : 0;
}

bool answers::copy(const backtrace_slot& from, thread_answer& to) const {
    const std::uint32_t addresses = read_once(from.address_count);
    const std::uint32_t registers = read_once(from.register_count);
    const std::uint32_t stack = read_once(from.stack_bytes);
    const std::uint64_t begin = read_once(from.begin_ns);
    const std::uint64_t end = read_once(from.end_ns);
    if (addresses == 0 || addresses > backtrace_most_addresses ||
        registers > backtrace_most_registers || stack > stack_bytes_ || end < begin) {
        return false;
    }
    to.thread_id = read_once(from.thread_id);
    to.cpu = read_once(from.cpu);
    to.held_ns = end - begin;
    to.addresses.assign(from.addresses, from.addresses + addresses);
    to.registers.assign(from.registers, from.registers + registers);
    to.stack_pointer = read_once(from.stack_pointer);
    const auto* const bytes = reinterpret_cast<const std::byte*>(&from + 1);
    to.stack.assign(bytes, bytes + stack);
    return true;
}

std::vector<thread_answer> answers::take() {
    const auto& header = *reinterpret_cast<const backtrace_header*>(memory_->data());
    const std::uint32_t begun = std::min(read_once(header.taken), slots_);
    std::vector<thread_answer> found;
    for (std::uint32_t i = 0; i < begun; ++i) {
        if (taken_[i] || !backtrace_is_complete(&slot(i))) continue;
        taken_[i] = true;
        thread_answer one;
        if (copy(slot(i), one)) {
            found.push_back(std::move(one));
        } else {
            ++malformed_;
        }
    }
    return found;
}

}  // namespace nmircu::command
