// SPDX-License-Identifier: MIT
//
// libdwfl on a live process; see unwinder.hpp.
#include <nmi/attach/unwinder.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include <elfutils/libdwfl.h>

#include <fmt/format.h>

namespace nmircu::command {
namespace {

constexpr std::size_t most_frames = 256;

// libdwfl hands its callbacks no argument of the caller's that is set before modules are found.
int unwound_pid = 0;

// Files as the process itself sees them, which may be in another mount namespace.
int find_file(Dwfl_Module* module, void** user, const char* name, Dwarf_Addr base,
              char** found_name, Elf** elf) {
    if (name[0] != '/') return dwfl_linux_proc_find_elf(module, user, name, base, found_name, elf);
    const std::string path = fmt::format("/proc/{}/root{}", unwound_pid, name);
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) *found_name = strdup(path.c_str());
    return file;
}

int find_no_debug_file(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*,
                       GElf_Word, char**) {
    return -1;
}

constexpr Dwfl_Callbacks callbacks{find_file, find_no_debug_file, nullptr, nullptr};

struct walk {
    Dwfl* dwfl;
    thread_stack stack;
};

int take_frame(Dwfl_Frame* frame, void* argument) {
    walk& seen = *static_cast<walk*>(argument);
    Dwarf_Addr pc = 0;
    bool interrupted = false;
    if (!dwfl_frame_pc(frame, &pc, &interrupted)) return DWARF_CB_ABORT;
    // A return address may lie behind the end of the function that called.
    if (!interrupted) --pc;
    stack_frame next{{}, {}, interrupted};
    if (Dwfl_Module* const module = dwfl_addrmodule(seen.dwfl, pc)) {
        if (const char* object = dwfl_module_info(module, nullptr, nullptr, nullptr, nullptr,
                                                  nullptr, nullptr, nullptr)) {
            next.object = object;
        }
        if (const char* function = dwfl_module_addrname(module, pc)) next.function = function;
    }
    seen.stack.frames.push_back(std::move(next));
    return seen.stack.frames.size() < most_frames ? DWARF_CB_OK : DWARF_CB_ABORT;
}

}  // namespace

unwinder::unwinder(int pid) : pid_(pid) {
    unwound_pid = pid;
    dwfl_ = dwfl_begin(&callbacks);
    if (dwfl_ == nullptr) return;
    dwfl_report_begin(dwfl_);
    const bool reported = dwfl_linux_proc_report(dwfl_, pid) == 0;
    dwfl_report_end(dwfl_, nullptr, nullptr);
    if (reported && dwfl_linux_proc_attach(dwfl_, pid, true) == 0) return;
    dwfl_end(dwfl_);
    dwfl_ = nullptr;
}

unwinder::~unwinder() {
    if (dwfl_ != nullptr) dwfl_end(dwfl_);
}

thread_stack unwinder::stack_of(int thread_id) {
    if (dwfl_ == nullptr) return {};
    unwound_pid = pid_;
    walk seen{dwfl_, {}};
    seen.stack.complete = dwfl_getthread_frames(dwfl_, thread_id, take_frame, &seen) == 0;
    return std::move(seen.stack);
}

}  // namespace nmircu::command
