// SPDX-License-Identifier: MIT
//
// Property: C++ and Rust names (both schemes) become what the source says; whatever else is left as
// it is; no name takes long, or becomes long.
#include <nmi/symbols/demangle.hpp>

#include <chrono>

#include <gtest/gtest.h>

namespace nmircu::command {
namespace {

TEST(demangle, cpp) {
    EXPECT_EQ(demangle("_ZN1a1bEv"), "a::b()");
    EXPECT_EQ(demangle("_ZNSt6vectorIiSaIiEE9push_backERKi"),
              "std::vector<int, std::allocator<int> >::push_back(int const&)");
    EXPECT_EQ(demangle("_ZZ4mainENKUlvE_clEv"), "main::{lambda()#1}::operator()() const");
    EXPECT_EQ(demangle("_Z3fooi.cold"), "foo(int) [clone .cold]");
}

TEST(demangle, rust_before_2021) {
    EXPECT_EQ(demangle("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"),
              "core::fmt::Formatter::pad");
    EXPECT_EQ(
        demangle("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
                 "3bar17h930b740aa94f1d3aE"),
        "<Test + 'static as foo::Bar<Test>>::bar");
}

TEST(demangle, rust_of_today) {
    EXPECT_EQ(demangle("_RNvC6_123foo3bar"), "123foo::bar");
    EXPECT_EQ(demangle("_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate"),
              "<std::path::PathBuf>::new");
}

TEST(demangle, versions_of_symbols_are_no_part_of_the_name) {
    EXPECT_EQ(demangle("memcpy@@GLIBC_2.14"), "memcpy");
    EXPECT_EQ(demangle("_ZN1a1bEv@VERSION_1"), "a::b()");
    EXPECT_EQ(demangle("@odd"), "@odd");
}

TEST(demangle, what_it_does_not_know_it_leaves) {
    for (const char* name :
         {"main", "_Zgarbage", "_Rgarbage", "_ZN", "_R", "", "[anon]", "LazyCompile:~f x.js:3"})
        EXPECT_EQ(demangle(name), name);
}

TEST(demangle, names_that_explode_are_left) {
    // Each level says the one before twice.
    std::string name = "_Z1fN1aE";
    std::string doubling = "_Z1fSt4pairIiiE";
    for (int i = 0; i < 60; ++i)
        doubling +=
            "St4pairIS" +
            std::string(
                i == 0 ? ""
                       : std::string(1, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(i - 1) % 36])) +
            "_S" +
            std::string(
                i == 0 ? ""
                       : std::string(1, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(i - 1) % 36])) +
            "_E";
    std::string nested = "_Z1f";
    for (int i = 0; i < 5000; ++i)
        nested += "P";
    for (const std::string& one : {doubling, nested + "i", "_Z" + std::string(100'000, '9'),
                                   "_RNv" + std::string(20'000, 'B')}) {
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_LE(demangle(one).size(), std::max<std::size_t>(one.size(), 16384));
        RecordProperty(
            "ms", static_cast<int>((std::chrono::steady_clock::now() - begin).count() / 1000000));
    }
}

}  // namespace
}  // namespace nmircu::command
