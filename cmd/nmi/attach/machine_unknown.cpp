// SPDX-License-Identifier: MIT
//
// Machines for which nobody has written it yet: `nmi attach` refuses, everything else works.
#include <nmi/attach/machine.hpp>

namespace nmircu::command::machine {

bool is_known() {
    return false;
}
bool read(int, state&) {
    return false;
}
bool write(int, const state&) {
    return false;
}
bool write_general(int, const std::vector<std::byte>&) {
    return false;
}
std::uint64_t instruction_pointer(const state&) {
    return 0;
}
std::uint64_t stack_pointer(const state&) {
    return 0;
}
std::uint64_t thread_pointer(const state&) {
    return 0;
}
bool is_native(const state&) {
    return false;
}
bool is_quiet_wait(long) {
    return false;
}
bool is_loud_wait(long) {
    return false;
}
bool is_in_system_call(const state&) {
    return false;
}
std::size_t frame_bytes(const state&) {
    return 0;
}
prepared_call prepare(const state&, const call&) {
    return {};
}
bool has_returned(const state&, const prepared_call&) {
    return false;
}
std::vector<std::byte> resting(const state&) {
    return {};
}
std::span<const unsigned char> trampoline_code() {
    return {};
}
std::uint64_t errno_offset_at(std::span<const unsigned char>, std::uint64_t) {
    return 0;
}

}  // namespace nmircu::command::machine
