// SPDX-License-Identifier: MIT
//
// Writing whole files; see output_file.hpp.
#include <nmi/output/output_file.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nmi/unique_fd.hpp>

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;

// A symbolic link is followed, so that what it points to is replaced, not the link.
fs::path final_path(const std::string& path) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    return error ? fs::path(path) : real;
}

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

bool exists_and_is_no_file(const fs::path& path) {
    struct stat found;
    return stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode);
}

// The rule of the kernel's protected_symlinks, which a rename goes around: in a folder where
// anybody may put files, a link is followed only if it is ours or the folder's owner's.
bool is_planted_link(const std::string& path) {
    struct stat link, folder;
    if (lstat(path.c_str(), &link) != 0 || !S_ISLNK(link.st_mode)) return false;
    if (stat(folder_of(path).c_str(), &folder) != 0) return true;
    const bool open_to_all = (folder.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH);
    return open_to_all && link.st_uid != geteuid() && link.st_uid != folder.st_uid;
}

constexpr const char* planted = "it is a symbolic link that somebody else put there";

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

std::string write_directly(const fs::path& path, std::string_view text) {
    const unique_fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file && write_all(file.get(), text) ? "" : std::strerror(errno);
}

}  // namespace

std::string cannot_write(const std::string& path) {
    if (is_planted_link(path)) return planted;
    const fs::path target = final_path(path);
    struct stat found;
    if (stat(target.c_str(), &found) == 0) {
        if (S_ISDIR(found.st_mode)) return std::strerror(EISDIR);
        if (access(target.c_str(), W_OK) != 0) return std::strerror(errno);
        if (!S_ISREG(found.st_mode)) return {};
    }
    return access(folder_of(target).c_str(), W_OK | X_OK) == 0 ? "" : std::strerror(errno);
}

std::string write_file(const std::string& path, std::string_view text) {
    if (is_planted_link(path)) return planted;
    const fs::path target = final_path(path);
    if (exists_and_is_no_file(target)) return write_directly(target, text);
    std::string temporary = (folder_of(target) / ".nmi-XXXXXX").string();
    const unique_fd file(mkostemp(temporary.data(), O_CLOEXEC));
    if (!file) return std::strerror(errno);
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(file.get(), 0666 & ~mask);
    if (write_all(file.get(), text) && std::rename(temporary.c_str(), target.c_str()) == 0)
        return {};
    const std::string why = std::strerror(errno);
    unlink(temporary.c_str());
    return why;
}

}  // namespace nmircu::command
