// SPDX-License-Identifier: MIT
//
// One program that is watched: a child of ours, from before its main to its end, or a process that
// was there before us, from one moment to another. Hello, rings, handlers; then reading its rings,
// mappings and counts until it is gone, or we leave. Nothing here waits for the program without a
// bound, except for its end.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <nmi/commands/options.hpp>
#include <nmi/follow/children.hpp>
#include <nmi/launch/child.hpp>
#include <nmi/launch/signal_inbox.hpp>
#include <nmi/output/make_profile.hpp>
#include <nmi/output/progress.hpp>
#include <nmi/profile/recorder.hpp>
#include <nmi/target/client.hpp>
#include <nmi/target/status_reply.hpp>
#include <nmi/unwind/slice_unwinder.hpp>
#include <ring/reader.hpp>

namespace nmircu::command {

// How it went, besides what the recorder saw.
struct outcome {
    bool ended = false;   // the program; else we have left it
    int wait_status = 0;  // of a child that ended
    double seconds = 0;
    std::int64_t begin_ns = 0;  // since 1970
    program_status status;
    bool has_status = false;
    source_line source;            // as long as one ran
    bool said_goodbye = false;     // so `status` was taken at its end
    bool replaced = false;         // the process went on with another program: exec
    bool agent_lost = false;       // somebody else has taken it out, or the program ended
    std::uint64_t lost = 0;        // records
    std::uint64_t unfinished = 0;  // records that were begun and never committed
    unsigned corrupt_rings = 0;
};

class session {
  public:
    // Starts `what` and waits for its agent. Fails if it cannot be started, or if its agent cannot
    // be talked to; then no process is left. `verb` opens messages: "run".
    // `family`: its children are watched as well.
    session(const std::string& verb, const program& what, const std::string& agent,
            children* family = nullptr);
    // Process `pid`, whose agent is at the other end of `connection`. Fails if somebody else reads
    // its records. What was recorded before is forgotten.
    session(const std::string& verb, int pid, client connection);
    // Kills a child that was never let go.
    ~session();
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    [[nodiscard]] int pid() const { return pid_; }
    // False: the agent did not come up in the child, which runs, or ran, without it.
    [[nodiscard]] bool has_agent() const { return has_agent_; }

    // Loads one handler; what the agent has to say about its source. Fails if it refuses.
    std::string load(const module_spec& module, const std::string& path,
                     const source_options& source);
    // The same; but it is unloaded when we leave, however we end.
    std::string borrow(const module_spec& module, const std::string& path,
                       const source_options& source);

    // Stacks come as copies, and are unwound by the objects' tables.
    void unwind_stacks() { recorder_.use(unwinder_); }
    // When to leave a program that goes on.
    void leave_after(double seconds);
    // Called a few times a second: false means to leave now.
    void on_tick(std::function<bool()> callback) { on_tick_ = std::move(callback); }
    // Children that it forks from now on are watched as well. Fails if its agent cannot do that.
    void follow(children& family);
    // Our own line on what is going on is not wanted.
    void be_silent() { silent_ = true; }
    // Lets a child go on to main, and watches the program until it has ended or we leave: after the
    // time set, or, if it is no child, when somebody asks us to end. Then what was borrowed is
    // unloaded, and all records are read.
    outcome watch();
    // For the end of a child that was left.
    int wait_for_end();

    [[nodiscard]] const recorder& seen() const { return recorder_; }
    [[nodiscard]] recorder& seen() { return recorder_; }
    // As of the last look, a fifth of a second ago.
    [[nodiscard]] const outcome& so_far() const { return result_; }
    [[nodiscard]] client& agent() { return agent_; }

  private:
    using clock = std::chrono::steady_clock;

    std::string load_as(const char* verb, const module_spec& module, const std::string& path,
                        const source_options& source);
    void greet();
    void let_go();
    void take_rings();
    void reap();
    void look_for_end();
    void wait_for_something();
    void handle_signals();
    void handle_replies();
    void notice_lost_agent();
    void take_status(const message& lines);
    void tick();
    void read_rings();
    void say_goodbye();
    void leave();
    void show_progress();
    void close_books();
    [[nodiscard]] std::uint64_t lost_records() const;

    std::string verb_;
    std::string name_;
    signal_inbox signals_;
    bool is_child_;
    unique_fd end_;  // readable when a process that is no child has ended
    child child_;
    int pid_;
    client agent_;
    slice_unwinder unwinder_;
    recorder recorder_;
    std::unique_ptr<ring::reader> rings_;
    progress progress_;
    outcome result_;

    children* family_ = nullptr;
    std::string borrowed_;  // name; empty: nothing
    std::function<bool()> on_tick_;
    bool silent_ = false;
    bool has_agent_ = false;
    bool let_go_ = false;
    bool ended_ = false;
    bool leaving_ = false;
    bool status_asked_ = false;
    std::uint64_t lost_before_ = 0;
    std::uint64_t overruns_before_ = 0;
    std::optional<clock::time_point> end_at_;
    clock::time_point started_ = clock::now();
    clock::time_point next_status_{}, next_refresh_{}, next_poll_{};
    std::chrono::milliseconds poll_interval_{50};
};

// What make_profile is told of it. `time`: cpu, wall or off-cpu.
recording_facts facts_of(const recorder& seen, const outcome& result, const std::string& command,
                         const std::string& time = "cpu");

}  // namespace nmircu::command
