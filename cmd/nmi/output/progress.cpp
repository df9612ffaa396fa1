// SPDX-License-Identifier: MIT
//
// A progress line; see progress.hpp.
#include <nmi/output/progress.hpp>

#include <cstdio>

#include <sys/ioctl.h>
#include <unistd.h>

#include <nmi/complaint.hpp>

namespace nmircu::command {

using clock = std::chrono::steady_clock;

progress::progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

bool progress::wanted() const {
    return terminal_ && tcgetpgrp(STDERR_FILENO) == getpgrp();  // not from the background
}

void progress::show(const std::string& text) {
    const auto now = clock::now();
    if (now < next_ || !wanted()) return;
    next_ = now + std::chrono::milliseconds(250);
    const std::size_t width = terminal_width();
    // Carriage return, text, erase to the end of the line.
    std::fprintf(stderr, "\r%s\033[K", one_line(text.substr(0, width - 1)).c_str());
    shown_ = true;
}

void progress::clear() {
    if (shown_ && wanted()) std::fputs("\r\033[K", stderr);
    shown_ = false;
}

std::size_t terminal_width() {
    winsize size{};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 100;
    return size.ws_col;
}

}  // namespace nmircu::command
