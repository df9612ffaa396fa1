// SPDX-License-Identifier: MIT
//
// Formats: proc(5). Context: thread.
#include "platform/linux/proc_self.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

#include <nmircu/platform/port.hpp>

#include "platform/linux/directory_entry.hpp"
#include "platform/text.hpp"

namespace nmircu::platform {

namespace {

// Not libc's open and read, which are points of cancellation.
int open_file(const char* path, int flags = 0) noexcept {
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | flags, 0));
}
void close_file(int file) noexcept {
    if (file >= 0) ::syscall(SYS_close, file);
}

// The beginning of a small file, as a string. False: it cannot be read.
bool read_file(const char* path, char* out, std::size_t bytes) noexcept {
    out[0] = '\0';
    const int file = open_file(path);
    if (file < 0) return false;
    std::size_t length = 0;
    while (length + 1 < bytes) {
        const long got = ::syscall(SYS_read, file, out + length, bytes - 1 - length);
        if (got <= 0) break;
        length += static_cast<std::size_t>(got);
    }
    out[length] = '\0';
    close_file(file);
    return length != 0;
}

bool read_task_file(std::uint32_t thread, const char* name, char* out, std::size_t bytes) noexcept {
    text_line<64> path;
    path << "/proc/self/task/" << thread << "/" << name;
    return read_file(path.c_str(), out, bytes);
}

std::uint64_t parse_number(const char*& text, unsigned base) noexcept {
    std::uint64_t number = 0;
    for (;; ++text) {
        unsigned digit = 16;
        if (*text >= '0' && *text <= '9') digit = static_cast<unsigned>(*text - '0');
        if (*text >= 'a' && *text <= 'f') digit = static_cast<unsigned>(*text - 'a') + 10;
        if (digit >= base) return number;
        number = number * base + digit;
    }
}

void cut_at_newline(char* text) noexcept {
    if (char* const end = std::strchr(text, '\n')) *end = '\0';
}

// Moves to the n-th blank-separated field from here.
const char* skip_fields(const char* text, unsigned fields) noexcept {
    for (; fields != 0 && *text != '\0'; ++text) {
        if (*text == ' ') --fields;
    }
    return text;
}

bool exists(std::uint32_t thread) noexcept {
    return ::syscall(SYS_tgkill, ::getpid(), thread, 0) == 0;
}

std::uint64_t blocked_by(std::uint32_t thread) noexcept {
    static constexpr char key[] = "\nSigBlk:\t";
    // The list of groups before the key may be long; then it is not known.
    char text[2048];
    if (!read_task_file(thread, "status", text, sizeof(text))) return 0;
    const char* at = std::strstr(text, key);
    if (at == nullptr) return 0;
    at += sizeof(key) - 1;
    return parse_number(at, 16);
}

// Of memory that may be gone.
bool copy_from(std::uint64_t address, void* out, std::size_t bytes) noexcept {
    iovec to{out, bytes};
    iovec from{reinterpret_cast<void*>(address), bytes};
    return ::syscall(SYS_process_vm_readv, ::getpid(), &to, 1ul, &from, 1ul, 0ul) ==
           static_cast<long>(bytes);
}

}  // namespace

task_walk::task_walk() noexcept : directory_(open_file("/proc/self/task", O_DIRECTORY)) {}

task_walk::~task_walk() {
    close_file(directory_);
}

std::uint32_t task_walk::next() noexcept {
    if (directory_ < 0) return 0;
    for (;;) {
        if (at_ >= filled_) {
            filled_ = ::syscall(SYS_getdents64, directory_, buffer_, sizeof(buffer_));
            at_ = 0;
            if (filled_ <= 0) return 0;
        }
        const auto* const entry = reinterpret_cast<const directory_entry*>(buffer_ + at_);
        at_ += entry->bytes;
        const char* name = entry->name;  // "." and ".." give 0
        const auto thread = static_cast<std::uint32_t>(parse_number(name, 10));
        if (thread != 0) {
            ++listed_;
            return thread;
        }
    }
}

bool task_walk::complete() const noexcept {
    struct stat about {};
    // The link count is two more than the number of threads.
    return directory_ >= 0 && ::fstat(directory_, &about) == 0 && listed_ + 2 >= about.st_nlink;
}

bool read_task_status(std::uint32_t thread, int signal, task_status& out) noexcept {
    constexpr std::uint64_t io_worker = 0x10;  // PF_IO_WORKER of the kernel's sched.h
    out = {'?', -1, false, false, 0};
    char text[1024];
    if (!read_task_file(thread, "stat", text, sizeof(text))) return exists(thread);
    // The name may hold anything, parentheses too; nothing after it does.
    const char* const name_end = std::strrchr(text, ')');
    if (name_end == nullptr || name_end[1] == '\0') return true;
    const char* const third = name_end + 2;
    out.state = *third;
    const char* ninth = skip_fields(third, 6);
    out.of_the_kernel = (parse_number(ninth, 10) & io_worker) != 0;
    if (const char* cpu = skip_fields(third, 36); *cpu != '\0') {
        out.cpu = static_cast<std::int32_t>(parse_number(cpu, 10));
    }
    out.blocked = blocked_by(thread);
    out.blocks_signal = (out.blocked >> (signal - 1) & 1) != 0;
    return true;
}

