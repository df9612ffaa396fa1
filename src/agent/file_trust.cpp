// SPDX-License-Identifier: MIT
//
// Modes of a file and of the folder it lies in; see file_trust.hpp.
#include <agent/file_trust.hpp>

#include <sys/stat.h>
#include <unistd.h>

namespace nmircu::agent {
namespace {

std::string octal(unsigned mode) {
    std::string digits;
    for (int shift = 9; shift >= 0; shift -= 3) {
        const unsigned digit = mode >> shift & 7;
        if (digit != 0 || !digits.empty()) digits += static_cast<char>('0' + digit);
    }
    return digits;
}

bool may_be_entered_by_others(const struct stat& folder) {
    if ((folder.st_mode & S_ISVTX) != 0) return false;
    if ((folder.st_mode & S_IWOTH) != 0) return true;
    return (folder.st_mode & S_IWGRP) != 0 && folder.st_gid != 0 && folder.st_gid != getegid();
}

}  // namespace

std::string real_path_of(int file) {
    char path[4096];
    const std::string link = "/proc/thread-self/fd/" + std::to_string(file);
    const ssize_t length = readlink(link.c_str(), path, sizeof path);
    if (length <= 0 || length == sizeof path || path[0] != '/') return {};
    return {path, static_cast<std::size_t>(length)};
}

std::string wrong_with_access(int file) {
    struct stat about {};
    if (fstat(file, &about) != 0) return "cannot be looked at";
    if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return "can be written by others (mode " + octal(about.st_mode & 07777) + ")";
    }
    const std::string path = real_path_of(file);
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return {};
    const std::string folder = slash == 0 ? "/" : path.substr(0, slash);
    if (stat(folder.c_str(), &about) == 0 && may_be_entered_by_others(about)) {
        return "can be replaced by others, for it is in " + folder + " (mode " +
               octal(about.st_mode & 07777) + ")";
    }
    return {};
}

}  // namespace nmircu::agent
