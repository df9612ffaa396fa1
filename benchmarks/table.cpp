// SPDX-License-Identifier: MIT
//
// Rounds, medians, ratios and their presentation.
#include "table.hpp"

#include <fmt/core.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>
#include <map>
#include <regex>

namespace bench {

namespace {

double now(stopwatch by) {
    timespec time;
    ::clock_gettime(by == stopwatch::cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// Three significant digits; no figure here deserves more.
std::string number(double value) {
    if (value >= 100) return fmt::format("{:.0f}", value);
    if (value >= 10) return fmt::format("{:.1f}", value);
    return fmt::format("{:.2f}", value);
}

struct figures {
    double median, least, most;
};

// All contestants' rounds, in turn. The first round warms up and is thrown away.
std::vector<figures> measure(const row& wanted, unsigned rounds, double round_seconds) {
    std::vector<std::vector<double>> results(wanted.contestants.size());
    for (unsigned round = 0; round <= rounds; ++round) {
        for (std::size_t i = 0; i < results.size(); ++i) {
            const double result = wanted.contestants[i].round(round_seconds);
            if (round != 0) results[i].push_back(result);
        }
    }
    std::vector<figures> out;
    for (const auto& values : results) {
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        out.push_back({median(values), *least, *most});
    }
    return out;
}

}  // namespace

round_function nanoseconds_each(std::function<void(std::uint64_t)> loop, stopwatch by) {
    return [loop = std::move(loop), by, count = std::uint64_t{0}](double seconds) mutable {
        const auto spent_on = [&](std::uint64_t times) {
            const double start = now(by);
            loop(times);
            return now(by) - start;
        };
        if (count == 0) {
            double spent = 0;
            for (count = 16; (spent = spent_on(count)) < seconds / 8;)
                count *= 2;
            count = static_cast<std::uint64_t>(double(count) * seconds / spent) + 1;
        }
        return spent_on(count) * 1e9 / double(count);
    };
}

round_function nanoseconds_of(std::function<void()> operation, stopwatch by) {
    return [operation = std::move(operation), by](double seconds) {
        std::uint64_t count = 0;
        double spent = 0;
        const double start = now(by);
        for (std::uint64_t batch = 1; spent < seconds; batch *= spent < seconds / 8 ? 2 : 1) {
            for (std::uint64_t i = 0; i < batch; ++i)
                operation();
            count += batch;
            spent = now(by) - start;
        }
        return spent * 1e9 / double(count);
    };
}

struct table::state {
    std::string program;
    bool quick = false;
    bool json = false;
    unsigned rounds = 0;
    std::string filter_text;
    std::regex filter;
    std::map<std::pair<std::string, std::string>, double> medians;
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();

    [[nodiscard]] const double* median_of(const std::string& row_name,
                                          const std::string& who) const;
    std::string judge(const row& wanted, const contestant& who, double figure,
                      nlohmann::ordered_json& out) const;
    void show(const row& wanted, const contestant& who, const figures& figure);
};

table::table(const char* program, int argc, char** argv) : state_(std::make_unique<state>()) {
    CLI::App app{fmt::format("Figures of {}, peers in turn; medians and ratios.", program),
                 program};
    app.add_flag("--quick", state_->quick, "A fifth of the time: for a first look");
    app.add_flag("--json", state_->json, "One JSON object on standard output");
    app.add_option("--rounds", state_->rounds, "Turns that every contestant gets");
    app.add_option("--filter", state_->filter_text, "Only rows that this regular expression finds");
    try {
        app.parse(argc, argv);
        state_->filter = std::regex(state_->filter_text);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    } catch (const std::regex_error& error) {
        fmt::print(stderr, "error: --filter: '{}' is no regular expression: {}\n",
                   state_->filter_text, error.what());
        std::exit(2);
    }
    state_->program = program;
    if (state_->rounds == 0) state_->rounds = state_->quick ? 5 : 15;
}

table::~table() = default;

bool table::wants(const std::string& row_name) const {
    return std::regex_search(row_name, state_->filter);
}

bool table::quick() const {
    return state_->quick;
}

void table::run(const row& wanted) {
    if (!wants(wanted.name)) return;
    if (::isatty(STDERR_FILENO)) fmt::print(stderr, "\r\033[K{} ...", wanted.name);
    const auto all = measure(wanted, state_->rounds, state_->quick ? 0.002 : 0.005);
    if (::isatty(STDERR_FILENO)) fmt::print(stderr, "\r\033[K");
    if (!state_->json) {
        fmt::print("\n{}, {}\n  {:<34} {:>9} {:>9} {:>9}   {:<9} {}\n", wanted.name, wanted.unit,
                   "", "median", "least", "most", "ratio", "goal");
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        state_->medians[{wanted.name, wanted.contestants[i].name}] = all[i].median;
    for (std::size_t i = 0; i < all.size(); ++i)
        state_->show(wanted, wanted.contestants[i], all[i]);
}

const double* table::state::median_of(const std::string& row_name, const std::string& who) const {
    const auto found = medians.find({row_name, who});
    return found == medians.end() ? nullptr : &found->second;
}

// Whether the goal was met, as text; and as JSON, into `out`.
std::string table::state::judge(const row& wanted, const contestant& who, double figure,
                                nlohmann::ordered_json& out) const {
    if (!who.goal) return {};
    const auto& [limit, of, of_row] = *who.goal;
    const double* other = nullptr;
    if (!of.empty()) {
        other = median_of(of_row.empty() ? wanted.name : of_row, of);
        if (other == nullptr) return {};  // filtered out
    }
    const double value = other == nullptr ? figure : figure / *other;
    const bool met = wanted.direction == better::less ? value <= limit : value >= limit;
    out["goal"] = {{"value", value}, {"limit", limit}, {"met", met}};
    if (other != nullptr) {
        out["goal"]["of"] = of;
        out["goal"]["of_row"] = of_row.empty() ? wanted.name : of_row;
    }
    return fmt::format("{}: {} of at {} {}{}{}{}", met ? "met" : "MISSED", number(value),
                       wanted.direction == better::less ? "most" : "least", number(limit),
                       of.empty() ? "" : " x " + of, of_row.empty() ? "" : " in ", of_row);
}

void table::state::show(const row& wanted, const contestant& who, const figures& figure) {
    nlohmann::ordered_json out{{"row", wanted.name},     {"unit", wanted.unit},
                               {"contestant", who.name}, {"median", figure.median},
                               {"least", figure.least},  {"most", figure.most},
                               {"rounds", rounds}};
    std::string ratio_text;
    if (const double* peer = median_of(wanted.name, wanted.peer); peer != nullptr) {
        out["peer"] = wanted.peer;
        out["ratio"] = figure.median / *peer;
        ratio_text = who.name == wanted.peer ? "1" : number(figure.median / *peer);
    }
    const std::string goal_text = judge(wanted, who, figure.median, out);
    rows.push_back(std::move(out));
    if (json) return;
    fmt::print("  {:<34} {:>9} {:>9} {:>9}   {:<9} {}\n", who.name, number(figure.median),
               number(figure.least), number(figure.most), ratio_text, goal_text);
    std::fflush(stdout);
}

int table::finish() {
    if (state_->rows.empty()) {
        fmt::print(stderr, "error: --filter '{}' finds no row\n", state_->filter_text);
        return 2;
    }
    if (state_->json) {
        const nlohmann::ordered_json all{{"program", state_->program}, {"rows", state_->rows}};
        fmt::print("{}\n", all.dump(1));
    }
    return 0;
}

}  // namespace bench
