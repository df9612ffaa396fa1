// SPDX-License-Identifier: MIT
//
// The modules of this process: load, swap, unload, and what is known of them. Each is a chain
// handler of the core with a code object behind it; the interrupt source runs while there is one
// that was not loaded without (SOURCE none: its NMIs are asked for).
//
//   load     dlopen, init, publish, start the source if it was the first
//   swap     dlopen, init, exchange and wait, exit of the old one, dlclose
//   unload   stop the source if it was the last, unpublish and wait, exit, dlclose
//   detach   unload of each, the last loaded first
//
// init, exit and the waiting may take any time, so these run on a thread of their own, the worker;
// dlopen, dlclose and the source need the control thread, and are handed to it (own_files.hpp).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <nmircu/nmi.hpp>

#include <agent/code_object.hpp>
#include <agent/module_resources.hpp>
#include <agent/refusal.hpp>

#include "platform/linux/sources.hpp"

namespace nmircu::agent {

// One row of a status reply: a module and what its handler has done.
struct module_row {
    std::string name;
    std::string path;
    nmi_handler_statistics counts;
    std::vector<std::uint64_t> cpu_handled;
};

class module_table {
  public:
    // `create` makes threads.
    module_table(on_control run, create_function create);
    module_table(const module_table&) = delete;
    module_table& operator=(const module_table&) = delete;

    // One at a time, on the worker. `request` has the verb first, as on the wire; the result is the
    // reply.
    message load(const message& request);
    message swap(const message& request);
    message unload(const message& request);
    // Unloads every module.
    message detach();

    // In the child of a fork, once: takes over the modules of the parent's table. False, and
    // nothing of it is known: the fork came in the middle of a change. On the control thread, whose
    // descriptors are its own.
    bool inherit(module_table& parents);
    // Starts the source that the parent had. On the control thread.
    void resume_source();

    // Any thread, any time. `loaded` waits for an update of the chain that is under way, so for its
    // grace period too.
    std::vector<module_row> loaded();
    std::vector<module_row> retired();

    // The memory of the module of that name; -1: it has none, or there is no such module. On the
    // control thread, which alone closes it.
    int memory_of(const std::string& name);

    // From now on no source is started; the one that runs is stopped. On the control thread.
    void stop_for_good();

  private:
    struct entry {
        std::string name;
        std::unique_ptr<code_object> code;
        nmi_handler handler;
        bool wants_source = true;
    };
    using arguments = std::vector<std::string>;

    // While the worker changes anything below.
    class change {
      public:
        explicit change(module_table& table) : table_(table) { set(true); }
        change(const change&) = delete;
        change& operator=(const change&) = delete;
        ~change() { set(false); }

      private:
        // Relaxed: a fork looks at it, and the kernel orders that.
        void set(bool on) { table_.changing_.store(on, std::memory_order_relaxed); }
        module_table& table_;
    };

    [[nodiscard]] entry* find(const std::string& name);
    std::optional<refusal> bring_in(code_object& code, const arguments& given);
    std::string send_away(code_object& code);
    std::optional<refusal> start_source(const platform::source_settings& settings,
                                        std::string& text);
    std::optional<refusal> publish(entry& fresh, const platform::source_settings& settings,
                                   std::string& text);
    std::string unload_entry(entry& which);
    module_row take_out(entry& which);
    void retire(module_row row);
    void drop(const entry* which);

    [[nodiscard]] bool is_last_with_source(const entry& which) const;

    const on_control run_on_control_;
    const create_function create_;
    bool stopped_ = false;                // control thread only
    platform::source_settings settings_;  // of the last source; the same
    std::atomic<bool> changing_{false};

    // The worker writes, anybody reads; held for moments.
    std::mutex lock_;
    std::vector<std::unique_ptr<entry>> entries_;
    std::vector<module_row> retired_;
};

}  // namespace nmircu::agent
