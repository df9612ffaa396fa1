// SPDX-License-Identifier: MIT
//
// Property: a module can be loaded, swapped and unloaded while its handler runs on every thread;
// each generation has its own code and data, none runs after its exit, nothing of it stays mapped,
// no count is lost; and whatever cannot be a module is refused in one line, the program unharmed.
#include <sys/mman.h>
#include <sys/stat.h>

#include <set>

#include <ring/reader.hpp>

#include "agent/program.hpp"

namespace {

using namespace test;
using nmircu::ring::reader;

message load(const program& target, const std::string& path, message more = {}) {
    message request{"load", path, "1000", "auto"};
    request.insert(request.end(), more.begin(), more.end());
    return target.ask(request);
}

// A byte that a module looks at.
class flag {
  public:
    explicit flag(const scratch& folder) : path_(folder.write("flag", std::string(1, '\1'))) {
        const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
        byte_ = static_cast<volatile char*>(
            mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        close(fd);
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    void clear() { *byte_ = 0; }

  private:
    std::string path_;
    volatile char* byte_;
};

// Who was interrupted, by which generation.
struct witnesses {
    std::multiset<std::uint32_t> tags;
    std::set<std::uint32_t> threads;
};

std::unique_ptr<reader> open_rings(const program& target) {
    peer one = target.connect();
    EXPECT_THAT(one.ask({"rings"}), is_ok());
    std::string why;
    auto rings = reader::open(one.take_file().get(), why);
    EXPECT_TRUE(rings) << why;
    return rings;
}

void read_into(reader& rings, witnesses& out) {
    rings.poll([&](const nmircu::ring::record& found) {
        ASSERT_EQ(found.kind, 1024u);
        std::uint32_t words[2];
        ASSERT_EQ(found.payload.size(), sizeof words);
        std::memcpy(words, found.payload.data(), sizeof words);
        out.threads.insert(words[0]);
        out.tags.insert(words[1]);
    });
}

constexpr std::uint32_t poison = 0xdead;

TEST(agent_modules, load_run_unload) {
    program target;
    target.tell("burn 2");
    const message reply = load(target, WITNESS, {"tag=1"});
    ASSERT_THAT(reply, is_ok());
    EXPECT_EQ(reply[1], "witness");
    EXPECT_TRUE(target.maps("witness.so"));
    ASSERT_TRUE(target.wait_for_calls("witness", 50));
    const status_lines running = target.status();
    EXPECT_NE(running.line("source")[0], "none");
    EXPECT_EQ(running.line("source")[1], "1000");
    EXPECT_EQ(running.line("handler", "witness")[status_lines::path], WITNESS);

    EXPECT_EQ(target.ask({"unload", "witness"}), (message{"ok", ""}));
    EXPECT_FALSE(target.maps("witness.so"));
    const status_lines after = target.status();
    EXPECT_EQ(after.line("source")[0], "none");
    EXPECT_TRUE(after.line("handler").empty());
    EXPECT_GE(after.number("retired", status_lines::calls, "witness"), 50u);
    target.tell("stop");
}

TEST(agent_modules, a_swap_runs_the_new_generation_only_and_keeps_the_counts) {
    program target;
    target.tell("burn 2");
    ASSERT_THAT(load(target, WITNESS, {"tag=1"}), is_ok());
    const std::unique_ptr<reader> rings = open_rings(target);
    ASSERT_TRUE(target.wait_for_calls("witness"));
    witnesses before;
    read_into(*rings, before);
    EXPECT_GE(before.tags.count(1), 20u);

    scratch folder;
    const std::string copy = folder.copy(WITNESS, "other-witness.so");
    EXPECT_EQ(target.ask({"swap", "witness", copy, "tag=2"}), (message{"ok", "witness", ""}));
    EXPECT_FALSE(target.maps("/witness.so"));
    EXPECT_TRUE(target.maps("other-witness.so"));
    witnesses during;
    read_into(*rings, during);  // of both: what the old one left before the swap
    ASSERT_TRUE(target.wait_for_calls("witness"));
    witnesses after;
    read_into(*rings, after);
    EXPECT_EQ(after.tags.count(1), 0u);
    EXPECT_GE(after.tags.count(2), 20u);

    ASSERT_THAT(target.ask({"unload", "witness"}), is_ok());
    witnesses rest;
    read_into(*rings, rest);
    const status_lines last = target.status();
    EXPECT_EQ(last.number("retired", status_lines::generation, "witness"), 2u);
    // Every call left one record, and none of them was late.
    const std::size_t records =
        before.tags.size() + during.tags.size() + after.tags.size() + rest.tags.size();
    EXPECT_EQ(records + last.sum("lost"), last.number("retired", status_lines::calls, "witness"));
    EXPECT_EQ(rest.tags.count(poison) + after.tags.count(poison), 0u);
}

TEST(agent_modules, the_same_file_again_is_fresh_code_with_fresh_data) {
    program target;
    target.tell("burn 1");
    ASSERT_THAT(load(target, WITNESS, {"tag=1"}), is_ok());
    ASSERT_TRUE(target.wait_for_calls("witness", 5));
    for (int i = 2; i < 6; ++i) {
        ASSERT_THAT(target.ask({"swap", "witness", WITNESS, "tag=" + std::to_string(i)}), is_ok());
        ASSERT_TRUE(target.wait_for_calls("witness", 5));
    }
    const std::unique_ptr<reader> rings = open_rings(target);
    witnesses seen;
    read_into(*rings, seen);
    for (std::uint32_t tag = 1; tag < 6; ++tag)
        EXPECT_GE(seen.tags.count(tag), 1u) << tag;
    EXPECT_EQ(seen.tags.count(0) + seen.tags.count(poison), 0u);
    ASSERT_THAT(target.ask({"unload", "witness"}), is_ok());
    EXPECT_FALSE(target.maps("witness.so"));
}

TEST(agent_modules, many_loads_swaps_and_unloads_leave_nothing_behind) {
    program target;
    target.tell("burn 4");
    const std::unique_ptr<reader> rings = open_rings(target);
    witnesses seen;
    for (int round = 0; round < 40; ++round) {
        ASSERT_THAT(load(target, WITNESS, {"tag=" + std::to_string(round + 1)}), is_ok());
        ASSERT_THAT(target.ask({"swap", "witness", WITNESS, "tag=1000"}), is_ok());
        ASSERT_TRUE(target.wait_for_calls("witness", 2));
        ASSERT_THAT(target.ask({"unload", "witness"}), is_ok());
        read_into(*rings, seen);
    }
    EXPECT_FALSE(target.maps("witness.so"));
    EXPECT_EQ(seen.tags.count(poison) + seen.tags.count(0), 0u);
    const status_lines last = target.status();
    EXPECT_EQ(seen.tags.size() + last.sum("lost"),
              last.number("retired", status_lines::calls, "witness"));
    // Late ones, that came when nobody was registered, are the rest.
    EXPECT_EQ(last.sum("nmi"),
              last.number("retired", status_lines::handled, "witness") + last.number("unknown", 0));
}

// Whatever a module has queued has run before its exit, and none of it runs in unmapped code.
TEST(agent_modules, what_a_handler_queued_has_run_before_its_code_goes) {
    program target;
    target.tell("burn 4");
    for (int round = 0; round < 30; ++round) {
        ASSERT_THAT(load(target, DEFERRING), is_ok());
        ASSERT_TRUE(target.wait_for_calls("deferring", 5));
        if (round % 3 == 0) {
            ASSERT_THAT(target.ask({"swap", "deferring", DEFERRING}), is_ok());
            ASSERT_TRUE(target.wait_for_calls("deferring", 5));
        }
        ASSERT_THAT(target.ask({"unload", "deferring"}), is_ok());
        EXPECT_FALSE(target.maps("deferring.so"));
    }
    EXPECT_EQ(target.tell("alive"), "yes");
}

TEST(agent_modules, several_modules_share_the_source) {
    program target;
    target.tell("burn 1");
    ASSERT_THAT(load(target, WITNESS), is_ok());
    ASSERT_THAT(load(target, SECOND_WITNESS), is_ok());
    EXPECT_TRUE(target.wait_for_calls("second_witness"));
    EXPECT_THAT(target.ask({"load", FAULTLESS, "500", "auto"}),
                is_refused(failure::source_failed, "1000 Hz"));
    EXPECT_FALSE(target.maps("faultless.so"));
    ASSERT_THAT(target.ask({"unload", "witness"}), is_ok());
    EXPECT_TRUE(target.wait_for_calls("second_witness"));
    ASSERT_THAT(target.ask({"unload", "second_witness"}), is_ok());
    EXPECT_EQ(target.status().line("source")[0], "none");
    EXPECT_THAT(target.ask({"load", FAULTLESS, "500", "timer"}), is_ok());
    EXPECT_EQ(target.status().line("source")[1], "500");
}

TEST(agent_modules, what_init_opens_exit_can_use) {
    // On the program's table of descriptors, not on the agent's own.
    program target;
    scratch folder;
    ASSERT_THAT(load(target, WITNESS, {"open=" + (folder / "log")}), is_ok());
    EXPECT_EQ(target.tell("lowest_fd"), "4");
    ASSERT_THAT(target.ask({"unload", "witness"}), is_ok());
    std::ifstream log(folder / "log");
    std::string text;
    log >> text;
    EXPECT_EQ(text, "left");
}

struct wrong_file {
    const char* what;
    std::string path;
    failure code;
    const char* text;
};

TEST(agent_modules, refuses_what_is_no_module) {
    program target;
    scratch folder;
    std::ifstream good(WITNESS, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(good), {}};
    std::string other_machine = bytes;
    other_machine[18] = 3;  // e_machine: EM_386
    mkfifo((folder / "fifo.so").c_str(), 0600);
    chmod(folder.write("writable.so", bytes).c_str(), 0666);
    chmod(folder.write("group.so", bytes).c_str(), 0620);
    const wrong_file files[] = {
        {"missing", folder / "none.so", failure::module_missing, "No such file"},
        {"relative", "witness.so", failure::malformed, "absolute"},
        {"nothing", "", failure::malformed, "absolute"},
        {"folder", "/tmp", failure::module_invalid, "not a regular file"},
        {"fifo", folder / "fifo.so", failure::module_invalid, "not a regular file"},
        {"device", "/dev/null", failure::module_invalid, "not a regular file"},
        {"empty", folder.write("empty.so", ""), failure::module_invalid, "not an ELF file"},
        {"text", folder.write("text.so", std::string(5000, 'x')), failure::module_invalid,
         "not an ELF file"},
        {"program", TARGET, failure::module_invalid, "is a program"},
        {"object file", OBJECT_FILE, failure::module_invalid, "is not a shared object"},
        {"other machine", folder.write("i386.so", other_machine), failure::module_invalid,
         "another kind of machine"},
        {"cut short", folder.write("short.so", bytes.substr(0, bytes.size() / 2)),
         failure::module_invalid, "cut short"},
        {"header alone", folder.write("header.so", bytes.substr(0, 64)), failure::module_invalid,
         "cut short"},
        {"a library", THIRD_PARTY, failure::module_invalid, "no symbol nmi_module"},
        {"no symbol", WRONG "_without_symbol.so", failure::module_invalid, "no symbol nmi_module"},
        {"abi", WRONG "_abi.so", failure::module_abi, "version 7 of module.h"},
        {"bytes", WRONG "_bytes.so", failure::module_abi, "8 bytes"},
        {"name", WRONG "_name.so", failure::module_invalid, "no name of 1 to 31"},
        {"long name", WRONG "_long_name.so", failure::module_invalid, "no name of 1 to 31"},
        {"no name", WRONG "_no_name.so", failure::module_invalid, "no name of 1 to 31"},
        {"no summary", WRONG "_summary.so", failure::module_invalid, "no summary"},
        {"no handler", WRONG "_handler.so", failure::module_invalid, "no handler"},
        {"undefined symbol", WRONG "_needs.so", failure::module_invalid, "nobody_has_this"},
        {"writable by all", folder / "writable.so", failure::module_invalid, "mode 666"},
        {"writable by its group", folder / "group.so", failure::module_invalid, "mode 620"},
    };
    for (const wrong_file& file : files) {
        EXPECT_THAT(load(target, file.path), is_refused(file.code, file.text)) << file.what;
    }
    EXPECT_EQ(target.tell("alive"), "yes");
    EXPECT_EQ(target.status().line("source")[0], "none");
    EXPECT_FALSE(target.maps(folder / ""));
    EXPECT_FALSE(target.maps("wrong_"));
    EXPECT_THAT(load(target, WITNESS), is_ok());
}

TEST(agent_modules, code_that_cannot_be_a_module_does_not_run) {
    // Its constructor would abort the program.
    program target;
    EXPECT_THAT(load(target, WRONG "_aborts.so"), is_refused(failure::module_abi, "version 7"));
    EXPECT_EQ(target.tell("alive"), "yes");
}

TEST(agent_modules, a_file_of_another_user_is_refused) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can make one";
    program target;
    scratch folder;
    const std::string copy = folder.copy(WITNESS, "foreign.so");
    ASSERT_EQ(chown(copy.c_str(), 65534, 65534), 0);
    EXPECT_THAT(load(target, copy), is_refused(failure::module_invalid, "belongs to user 65534"));
}

TEST(agent_modules, refusals_by_init_and_by_name) {
    program target;
    EXPECT_THAT(load(target, WITNESS, {"colour=red"}),
                is_refused(failure::module_refused, "witness refuses: only tag, hold, block"));
    EXPECT_FALSE(target.maps("witness.so"));
    EXPECT_THAT(load(target, FAULTLESS, {"a=b"}),
                is_refused(failure::module_refused, "takes no arguments"));
    EXPECT_FALSE(target.maps("faultless.so"));
    EXPECT_THAT(load(target, WITNESS, {"tag"}), is_refused(failure::malformed, "key=value"));
    EXPECT_THAT(load(target, WITNESS, {"=1"}), is_refused(failure::malformed, "key=value"));
    ASSERT_THAT(load(target, WITNESS), is_ok());
    EXPECT_THAT(load(target, WITNESS), is_refused(failure::name_taken, "witness"));
    EXPECT_THAT(target.ask({"unload", "nobody"}), is_refused(failure::name_unknown, "nobody"));
    EXPECT_THAT(target.ask({"swap", "nobody", WITNESS}),
                is_refused(failure::name_unknown, "nobody"));
    EXPECT_THAT(target.ask({"swap", "witness", FAULTLESS}),
                is_refused(failure::module_invalid, "is called faultless, not witness"));
    EXPECT_THAT(target.ask({"swap", "witness", "/not/there.so"}),
                is_refused(failure::module_missing, "/not/there.so"));
    EXPECT_THAT(target.ask({"swap", "witness", WITNESS, "colour=red"}),
                is_refused(failure::module_refused, "only tag"));
    // After all that it is the one that was loaded, and it runs.
    target.tell("burn 1");
    EXPECT_TRUE(target.wait_for_calls("witness"));
    EXPECT_EQ(target.status().number("handler", status_lines::generation, "witness"), 1u);
}

TEST(agent_modules, refuses_impossible_sources) {
    program target;
    for (const char* rate : {"0", "20001", "999999999", "99999999999", "-1", "1k", ""}) {
        const message reply = target.ask({"load", WITNESS, rate, "auto"});
        EXPECT_EQ(reply[0], "error") << rate;
    }
    EXPECT_THAT(target.ask({"load", WITNESS, "1000", "quantum"}),
                is_refused(failure::malformed, "load takes"));
    EXPECT_FALSE(target.maps("witness.so"));
    EXPECT_TRUE(target.status().line("handler").empty());
}

TEST(agent_modules, code_that_cannot_be_unmapped_is_reported_and_harmless) {
    program target;
    target.tell("burn 1");
    ASSERT_THAT(load(target, STICKY), is_ok());
    ASSERT_TRUE(target.wait_for_calls("sticky"));
    const message reply = target.ask({"unload", "sticky"});
    ASSERT_THAT(reply, is_ok());
    EXPECT_THAT(reply[1], ::testing::HasSubstr("stays in memory"));
    EXPECT_TRUE(target.maps("sticky.so"));
    // Again: not the code that stayed, but a copy.
    ASSERT_THAT(load(target, STICKY), is_ok());
    EXPECT_TRUE(target.maps("memfd:sticky.so"));
    EXPECT_TRUE(target.wait_for_calls("sticky"));
}

TEST(agent_modules, a_handler_that_does_not_return_makes_its_unload_busy_and_nothing_else) {
    scratch folder;
    flag hold(folder);
    program target;
    target.tell("burn 1");
    ASSERT_THAT(load(target, WITNESS, {"hold=" + hold.path(), "tag=9"}), is_ok());
    ASSERT_TRUE(target.wait_for([](const status_lines& now) { return now.sum("nmi") > 0; }));
    peer unloading = target.connect();
    unloading.send({"unload", "witness"});
    // Meanwhile everybody else is served, with the counts from before.
    EXPECT_EQ(target.ask({"hello"})[0], "ok");
    EXPECT_FALSE(target.status().line("handler", "witness").empty());
    const message reply = unloading.receive().value_or(message{});
    EXPECT_THAT(reply, is_refused(failure::busy, "unload was not done within 10 s"));
    hold.clear();
    EXPECT_TRUE(target.wait_for([](const status_lines& now) {
        return now.line("handler").empty() && !now.line("retired", "witness").empty();
    }));
    EXPECT_FALSE(target.maps("witness.so"));
    EXPECT_THAT(load(target, WITNESS), is_ok());
}

TEST(agent_modules, an_init_that_blocks_holds_up_loads_only) {
    scratch folder;
    flag block(folder);
    program target;
    peer loading = target.connect();
    loading.send({"load", WITNESS, "1000", "auto", "block=" + block.path()});
    peer waiting = target.connect();
    waiting.send({"load", FAULTLESS, "1000", "auto"});
    EXPECT_EQ(target.ask({"hello"})[0], "ok");
    EXPECT_EQ(target.ask({"status"})[0], "ok");
    block.clear();
    EXPECT_THAT(loading.receive().value_or(message{}), is_ok());
    EXPECT_THAT(waiting.receive().value_or(message{}), is_ok());
}

TEST(agent_modules, the_program_may_end_in_the_middle_of_a_load) {
    scratch folder;
    flag block(folder);
    program target;
    peer loading = target.connect();
    loading.send({"load", WITNESS, "1000", "auto", "block=" + block.path()});
    EXPECT_EQ(target.ask({"status"})[0], "ok");  // served after the load has begun
    target.order("return 12");
    EXPECT_EQ(target.wait(), 12);
    EXPECT_TRUE(loading.is_closed());
}

TEST(agent_modules, killed_it_leaves_what_was_committed) {
    program target;
    target.tell("burn 2");
    const std::unique_ptr<reader> rings = open_rings(target);
    ASSERT_THAT(load(target, WITNESS, {"tag=5"}), is_ok());
    ASSERT_TRUE(target.wait_for_calls("witness", 100));
    const std::uint64_t calls = target.status().number("handler", status_lines::calls, "witness");
    kill(target.pid(), SIGKILL);
    EXPECT_EQ(target.wait(), 128 + SIGKILL);
    std::uint64_t records = 0;
    rings->drain_after_death([&](const nmircu::ring::record&) { ++records; });
    EXPECT_GE(records, calls);
}

}  // namespace
