// SPDX-License-Identifier: MIT
//
// Requests that may take long: one after the other on the worker, each answered when it is done or
// when its deadline has passed, whichever is first. Control thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <agent/executor.hpp>
#include <agent/modules.hpp>

namespace nmircu::agent {

class operation_queue {
  public:
    // `peer` asked and is to get `reply`.
    using deliver = std::function<void(std::uint64_t peer, const message& reply)>;

    operation_queue(executor& worker, module_table& modules);
    operation_queue(const operation_queue&) = delete;
    operation_queue& operator=(const operation_queue&) = delete;

    // `request` is a load, borrow, swap, unload or detach.
    void add(std::uint64_t peer, message request, std::uint64_t now_ns);

    // Delivers what is done or overdue, and starts the next. Before each start `before` is called,
    // while the worker is still idle.
    void advance(std::uint64_t now_ns, const deliver& give, const std::function<void()>& before);

    // The peer is gone: what it asked for is not begun any more, and what it borrowed is unloaded.
    void forget(std::uint64_t peer, std::uint64_t now_ns);

    [[nodiscard]] bool idle() const { return waiting_.empty(); }
    // A detach is done: nothing is loaded, and nothing will be.
    [[nodiscard]] bool detached() const { return detached_; }
    // When somebody will be overdue; 0: never.
    [[nodiscard]] std::uint64_t deadline_ns() const;

  private:
    struct operation {
        std::uint64_t peer;  // 0: has its reply; nobody: is to be done all the same
        message request;
        std::uint64_t deadline_ns;
    };

    struct borrowed {
        std::uint64_t peer;
        std::string name;
    };

    static constexpr std::uint64_t nobody = ~std::uint64_t{0};

    void start(const operation& next);
    void settle_loan(const operation& done, const message& result, std::uint64_t now_ns);
    void answer_overdue(std::uint64_t now_ns, const deliver& give);
    void refuse_all(const deliver& give);

    executor& worker_;
    module_table& modules_;
    std::deque<operation> waiting_;  // the first is with the worker if `result_`
    std::shared_ptr<message> result_;
    std::vector<borrowed> loans_;
    bool detached_ = false;
};

}  // namespace nmircu::agent
