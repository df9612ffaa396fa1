// SPDX-License-Identifier: MIT
//
// The control thread's loop: who is connected, what they ask, what is still to be answered. Nobody
// it serves can hold up another: nothing here blocks, requests that may take long go to the worker,
// and a peer that misbehaves loses its own connection.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include <poll.h>

#include <agent/connection.hpp>
#include <agent/gate.hpp>
#include <agent/operation_queue.hpp>

namespace nmircu::agent {

// Between the control thread and the rest of the process.
struct agent_gates {
    gate ready;   // commands can reach us
    gate start;   // the program may go on to main
    gate finish;  // the program may end
    std::atomic<bool> exiting{false};
};

// What the server works with; -1: there is none. Descriptors are taken over.
struct server_files {
    int wake;  // readable when somebody woke the control thread; without it the server looks itself
    int listener;
    int channel;
    int rings;
};

class server {
  public:
    // The threads of the program are listed every `rescan_ns` while a source runs, and less often
    // where that takes long.
    server(const server_files& files, agent_gates& gates, executor& worker, module_table& modules,
           std::uint64_t rescan_ns);
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server();

    // Until somebody has asked the agent to leave; then nothing is loaded any more, and everybody
    // has had his answers.
    void run();

  private:
    void step();
    [[nodiscard]] bool may_leave() const;
    [[nodiscard]] bool watches_wake_file() const;
    void take_wake();
    void wait_for_something();
    [[nodiscard]] int timeout_ms() const;
    void add_peer(int socket);
    void accept_peers();
    void make_room();
    void serve(connection& peer, short events);
    void answer_requests(connection& peer);
    void answer(connection& peer, const message& request);
    void answer_later(std::uint64_t id, const message& reply);
    void send_rings(connection& peer);
    void send_memory(connection& peer, const message& request);
    void finish(connection& peer);
    void advance_operations();
    void answer_late_status();
    message status();
    void begin_exit();
    void watch_exit();
    void drop_finished();
    void rescan();
    connection* find(std::uint64_t id);

    server_files files_;
    agent_gates& gates_;
    executor& worker_;
    module_table& modules_;
    operation_queue operations_;

    std::uint64_t now_ns_ = 0;
    std::uint64_t next_id_ = 1;
    std::uint64_t channel_id_ = 0;  // of the channel's connection; 0: none
    std::uint64_t reader_id_ = 0;   // of whoever has the rings, as long as it is connected
    std::vector<std::unique_ptr<connection>> peers_;
    std::vector<pollfd> polled_;

    // A status is not taken while the worker may hold the chain; its peers wait, but not for ever.
    std::vector<std::uint64_t> late_status_;
    std::uint64_t late_status_ns_ = 0;
    std::vector<module_row> last_loaded_;  // taken before the worker began

    std::uint64_t leave_deadline_ns_ = 0;  // 0: stays

    const std::uint64_t rescan_ns_;
    bool source_runs_ = false;
    std::uint64_t next_rescan_ns_ = 0;
    bool exiting_ = false;
    std::uint64_t finish_deadline_ns_ = 0;
    std::optional<platform::source_status> source_at_exit_;
};

}  // namespace nmircu::agent
