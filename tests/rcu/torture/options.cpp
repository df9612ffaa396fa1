// SPDX-License-Identifier: MIT
//
// The command line of rcu_torture.
#include "options.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace torture {

namespace {

constexpr const char* usage =
    R"(usage: rcu_torture [OPTION...]

  --seconds=N       for how long, at least; goes on a little until everything asked for was tested
                    (default: 2; $NMIRCU_STRESS_SECONDS, if set, replaces it unless --break)
  --readers=N       threads of each kind of reader, 1 to 64 (default: 1)
  --writers=N       threads of each kind of updater, 1 to 64 (default: 1)
  --kinds=A,B,...   kinds of readers; see --list (default: all)
  --updaters=A,...  kinds of updaters; see --list (default: all)
  --stutter         all pause and resume in turns
  --forks           children that read, retire and synchronize, while the parent goes on
  --seed=N          of everything random (default: 1)
  --break=WHAT      no-barrier, no-wait, early-free or relaxed-scan: breaks the library, or the way
                    it is used, and ends at the first failure
  --list            the kinds of readers and updaters

Exit status: 0 SUCCESS, 1 FAILURE, 2 bad usage, 3 NOTHING TESTED, 77 this machine cannot show it.
)";

struct named_breakage {
    const char* name;
    breakage which;
};
constexpr named_breakage breakages[] = {
    {"no-barrier", breakage::no_barrier},
    {"no-wait", breakage::no_wait},
    {"early-free", breakage::early_free},
    {"relaxed-scan", breakage::relaxed_scan},
};

[[noreturn]] void refuse(const std::string& why) {
    std::fprintf(stderr, "rcu_torture: %s; see --help\n", why.c_str());
    std::exit(bad_usage);
}

double number(const char* option, const std::string& text, double least, double most) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value >= least && value <= most)) {
        char range[64];
        std::snprintf(range, sizeof(range), "%g to %g", least, most);
        refuse(std::string(option) + " takes a number from " + range + ", not '" + text + "'");
    }
    return value;
}

double whole_number(const char* option, const std::string& text, double least, double most) {
    const double value = number(option, text, least, most);
    if (value != std::floor(value)) refuse(std::string(option) + " takes a whole number");
    return value;
}

// A list of names, as the set of their numbers in `kinds`.
template <std::size_t N>
std::bitset<N> set_of(const char* option, const kind (&kinds)[N], std::string_view list) {
    std::bitset<N> set;
    for (;;) {
        const std::string_view name = list.substr(0, list.find(','));
        std::size_t found = 0;
        while (found < N && name != kinds[found].name)
            ++found;
        if (found == N) {
            refuse(std::string(option) + ": there is no kind '" + std::string(name) + "'");
        }
        set.set(found);
        if (name.size() == list.size()) return set;
        list.remove_prefix(name.size() + 1);
    }
}

breakage breakage_of(std::string_view name) {
    for (const named_breakage& one : breakages) {
        if (name == one.name) return one.which;
    }
    refuse("--break takes no-barrier, no-wait, early-free or relaxed-scan, not '" +
           std::string(name) + "'");
}

template <std::size_t N>
void list(const char* title, const kind (&kinds)[N]) {
    std::printf("%s\n", title);
    for (const kind& one : kinds)
        std::printf("  %-10s %s\n", one.name, one.what);
}

void read_flag(options& want, const std::string& name) {
    if (name == "--stutter") {
        want.stutter = true;
    } else if (name == "--forks") {
        want.forks = true;
    } else if (name == "--help") {
        std::fputs(usage, stdout);
        std::exit(success);
    } else if (name == "--list") {
        list("readers (--kinds=)", readers);
        list("updaters (--updaters=)", updaters);
        std::exit(success);
    } else {
        refuse("there is no option '" + name + "', or it takes a value after '='");
    }
}

void read_option(options& want, const std::string& name, const std::string& value) {
    if (name == "--seconds") {
        want.seconds = number("--seconds", value, 0.001, 1e6);
    } else if (name == "--readers") {
        want.readers = unsigned(whole_number("--readers", value, 1, 64));
    } else if (name == "--writers") {
        want.writers = unsigned(whole_number("--writers", value, 1, 64));
    } else if (name == "--kinds") {
        want.kinds = set_of("--kinds", readers, value);
    } else if (name == "--updaters") {
        want.updaters = set_of("--updaters", updaters, value);
    } else if (name == "--seed") {
        want.seed = std::uint64_t(whole_number("--seed", value, 0, 1e15));
    } else if (name == "--break") {
        want.broken = breakage_of(value);
    } else {
        refuse("there is no option '" + name + "' with a value");
    }
}

// What was not said. Readers whose counts wait are the ones to miss a barrier.
void fill_in(options& want) {
    const bool no_barrier = want.broken == breakage::no_barrier;
    if (want.kinds.none()) {
        if (no_barrier) {
            want.kinds.set(buffered);
        } else {
            want.kinds.set();
        }
    }
    if (want.updaters.none()) {
        if (no_barrier) {
            want.updaters.set(sync);
        } else {
            want.updaters.set();
        }
    }
    const char* const stress = std::getenv("NMIRCU_STRESS_SECONDS");
    if (stress != nullptr && want.broken == breakage::none) {
        want.seconds = number("$NMIRCU_STRESS_SECONDS", stress, 0.001, 1e6);
    }
    if (want.seconds == 0) want.seconds = want.broken == breakage::none ? 2 : 20;
}

template <std::size_t N>
std::string names(const std::bitset<N>& set, const kind (&kinds)[N]) {
    if (set.all()) return "all";
    std::string text;
    for (std::size_t i = 0; i < N; ++i) {
        if (!set[i]) continue;
        if (!text.empty()) text += ',';
        text += kinds[i].name;
    }
    return text;
}

}  // namespace

options parse(int argc, char** argv) {
    options want;
    for (int i = 1; i < argc; ++i) {
        const std::string text = argv[i];
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos) {
            read_flag(want, text);
        } else {
            read_option(want, text.substr(0, equals), text.substr(equals + 1));
        }
    }
    fill_in(want);
    return want;
}

std::string describe(const options& want) {
    char numbers[96];
    std::snprintf(numbers, sizeof(numbers), "--seconds=%g --readers=%u --writers=%u --seed=%llu",
                  want.seconds, want.readers, want.writers,
                  static_cast<unsigned long long>(want.seed));
    std::string text = std::string(numbers) + " --kinds=" + names(want.kinds, readers) +
                       " --updaters=" + names(want.updaters, updaters);
    if (want.stutter) text += " --stutter";
    if (want.forks) text += " --forks";
    for (const named_breakage& one : breakages) {
        if (want.broken == one.which) text += std::string(" --break=") + one.name;
    }
    return text;
}

}  // namespace torture
