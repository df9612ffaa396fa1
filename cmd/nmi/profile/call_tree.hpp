// SPDX-License-Identifier: MIT
//
// Samples added up: a tree of calls in which every path from the root is a stack that was seen.
// It knows places in code, not names; memory grows with the code that runs, not with time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include <nmi/profile/memory_map.hpp>

namespace nmircu::command {

class call_tree {
  public:
    // A sample of thread `thread` that counts for `weight` samples; places innermost first. Returns
    // what to give to add_again.
    std::uint32_t add(std::uint32_t thread, std::span<const code_place> places,
                      std::uint64_t weight = 1);
    // The sample of which `add` returned `which` counts for that many more.
    void add_again(std::uint32_t which, std::uint64_t weight);

    // Every count is 0 again; numbers from `add` stay valid.
    void reset();

    [[nodiscard]] std::uint64_t samples() const { return samples_; }

    // Calls `visit(thread, places outermost first, samples that ended exactly here)` for every
    // stack.
    using visitor = std::function<void(std::uint32_t, std::span<const code_place>, std::uint64_t)>;
    void for_each_stack(const visitor& visit) const;

  private:
    static constexpr std::uint32_t no_node = ~std::uint32_t{0};
    struct node {
        std::uint32_t parent;  // no_node: a root, `place` is then a thread number
        std::uint32_t place;
        std::uint64_t samples;
    };
    std::uint32_t number_of(const code_place& place);
    std::uint32_t child(std::uint32_t parent, std::uint32_t place);

    struct place_hash {
        std::size_t operator()(const code_place& place) const {
            return place.file_offset * 0x9e3779b97f4a7c15u ^ place.object;
        }
    };
    struct edge_hash {
        std::size_t operator()(std::uint64_t edge) const {
            const std::uint64_t mixed = edge * 0x9e3779b97f4a7c15u;
            return mixed ^ mixed >> 32;
        }
    };
    std::unordered_map<code_place, std::uint32_t, place_hash> place_numbers_;
    std::vector<code_place> places_;
    std::unordered_map<std::uint64_t, std::uint32_t, edge_hash> children_;  // parent << 32 | place
    std::vector<node> nodes_;
    std::uint64_t samples_ = 0;
};

}  // namespace nmircu::command
