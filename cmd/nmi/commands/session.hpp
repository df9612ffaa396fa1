// SPDX-License-Identifier: MIT
//
// A program under `nmi run`, from before its main to its end: hello, rings, handlers, start; then
// reading its rings, mappings and counts until it is gone. Nothing here waits for the program
// without a bound, except for its end.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <nmi/commands/options.hpp>
#include <nmi/launch/child.hpp>
#include <nmi/launch/signal_inbox.hpp>
#include <nmi/output/progress.hpp>
#include <nmi/profile/recorder.hpp>
#include <nmi/target/client.hpp>
#include <nmi/target/status_reply.hpp>
#include <ring/reader.hpp>

namespace nmircu::command {

// How it went, besides what the recorder saw.
struct outcome {
    int wait_status = 0;
    double seconds = 0;
    program_status status;
    bool has_status = false;
    source_line source;            // as long as one ran
    bool said_goodbye = false;     // so `status` was taken at its end
    bool replaced = false;         // the process went on with another program: exec
    std::uint64_t unfinished = 0;  // records that were begun and never committed
    unsigned corrupt_rings = 0;
};

class session {
  public:
    // Starts `what` and waits for its agent. Fails if it cannot be started, or if its agent cannot
    // be talked to; then no process is left.
    session(const program& what, const std::string& agent);
    // Kills a program that was never let go.
    ~session();
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    [[nodiscard]] int pid() const { return child_.pid; }
    // False: the agent did not come up in the program, which runs, or ran, without it.
    [[nodiscard]] bool has_agent() const { return has_agent_; }

    // Loads one handler; what the agent has to say about its source. Fails if it refuses.
    std::string load(const module_spec& module, const std::string& path,
                     const source_options& source);
    // Lets the program go on to main, and watches it until it has ended.
    outcome watch();

    [[nodiscard]] const recorder& seen() const { return recorder_; }

  private:
    using clock = std::chrono::steady_clock;

    void greet();
    void let_go();
    void take_rings();
    void reap();
    void wait_for_something();
    void handle_signals();
    void handle_replies();
    void notice_lost_agent();
    void take_status(const message& lines);
    void tick();
    void read_rings();
    void say_goodbye();
    void show_progress();
    void close_books();

    std::string name_;
    signal_inbox signals_;
    child child_;
    client agent_;
    recorder recorder_;
    std::unique_ptr<ring::reader> rings_;
    progress progress_;
    outcome result_;

    bool has_agent_ = false;
    bool let_go_ = false;
    bool ended_ = false;
    bool status_asked_ = false;
    bool agent_lost_ = false;
    clock::time_point started_ = clock::now();
    clock::time_point next_status_{}, next_refresh_{}, next_poll_{};
    std::chrono::milliseconds poll_interval_{50};
};

}  // namespace nmircu::command
