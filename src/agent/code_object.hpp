// SPDX-License-Identifier: MIT
//
// A module's code in memory: loaded so that nobody else has it, checked, and unloaded so that
// nothing of it stays, or else that it stays is said. What the module does is left to others.
// Thread context, on the control thread (agent/own_files.hpp says why); not thread-safe; waits for
// the dynamic loader's lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nmircu/module.h>

#include <agent/module_resources.hpp>
#include <agent/refusal.hpp>

namespace nmircu::agent {

class code_object {
  public:
    code_object() = default;
    code_object(const code_object&) = delete;
    code_object& operator=(const code_object&) = delete;

    // Loads the file. If its code is in the process already, from an earlier load or as the
    // program's own, a private copy is loaded instead: the dynamic loader knows a file again and
    // would hand out the old code with its old data.
    std::optional<refusal> load(const std::string& path);

    // Unloads; no function of the module may be running. Empty, or in one line why its code is
    // still mapped. Idempotent.
    std::string unload();

    // In the child of a fork, in a new table of descriptors: nothing else gets the number by which
    // the loader knows this object.
    void keep_number() const;

    [[nodiscard]] const struct nmi_module& module() const { return *module_; }
    // NMI_MODULE_* of module.h.
    [[nodiscard]] std::uint32_t flags() const {
        return module_->bytes >= sizeof(struct nmi_module) ? module_->flags : 0;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

    // What the module has asked for; empty again before `unload`.
    module_resources given;

  private:
    std::optional<refusal> map(int file);
    std::optional<refusal> check();
    [[nodiscard]] bool is_mapped() const;

    std::string path_;         // as asked for
    std::string loader_name_;  // by which the loader knows it
    void* handle_ = nullptr;
    const struct nmi_module* module_ = nullptr;
    int copy_ = -1;  // the private copy's memory file
};

// Around a fork: the child must not find the loader half-way through one of our loads, so the fork
// waits for it, a second at most.
void hold_loads();
void release_loads();

}  // namespace nmircu::agent
