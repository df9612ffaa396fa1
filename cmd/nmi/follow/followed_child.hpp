// SPDX-License-Identifier: MIT
//
// One child of a recorded program, from the moment its agent connects to its end: see children.hpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nmi/output/make_profile.hpp>
#include <nmi/profile/recorder.hpp>
#include <nmi/target/client.hpp>
#include <nmi/target/status_reply.hpp>
#include <nmi/unwind/slice_unwinder.hpp>
#include <ring/reader.hpp>

namespace nmircu::command {

class followed_child {
  public:
    followed_child(unique_fd socket, int pid);

    // Samples come with copied stacks. Before enter.
    void unwind_stacks() { seen_.use(unwinder_); }

    // Loads its handlers, if it has none, and lets it go. False: it does not answer, or is of
    // another build.
    bool enter(const std::vector<message>& loads);

    // Takes in what has arrived; says goodbye if it is about to end. False: it has ended, or became
    // another program, and everything has been read.
    bool attend();
    // Looks again at its mappings; a few times a second.
    void refresh() { seen_.refresh(); }
    // Unloads everything there.
    void leave();

    [[nodiscard]] int fd() const { return agent_.fd(); }
    [[nodiscard]] int pid() const { return pid_; }
    [[nodiscard]] bool has_samples() const { return seen_.calls().samples() != 0; }
    [[nodiscard]] profile make_profile(const std::string& time);

  private:
    bool ask_status();
    void read_rings();
    void say_goodbye();
    void close_books(bool dead);

    client agent_;
    int pid_;
    slice_unwinder unwinder_;
    recorder seen_;
    std::unique_ptr<ring::reader> rings_;
    program_status status_;
    source_line source_;
    bool said_goodbye_ = false;
};

}  // namespace nmircu::command
