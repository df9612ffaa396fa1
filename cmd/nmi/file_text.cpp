// SPDX-License-Identifier: MIT
//
// open, read, read; see file_text.hpp.
#include <nmi/file_text.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <nmi/unique_fd.hpp>

namespace nmircu::command {

std::string text_of_file(const std::string& path) {
    const unique_fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    if (!file) return text;
    char bytes[16384];
    for (;;) {
        const ssize_t got = read(file.get(), bytes, sizeof bytes);
        if (got > 0) {
            text.append(bytes, static_cast<std::size_t>(got));
        } else if (got == 0 || errno != EINTR) {
            return text;
        }
    }
}

}  // namespace nmircu::command