void read_task_name(std::uint32_t thread, char* out, std::size_t bytes) noexcept {
    read_task_file(thread, "comm", out, bytes);
    cut_at_newline(out);
}

void read_task_sleep(std::uint32_t thread, char* out, std::size_t bytes) noexcept {
    read_task_file(thread, "wchan", out, bytes);
    cut_at_newline(out);
    if (out[0] == '0') out[0] = '\0';  // it does not sleep, or the kernel does not tell
}

std::uint64_t read_task_awaited(std::uint32_t thread) noexcept {
    char text[256];
    // "number 0xfirst 0xsecond ..."; "running" gives 0, which is another call's number.
    if (!read_task_file(thread, "syscall", text, sizeof(text))) return 0;
    const char* at = text;
    if (parse_number(at, 10) != SYS_rt_sigtimedwait || std::strncmp(at, " 0x", 3) != 0) return 0;
    at += 3;
    std::uint64_t set = 0;
    return copy_from(parse_number(at, 16), &set, sizeof(set)) ? set : 0;
}

const void* read_task_address(std::uint32_t thread) noexcept {
    char text[256];
    if (!read_task_file(thread, "syscall", text, sizeof(text))) return nullptr;
    const char* const last = std::strrchr(text, ' ');  // "running" has none
    if (last == nullptr || last[1] != '0' || last[2] != 'x') return nullptr;
    const char* digits = last + 3;
    return reinterpret_cast<const void*>(parse_number(digits, 16));
}

namespace {

// Lines of /proc/self/maps, the too long ones cut.
class map_lines {
  public:
    map_lines() noexcept : file_(open_file("/proc/self/maps")) {}
    ~map_lines() { close_file(file_); }
    map_lines(const map_lines&) = delete;
    map_lines& operator=(const map_lines&) = delete;

    // Null: no more.
    const char* next() noexcept {
        std::size_t length = 0;
        for (;;) {
            if (at_ >= filled_ && !fill()) return nullptr;
            const char c = buffer_[at_++];
            if (c == '\n') break;
            if (length + 1 < sizeof(line_)) line_[length++] = c;
        }
        line_[length] = '\0';
        return line_;
    }

  private:
    bool fill() noexcept {
        if (file_ < 0) return false;
        filled_ = ::syscall(SYS_read, file_, buffer_, sizeof(buffer_));
        at_ = 0;
        return filled_ > 0;
    }

    int file_;
    long filled_ = 0, at_ = 0;
    char buffer_[512];
    char line_[384];
};

struct mapping {
    std::uintptr_t from, to;
    const char* path;  // empty: of no file
};

// "from-to rwxp offset device inode   path"
mapping parse_mapping(const char* line) noexcept {
    mapping out{};
    out.from = parse_number(line, 16);
    if (*line == '-') ++line;
    out.to = parse_number(line, 16);
    const char* const path = std::strchr(line, '/');
    out.path = path == nullptr ? "" : path;
    return out;
}

const char* last_part(const char* path) noexcept {
    const char* const slash = std::strrchr(path, '/');
    return slash == nullptr ? path : slash + 1;
}

template <std::size_t Bytes>
void copy_text(char (&to)[Bytes], const char* from) noexcept {
    std::size_t length = 0;
    while (length + 1 < Bytes && from[length] != '\0') {
        to[length] = from[length];
        ++length;
    }
    to[length] = '\0';
}

}  // namespace

void port::name_code(const void* address, char* out, std::size_t bytes) noexcept {
    out[0] = '\0';
    const auto wanted = reinterpret_cast<std::uintptr_t>(address);
    // An object's mappings follow one another; its first is where it is loaded.
    char path[384] = "";
    std::uintptr_t loaded_at = 0;
    map_lines lines;
    while (const char* const line = lines.next()) {
        const mapping here = parse_mapping(line);
        // A mapping of no file in between is the object's .bss.
        if (here.path[0] != '\0' && std::strcmp(here.path, path) != 0) {
            copy_text(path, here.path);
            loaded_at = here.from;
        }
        if (wanted < here.from || wanted >= here.to) continue;
        if (here.path[0] == '\0') return;
        text_line<96> text;
        text << last_part(path) << "+" << reinterpret_cast<const void*>(wanted - loaded_at);
        const std::size_t length = std::strlen(text.c_str());
        if (length < bytes) std::memcpy(out, text.c_str(), length + 1);
        return;
    }
}

}  // namespace nmircu::platform
