// SPDX-License-Identifier: MIT
//
// glibc gives the kernel the address of each thread's list of robust mutexes, which lies in the
// thread's descriptor; get_robust_list(2) gives it back, and the record is in the static
// thread-local storage, at the same distance from the descriptor in every thread. The memory is
// read by process_vm_readv(2), which fails where a plain load would crash: the thread may end
// meanwhile.
//
// A record is believed if it names our domain. It is read word by word while its thread writes it;
// `describe` believes the handlers if the record was the same before and after.
#include "platform/linux/reader_memory.hpp"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <nmircu/platform/reader.hpp>

namespace nmircu::platform {

namespace {

std::size_t copy_foreign(void* to, const void* from, std::size_t bytes) noexcept {
    iovec local{to, bytes};
    iovec remote{const_cast<void*>(from), bytes};
    // A word each: an int leaves half of the last one, which the ABI passes in memory, undefined.
    const long copied = ::syscall(SYS_process_vm_readv, ::getpid(), &local, 1ul, &remote, 1ul, 0ul);
    return copied < 0 ? 0 : static_cast<std::size_t>(copied);
}

// 0, or errno; `thread` 0 is the caller.
int robust_list_of(std::uint32_t thread, char*& out) noexcept {
    std::size_t bytes = 0;
    out = nullptr;
    return ::syscall(SYS_get_robust_list, thread, &out, &bytes) == 0 ? 0 : errno;
}

bool is_record(const detail::reader_state& state) noexcept {
    return state.domain == &detail::default_domain;
}

bool same_place(const detail::reader_state& a, const detail::reader_state& b) noexcept {
    return a.section == b.section && a.entered_at == b.entered_at && a.handler == b.handler;
}

}  // namespace

// Byte by byte, so that what follows the text it is meant for need not be there.
std::size_t copy_own(void* to, const void* from, std::size_t bytes) noexcept {
    auto* const target = static_cast<char*>(to);
    const auto* const source = static_cast<const char*>(from);
    for (std::size_t i = 0; i < bytes; ++i)
        target[i] = source[i];
    return bytes;
}

void describe_reader(const detail::reader_state& state, copy_memory copy,
                     rcu_stalled_reader& out) noexcept {
    const bool inside = state.section >= detail::one_section;
    out.entered_at = inside ? state.entered_at : nullptr;
    out.nesting =
        inside ? static_cast<std::uint32_t>(state.section >> detail::nesting_shift) + 1 : 0;
    out.nmi_depth = state.nmi_depth;
    out.handlers = 0;
    const detail::running_handler* at = state.handler;
    for (unsigned depth = 0; at != nullptr && depth < rcu_most_stalled_handlers; ++depth) {
        detail::running_handler running;
        if (copy(&running, at, sizeof(running)) != sizeof(running)) return;
        at = running.outer;
        detail::named_code code;
        if (copy(&code, running.code, sizeof(code)) != sizeof(code)) return;
        rcu_stalled_handler& handler = out.handler[out.handlers];
        handler.function = code.function;
        std::size_t length = 0;
        while (code.name != nullptr && length + 1 < sizeof(handler.name) &&
               copy(&handler.name[length], code.name + length, 1) == 1 &&
               handler.name[length] != '\0') {
            ++length;
        }
        handler.name[length] = '\0';
        ++out.handlers;
    }
}

reader_memory::reader_memory() noexcept {
    const detail::reader_state& own = reader_state_of_this_thread;
    char* list = nullptr;
    if (robust_list_of(0, list) != 0 || list == nullptr) return;
    from_robust_list_ = reinterpret_cast<const char*>(&own) - list;
    detail::reader_state seen;
    usable_ = copy_foreign(&seen, &own, sizeof(seen)) == sizeof(seen) && is_record(seen);
}

look_result reader_memory::look(std::uint32_t thread, detail::reader_state& out) const noexcept {
    if (!usable_) return look_result::impossible;
    char* list = nullptr;
    const int error = robust_list_of(thread, list);
    if (error == ESRCH) return look_result::thread_gone;
    if (error != 0 || list == nullptr) return look_result::impossible;
    const bool copied = copy_foreign(&out, list + from_robust_list_, sizeof(out)) == sizeof(out);
    return copied && is_record(out) ? look_result::seen : look_result::impossible;
}

bool reader_memory::describe(std::uint32_t thread, const detail::reader_state& state,
                             rcu_stalled_reader& out) const noexcept {
    describe_reader(state, copy_foreign, out);
    detail::reader_state after;
    return look(thread, after) == look_result::seen && same_place(state, after);
}

}  // namespace nmircu::platform
