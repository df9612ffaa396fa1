// SPDX-License-Identifier: MIT
//
// dlopen and dlclose with their surprises; see code_object.hpp.
#include <agent/code_object.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <agent/elf_check.hpp>
#include <agent/file_trust.hpp>

namespace nmircu::agent {
namespace {

constinit pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
bool held_for_fork = false;  // by the forking thread, around the fork only

class load_lock {
  public:
    load_lock() { pthread_mutex_lock(&loading); }
    load_lock(const load_lock&) = delete;
    load_lock& operator=(const load_lock&) = delete;
    ~load_lock() { pthread_mutex_unlock(&loading); }
};

std::string loader_error() {
    const char* text = dlerror();
    return one_line(text != nullptr ? text : "the dynamic loader does not say why");
}

bool is_loaded(const std::string& path) {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (handle == nullptr) return false;
    dlclose(handle);
    return true;
}

bool copy_bytes(int from, int to) {
    struct stat about {};
    if (fstat(from, &about) != 0) return false;
    off_t at = 0;
    while (at < about.st_size) {
        if (sendfile(to, from, &at, static_cast<std::size_t>(about.st_size - at)) <= 0) {
            return false;
        }
    }
    return true;
}

// A memory file with the same contents and a recognisable name, or -1.
int copy_file(int file, const std::string& path) {
    const std::string name = path.substr(path.find_last_of('/') + 1).substr(0, 200);
    const int copy = memfd_create(name.c_str(), MFD_CLOEXEC);
    if (copy >= 0 && !copy_bytes(file, copy)) {
        const int error = errno;
        close(copy);
        errno = error;
        return -1;
    }
    return copy;
}

bool is_name(const char* name) {
    constexpr const char* allowed = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    if (name == nullptr) return false;
    const std::size_t length = strnlen(name, 32);
    return length >= 1 && length <= 31 && std::strspn(name, allowed) == length;
}

}  // namespace

std::optional<refusal> code_object::load(const std::string& path) {
    refusal why;
    const int file = open_module_file(path, why);
    if (file < 0) return why;
    path_ = path;
    std::optional<refusal> refused = check_module_file(file, path);
    if (!refused) refused = map(file);
    close(file);
    if (!refused) refused = check();
    if (refused) unload();
    return refused;
}

std::optional<refusal> code_object::map(int file) {
    const load_lock held;
    // By the path of the file that was checked, not by links that may lead elsewhere by now.
    loader_name_ = real_path_of(file);
    if (loader_name_.empty()) loader_name_ = path_;
    if (is_loaded(loader_name_)) {
        copy_ = copy_file(file, path_);
        if (copy_ < 0) {
            return refusal{
                failure::internal,
                path_ + " is loaded already and cannot be copied: " + std::strerror(errno),
                "load a copy of it at another path"};
        }
        // The number is the copy's alone while it stays open, which is as long as it is loaded; so
        // the loader does not take one copy for another by its name.
        loader_name_ = "/proc/thread-self/fd/" + std::to_string(copy_);
    }
    handle_ = dlopen(loader_name_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) {
        return refusal{failure::module_invalid,
                       "the dynamic loader refuses " + path_ + ": " + loader_error(),
                       "a module links what it needs and is built with -fPIC "
                       "-ftls-model=initial-exec"};
    }
    return std::nullopt;
}

std::optional<refusal> code_object::check() {
    const std::string hint = "include/nmircu/module.h says what a module exports";
    module_ = static_cast<const struct nmi_module*>(dlsym(handle_, "nmi_module"));
    if (module_ == nullptr) {
        return refusal{failure::module_invalid, path_ + " has no symbol nmi_module", hint};
    }
    if (std::optional<refusal> wrong = check_abi(module_->abi, module_->bytes, path_)) return wrong;
    const auto bad = [&](const char* what) {
        return refusal{failure::module_invalid, path_ + ": its nmi_module has " + what, hint};
    };
    if (!is_name(module_->name)) return bad("no name of 1 to 31 characters of a-z, 0-9, _ and -");
    if (module_->summary == nullptr) return bad("no summary");
    if (module_->handler == nullptr) return bad("no handler");
    return std::nullopt;
}

bool code_object::is_mapped() const {
    // By the loader's list. A name there is one object's alone: see map.
    const auto compare = [](dl_phdr_info* info, std::size_t, void* name) {
        return info->dlpi_name != nullptr && *static_cast<std::string*>(name) == info->dlpi_name
                   ? 1
                   : 0;
    };
    std::string name = loader_name_;
    return dl_iterate_phdr(compare, &name) != 0;
}

std::string code_object::unload() {
    std::string left;
    if (handle_ != nullptr) {
        const load_lock held;
        dlclose(handle_);
        handle_ = nullptr;
        module_ = nullptr;
        if (is_mapped()) {
            left = path_ +
                   " is unloaded, but its code stays in memory: it is linked with -z "
                   "nodelete, defines a unique symbol (a C++ inline variable does), or was opened "
                   "by somebody else too";
        }
    }
    // If its code stays, so does the number in its name.
    if (copy_ >= 0 && left.empty()) close(copy_);
    copy_ = -1;
    return left;
}

void code_object::keep_number() const {
    if (copy_ < 0) return;
    const int some = open("/", O_PATH | O_CLOEXEC);
    if (some == copy_) return;
    dup3(some, copy_, O_CLOEXEC);
    close(some);
}

void hold_loads() {
    timespec until{};
    clock_gettime(CLOCK_REALTIME, &until);
    ++until.tv_sec;
    held_for_fork = pthread_mutex_timedlock(&loading, &until) == 0;
}

void release_loads() {
    if (held_for_fork) pthread_mutex_unlock(&loading);
}

}  // namespace nmircu::agent
