// SPDX-License-Identifier: MIT
//
// The children of a program that is recorded with them (--follow). Their agents connect to a socket
// of ours (agent/follow.hpp); each child is asked what `nmi run` asks its program, let go, read,
// and seen off at its exit. Whoever watches the program calls serve whenever fd is readable, and a
// few times a second. A child that is slow or mad costs us an answer's deadline and itself the
// profile.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <nmi/follow/followed_child.hpp>
#include <nmi/profile/profile.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {

class children {
  public:
    // Makes the socket; fails if that cannot be. `loads` are the requests that give a child its
    // handlers, if it has not inherited them.
    children(const std::string& attempt, std::vector<message> loads);
    // Removes the socket. Children that wait are let go by that.
    ~children();
    children(const children&) = delete;
    children& operator=(const children&) = delete;

    // Samples come with copied stacks.
    void unwind_stacks() { unwinds_ = true; }

    // Where they are to connect.
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] int fd() const { return events_.get(); }

    // `root`: the program whose children they are.
    void serve(int root);
    // Nothing more is recorded: those that are still there go on without an agent.
    void leave();

    // After leave: everything that was seen, added to the program's own profile.
    void add_to(profile& all, const std::string& time);
    // "5 children recorded, 1 not (busybox)".
    [[nodiscard]] std::string summary() const;

  private:
    void accept_all();
    void enter(unique_fd socket);
    void retire(std::unique_ptr<followed_child> one);
    void look_for_others(int root);
    void remove_sockets() const;

    std::string attempt_;
    std::vector<message> loads_;
    std::string path_;
    unique_fd listener_;
    unique_fd events_;
    std::vector<std::unique_ptr<followed_child>> live_;
    std::vector<std::unique_ptr<followed_child>> ended_;
    std::vector<profile> made_;  // of those that ended longer ago
    std::string time_ = "cpu";
    bool unwinds_ = false;

    std::set<int> entered_;                      // processes
    std::map<int, unsigned> unknown_;            // processes below the root, and for how many looks
    std::map<std::string, unsigned> strangers_;  // that no agent came to, by name
    std::chrono::steady_clock::time_point next_look_{};
};

}  // namespace nmircu::command
