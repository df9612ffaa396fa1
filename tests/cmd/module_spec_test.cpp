// SPDX-License-Identifier: MIT
//
// Property: MODULE[,key=value...] is understood or refused as a whole; nothing is guessed.
#include <nmi/module_spec.hpp>

#include <gtest/gtest.h>

#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

int refusal_of(const char* text) {
    try {
        parse_module_spec(text);
    } catch (const complaint& why) {
        return why.exit_code();
    }
    return 0;
}

TEST(module_spec, a_name_alone) {
    const module_spec spec = parse_module_spec("profiler");
    EXPECT_EQ(spec.module, "profiler");
    EXPECT_TRUE(spec.arguments.empty());
}

TEST(module_spec, a_path_with_arguments) {
    const module_spec spec = parse_module_spec("./a.so,depth=64,text=a=b,empty=");
    EXPECT_EQ(spec.module, "./a.so");
    EXPECT_EQ(spec.arguments, (std::vector<std::string>{"depth=64", "text=a=b", "empty="}));
}

TEST(module_spec, refuses_what_is_no_module_or_no_argument) {
    for (const char* text : {"", ",a=b", "x,", "x,,a=b", "x,a", "x,=b", "x,a=b,"}) {
        EXPECT_EQ(refusal_of(text), exit_usage) << text;
    }
}

TEST(module_spec, a_missing_module_is_an_error_that_names_it) {
    try {
        find_module({"/nonexistent/m.so", {}}, "load it");
        FAIL();
    } catch (const complaint& why) {
        EXPECT_EQ(why.exit_code(), exit_error);
        EXPECT_NE(std::string(why.what()).find("/nonexistent/m.so"), std::string::npos);
    }
}

}  // namespace
}  // namespace nmircu::command
