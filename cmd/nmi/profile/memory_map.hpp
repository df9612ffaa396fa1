// SPDX-License-Identifier: MIT
//
// What is mapped where in a program, over its whole life: code that was mapped once can still be
// named after it is gone. Each file is opened when it is first seen, so that it can be read later
// even if it was deleted or the program has ended; a file that took its place since it was mapped
// is taken for it only if it is the same build. Thread context.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <nmi/profile/jit_map.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {

// An executable file, or one of the kernel's names in brackets.
struct mapped_object {
    std::string path;  // as the kernel shows it, without " (deleted)"; "[vdso]"; "[anon]"
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    unique_fd file;            // none if it could not be opened
    std::uint64_t region = 0;  // of "[anon]": where it begins
    bool replaced = false;     // at its path there is another build by now, which is not `file`
};

// One line of /proc/PID/maps.
struct mapping {
    std::uint64_t begin, end;
    std::uint64_t file_offset;
    std::uint64_t device, inode;
    std::string path;
    bool readable, writable, executable;
    bool deleted;  // the file has no path any more
};
// Those with execute permission.
std::vector<mapping> parse_maps(std::string_view text);

// An address as a place in an object. `object` indexes memory_map::objects.
struct code_place {
    static constexpr std::uint32_t no_object = ~std::uint32_t{0};
    std::uint32_t object = no_object;
    std::uint64_t file_offset = 0;  // in the vdso: from its start; without any image: the address
    friend auto operator<=>(const code_place&, const code_place&) = default;
};

class memory_map {
  public:
    explicit memory_map(int pid) : pid_(pid), jit_(pid) {}

    // Reads /proc/PID/maps. What is there now replaces what was known of the same addresses; what
    // has gone from elsewhere stays known. False if the process is gone or has no memory any more.
    bool refresh();
    // The same from a given text; for tests.
    void update(std::string_view maps_text);

    [[nodiscard]] code_place find(std::uint64_t address) const;
    [[nodiscard]] const std::vector<mapped_object>& objects() const { return objects_; }
    // Functions that the program has made at run time and told of.
    [[nodiscard]] const jit_map& jit() const { return jit_; }

    // What is known to be mapped, or to have been mapped last, by address.
    struct known_range {
        std::uint64_t begin, end;
        std::uint32_t object;
        std::uint64_t file_offset;
    };
    [[nodiscard]] std::vector<known_range> ranges() const;

  private:
    struct range {
        std::uint64_t end;
        std::uint32_t object;
        std::uint64_t file_offset;
    };
    using object_key = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::string>;
    void insert(const mapping& line, const std::vector<mapping>& all);
    std::uint32_t object_of(const mapping& line, const std::vector<mapping>& all);

    int pid_;
    jit_map jit_;
    std::map<std::uint64_t, range> ranges_;  // by first address; disjoint
    std::vector<mapped_object> objects_;
    std::map<object_key, std::uint32_t> object_numbers_;
};

}  // namespace nmircu::command
