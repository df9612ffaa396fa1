// SPDX-License-Identifier: MIT
//
// See operation_queue.hpp.
#include <agent/operation_queue.hpp>

#include <algorithm>

namespace nmircu::agent {

operation_queue::operation_queue(executor& worker, module_table& modules)
    : worker_(worker), modules_(modules) {}

void operation_queue::add(std::uint64_t peer, message request, std::uint64_t now_ns) {
    const std::uint64_t deadline = now_ns + std::uint64_t{operation_deadline_ms} * 1'000'000;
    waiting_.push_back({peer, std::move(request), deadline});
}

void operation_queue::start(const operation& next) {
    result_ = std::make_shared<message>();
    if (next.request[0] == "unload" && next.request.size() > 1) {
        std::erase_if(loans_, [&](const borrowed& loan) { return loan.name == next.request[1]; });
    }
    worker_.submit([result = result_, request = next.request, &modules = modules_] {
        if (request[0] == "load" || request[0] == "borrow") {
            *result = modules.load(request);
        } else if (request[0] == "swap") {
            *result = modules.swap(request);
        } else if (request[0] == "detach") {
            *result = modules.detach();
        } else {
            *result = modules.unload(request);
        }
    });
}

void operation_queue::answer_overdue(std::uint64_t now_ns, const deliver& give) {
    for (operation& one : waiting_) {
        if (one.peer == 0 || one.peer == nobody || now_ns < one.deadline_ns) continue;
        const bool begun = result_ && &one == &waiting_.front();
        give(one.peer,
             error_reply({failure::busy,
                          one.request[0] + " was not done within " +
                              std::to_string(operation_deadline_ms / 1000) + " s" +
                              (begun ? ": a handler does not return, or a module's init or exit "
                                       "blocks"
                                     : ", for an earlier request is not done either"),
                          begun ? "it goes on; the status will tell" : "try again later"}));
        one.peer = 0;
    }
    const auto dropped = [&](const operation& one) {
        return one.peer == 0 && !(result_ && &one == &waiting_.front());
    };
    // Not begun, and nobody waits for it: left out.
    std::deque<operation> kept;
    for (operation& one : waiting_) {
        if (!dropped(one)) kept.push_back(std::move(one));
    }
    waiting_.swap(kept);
}

void operation_queue::refuse_all(const deliver& give) {
    for (const operation& one : waiting_) {
        if (one.peer == 0 || one.peer == nobody) continue;
        give(one.peer, error_reply({failure::busy, "the agent is leaving the program",
                                    "attach again once it has left"}));
    }
    waiting_.clear();
}

void operation_queue::advance(std::uint64_t now_ns, const deliver& give,
                              const std::function<void()>& before) {
    if (result_ && worker_.idle()) {
        const operation done = std::move(waiting_.front());
        waiting_.pop_front();
        const std::shared_ptr<message> result = std::move(result_);
        if (done.request[0] == "detach") detached_ = true;
        settle_loan(done, *result, now_ns);
        if (done.peer != 0 && done.peer != nobody) give(done.peer, *result);
    }
    answer_overdue(now_ns, give);
    if (detached_) return refuse_all(give);
    if (!result_ && !waiting_.empty()) {
        before();
        start(waiting_.front());
    }
}

// A borrowed module is there as long as whoever borrowed it; if he has not waited for it, not at
// all.
void operation_queue::settle_loan(const operation& done, const message& result,
                                  std::uint64_t now_ns) {
    if (done.request[0] != "borrow" || result.size() < 2 || result[0] != "ok") return;
    if (done.peer == 0) {
        add(nobody, {"unload", result[1]}, now_ns);
    } else {
        loans_.push_back({done.peer, result[1]});
    }
}

void operation_queue::forget(std::uint64_t peer, std::uint64_t now_ns) {
    for (operation& one : waiting_) {
        if (one.peer == peer) one.peer = 0;
    }
    for (const borrowed& loan : loans_) {
        if (loan.peer == peer) add(nobody, {"unload", loan.name}, now_ns);
    }
    std::erase_if(loans_, [&](const borrowed& loan) { return loan.peer == peer; });
}

std::uint64_t operation_queue::deadline_ns() const {
    std::uint64_t first = 0;
    for (const operation& one : waiting_) {
        if (one.peer != 0 && one.peer != nobody && (first == 0 || one.deadline_ns < first))
            first = one.deadline_ns;
    }
    return first;
}

}  // namespace nmircu::agent
