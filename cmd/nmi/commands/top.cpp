// SPDX-License-Identifier: MIT
//
// nmi top: the hottest functions of a running program, again and again. On a terminal it takes the
// screen until q or Ctrl-C; anywhere else it prints a table and ends.
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/recording.hpp>
#include <nmi/complaint.hpp>
#include <nmi/output/profile_files.hpp>

namespace nmircu::command {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::uint32_t default_rows = 20;
constexpr std::uint32_t frame_rows = 6;  // around the table

// The other screen of a terminal, and its keys one by one; both as they were when this goes.
class screen {
  public:
    screen() : used_(isatty(STDOUT_FILENO) != 0 && tcgetpgrp(STDOUT_FILENO) == getpgrp()) {
        if (!used_) return;
        keys_ = isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &before_) == 0;
        if (keys_) {
            termios now = before_;
            now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
            now.c_cc[VMIN] = 0;
            now.c_cc[VTIME] = 0;
            tcsetattr(STDIN_FILENO, TCSANOW, &now);
        }
        write("\033[?1049h\033[?25l");
    }
    ~screen() {
        if (!used_) return;
        write("\033[?25h\033[?1049l");
        if (keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    screen(const screen&) = delete;
    screen& operator=(const screen&) = delete;

    [[nodiscard]] bool used() const { return used_; }

    // False: it cannot be shown.
    [[nodiscard]] bool show(const std::string& text) const {
        if (!used_) return write(text);
        std::string drawn = "\033[H";
        for (const char c : text)
            drawn += c == '\n' ? std::string("\033[K\n") : std::string(1, c);
        return write(drawn + "\033[J");
    }

    [[nodiscard]] bool wants_to_leave() const {
        pollfd ready{STDIN_FILENO, POLLIN, 0};
        char key = 0;
        while (keys_ && ::poll(&ready, 1, 0) > 0 && read(STDIN_FILENO, &key, 1) == 1) {
            if (key == 'q' || key == 'Q') return true;
        }
        return false;
    }

    struct size {
        std::uint32_t rows, columns;
    };
    [[nodiscard]] size room() const {
        winsize found{};
        if (!used_ || ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_row < 10) {
            return {default_rows + frame_rows, 100};
        }
        return {found.ws_row, found.ws_col};
    }

  private:
    static bool write(const std::string& text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        return std::fflush(stdout) == 0;
    }

    bool used_;
    bool keys_ = false;
    termios before_{};
};

class looker {
  public:
    looker(const top_options& options, session& program)
        : options_(options),
          program_(program),
          names_(program.seen().map()),
          looks_(options.looks.value_or(screen_.used() ? 0 : 1)),
          period_(std::chrono::duration_cast<clock::duration>(
              std::chrono::duration<double>(options.seconds))),
          next_(clock::now() + period_) {}

    // False: it is time to leave.
    bool tick() {
        if (screen_.wants_to_leave()) return false;
        if (clock::now() < next_) return true;
        next_ = clock::now() + period_;
        if (!look()) return false;
        return ++done_ != looks_;
    }

    [[nodiscard]] bool has_looked() const { return done_ != 0; }
    // The table as it is now.
    bool look() {
        outcome so_far = program_.so_far();
        so_far.seconds = options_.seconds;
        const profile found = make_profile(
            program_.seen(), names_,
            facts_of(program_.seen(), so_far, fmt::format("process {}", options_.pid)));
        const screen::size room = screen_.room();
        const std::uint32_t rows = options_.rows.value_or(room.rows - frame_rows);
        std::string text = profile_table(found, "", rows, room.columns);
        text += screen_.used() ? "q: leave\n" : "\n";
        program_.seen().forget_calls();
        return screen_.show(text);
    }

  private:
    const top_options& options_;
    session& program_;
    symbolizer names_;
    const screen screen_;
    const std::uint32_t looks_;  // 0: without end
    const clock::duration period_;
    clock::time_point next_;
    std::uint32_t done_ = 0;
};

}  // namespace

int top(const top_options& options) {
    const std::string attempt = fmt::format("top {}", options.pid);
    const module_spec module{"profiler", {}};
    const std::string module_path = find_module(module, attempt);
    connected found = connect_for_recording(options.pid, options.filters, attempt);
    const leave_on_failure guard(options.pid, found.origin, attempt);
    const source_options source = shared_source(options.source, found.connection, attempt);
    session program("top", options.pid, std::move(found.connection));
    program.borrow(module, module_path, source);
    program.be_silent();
    signal(SIGPIPE, SIG_IGN);
    outcome result;
    {
        looker eye(options, program);
        program.on_tick([&eye] { return eye.tick(); });
        result = program.watch();
    }
    leave_program(program.agent(), options.pid, found.origin, attempt);
    if (result.ended) say(fmt::format("top {}: the program has ended", options.pid));
    return exit_ok;
}

void add_top(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "top", "Show the hottest functions of a running program, again and again.");
    const auto options = std::make_shared<top_options>();
    add_pid(command, options->pid);
    add_source_options(command, options->source);
    command.add_option("-d,--delay", options->seconds, "between two looks (default 1)")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 1e6).description(""));
    command.add_option("-n,--rows", options->rows, "functions to show (default: as many as fit)")
        ->type_name("ROWS")
        ->check(CLI::Range(1u, 10000u).description(""));
    command
        .add_option("--looks", options->looks,
                    "how many tables (default: on a terminal until q or\nCtrl-C, else one)")
        ->type_name("COUNT")
        ->check(CLI::Range(1u, 1000000u).description(""));
    add_seccomp(command, options->filters);
    command.callback([&line, options] { line.chosen = [options] { return top(*options); }; });
}

}  // namespace nmircu::command
