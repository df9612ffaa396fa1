# SPDX-License-Identifier: MIT
#
# Property: whatever is wrong with what nmi is asked to do, it says so in one line on stderr (what was
# tried, what stopped it, what to try), exits with the documented status, and the program it was to
# enter is not started, or goes on as if nobody had asked.
import os
import shutil
import socket
import struct
import subprocess
import unittest

from command import CommandTest, NMI, PROGRAM, module

ELF_MACHINE_AT = 18
OTHER_MACHINE = 243  # RISC-V; whatever this is, it is not that


class Usage(CommandTest):
    def test_what_makes_no_sense(self):
        for words in ([], ["frobnicate"], ["--bogus"], ["run"], ["run", "--"],
                      ["run", "--bogus", PROGRAM], ["run", "-F"], ["run", "-F", "0", PROGRAM],
                      ["run", "-F", "20001", PROGRAM], ["run", "-F", "many", PROGRAM],
                      ["run", "--source", "sun", PROGRAM], ["run", "-m", "a,b", PROGRAM],
                      ["run", "-m", ",a=b", PROGRAM], ["run", "-m", "a,=b", PROGRAM],
                      ["run", "-m", "none", "-m", "profiler", PROGRAM], ["run", "-o", "", PROGRAM],
                      ["run", "-o", "folder/", PROGRAM], ["load"], ["load", "1"],
                      ["load", "one", "profiler"], ["load", "-1", "profiler"],
                      ["load", "1", "profiler", "extra"], ["load", "1", "profiler,x"],
                      ["load", "1", "profiler", "-F", "0"], ["swap", "1", "profiler"],
                      ["swap", "1", "a", "b", "c"], ["unload", "1"],
                      ["status", "1", "2"], ["attach"], ["attach", "1", "2"],
                      ["attach", "one"], ["attach", "1", "--force"], ["detach"],
                      ["detach", "0"], ["detach", "1", "--seccomp"], ["status", "1", "--xml"], ["status", "--watch=0"],
                      ["status", "--watch=soon", "1"], ["status", "1", "--watch", "5"], ["status", "99999999999"],
                      ["record"], ["record", "--"], ["record", "1", "--", PROGRAM],
                      ["record", "1", "--"], ["record", "one"], ["record", "1", "2"],
                      ["record", "1", "--mode", "sleep"], ["record", "1", "-F", "0"],
                      ["record", "1", "--mode", "wall", "--source", "perf"],
                      ["record", "1", "--idle"], ["record", "--seccomp", "--", PROGRAM],
                      ["record", "1", "--call-graph", "lbr"],
                      ["record", "1", "--call-graph", "fp,512"],
                      ["record", "1", "--call-graph", "dwarf,"],
                      ["record", "1", "--call-graph", "dwarf,10"],
                      ["record", "1", "--call-graph", "dwarf,99999"],
                      ["record", "1", "-d", "0"], ["record", "1", "-d", "soon"],
                      ["record", "1", "-o", "x.pdf"], ["record", "1", "-o", ""],
                      ["record", "1", "-o", "folder/.svg"],
                      ["record", "1", "-o", "a.svg", "-o", "a.svg"],
                      ["report"], ["report", "a", "b"], ["report", "x", "--threads"],
                      ["report", "x", "-o", "x.pdf"], ["diff", "a"], ["diff", "a", "b"],
                      ["diff", "a", "b", "-o", "x.folded"], ["top"], ["top", "1", "2"],
                      ["top", "1", "-d", "0"], ["top", "1", "-n", "0"],
                      ["top", "1", "--looks", "0"]):
            with self.subTest(words=words):
                self.assert_one_line(self.nmi(*words), 2, "try ")

    def test_help_is_no_mistake(self):
        for words in (["--help"], ["run", "--help"], ["load", "-h"], ["swap", "-h"],
                      ["unload", "-h"], ["status", "-h"],
                      ["attach", "-h"], ["detach", "-h"], ["record", "-h"], ["report", "-h"],
                      ["diff", "-h"], ["top", "-h"], ["--version"]):
            with self.subTest(words=words):
                done = self.nmi(*words)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("nmi", done.stdout)


class Programs(CommandTest):
    def write(self, name, contents, mode=0o755):
        with open(self.path(name), "wb") as file:
            file.write(contents)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def program_bytes(self):
        with open(PROGRAM, "rb") as file:
            return file.read()

    def refuse(self, code, *parts, program, words=()):
        self.assert_one_line(self.nmi("run", *words, program, "ready", self.path("ran")), code,
                             "; ", *parts)
        self.assertFalse(os.path.exists(self.path("ran")), "the program ran")

    def test_not_found(self):
        self.refuse(127, "no-such-program", program="no-such-program")
        self.refuse(127, "/no/such/program", program="/no/such/program")
        self.refuse(127, program=PROGRAM + "/below")
        self.refuse(127, program="")

    def test_not_executable(self):
        self.refuse(126, program=self.write("plain", self.program_bytes(), 0o644))
        self.refuse(126, program=self.folder)
        self.environment["PATH"] = self.folder
        self.refuse(126, "plain", program="plain")
        self.refuse(126, "#!", program=self.write("garbage", b"what is this\n"))
        self.refuse(126, program=self.write("empty", b""))
        self.refuse(126, program=self.write("cut", self.program_bytes()[:40]))

    def test_other_machine(self):
        image = bytearray(self.program_bytes())
        struct.pack_into("<H", image, ELF_MACHINE_AT, OTHER_MACHINE)
        self.refuse(126, "another kind of machine", program=self.write("other", bytes(image)))

    def test_statically_linked(self):
        # An ELF header and one loadable segment, and nothing that asks for a dynamic loader.
        image = bytearray(self.program_bytes()[:64])
        struct.pack_into("<Q", image, 32, 64)          # program headers follow
        struct.pack_into("<Q", image, 40, 0)           # no sections
        struct.pack_into("<HHHHHH", image, 52, 64, 56, 1, 64, 0, 0)
        image += struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120, 120, 0x1000)
        static = self.write("static", bytes(image))
        self.refuse(1, "statically linked", "preload", program=static)
        self.refuse(1, "statically linked", program=self.write("by-static", f"#!{static}\n".encode()))

    def test_another_dynamic_loader(self):
        image = self.program_bytes()
        at = image.index(b"ld-linux")
        self.refuse(1, "ld-muslx", program=self.write(
            "musl", image[:at] + b"ld-muslx" + image[at + 8:]))

    def test_setuid_and_setgid(self):
        for bits, word in ((0o4755, "setuid"), (0o2755, "setgid")):
            program = self.write(word, self.program_bytes())
            os.chmod(program, bits)
            if os.stat(program).st_mode & 0o7777 != bits:
                self.skipTest("cannot set " + word)
            self.refuse(1, word, "LD_PRELOAD", program=program)

    def test_file_capabilities(self):
        program = self.write("capable", self.program_bytes())
        version_2_with_net_raw = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
        try:
            os.setxattr(program, "security.capability", version_2_with_net_raw)
        except OSError as why:
            self.skipTest(str(why))
        self.refuse(1, "capabilities", "LD_PRELOAD", program=program)

    def test_scripts(self):
        self.refuse(127, "/no/such/shell", program=self.write("lost", b"#!/no/such/shell\n"))
        self.refuse(127, "no-such-shell", program=self.write("env", b"#!/usr/bin/env no-such-shell\n"))
        self.refuse(126, program=self.write("none", b"#!\n"))
        loop = self.path("loop")
        self.refuse(126, program=self.write("loop", f"#!{loop}\n".encode()))

    def test_modules(self):
        text = self.write("text.so", b"no module at all\n")
        for word, part in (("no-such-module", "no-such-module"), ("./none.so", "none.so"),
                           (text, "not an ELF file"), (self.folder + "/", ""),
                           (module("no_module"), "exports no nmi_module"),
                           (module("next_abi"), "ABI version 2"), (PROGRAM, ""),
                           (module("refuses"), "wrong phase wait a week"),
                           ("profiler,colour=red", "colour"), ("profiler,depth=deep", "deep"),
                           ("profiler,depth=0", "depth")):
            with self.subTest(module=word):
                self.refuse(1, part, program=PROGRAM, words=("-m", word))

    def test_a_second_module_of_the_same_name(self):
        self.refuse(1, "quiet", program=PROGRAM, words=("-m", module("quiet"), "-m", module("quiet")))

    def test_outputs_that_cannot_be_written(self):
        for option in ("-o", "--report", "--pid-file"):
            with self.subTest(option=option):
                self.refuse(1, "/no/such/folder", program=PROGRAM,
                            words=(option, "/no/such/folder/file"))
        os.mkdir(self.path("taken.svg"))
        self.refuse(1, "taken.svg", program=PROGRAM, words=("-o", "taken"))

    def test_outputs_of_a_recording_that_cannot_be_written(self):
        for option in ("/no/such/folder/x.svg", self.folder + ".svg/x.txt"):
            self.assert_one_line(
                self.nmi("record", "-o", option, "--", PROGRAM, "ready", self.path("ran")), 1, option)
        os.mkdir(self.path("profile.pb.gz"))
        self.assert_one_line(self.nmi("record", "--", PROGRAM, "ready", self.path("ran")), 1,
                             "profile.pb.gz", "; try ")
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_programs_that_cannot_be_recorded(self):
        self.assert_one_line(self.nmi("record", "--", "no-such-program"), 127, "no-such-program")
        self.assert_one_line(self.nmi("record", "--", self.write("plain", b"", 0o644)), 126, "plain")

    def test_a_socket_path_that_is_too_long(self):
        deep = self.path("d" * 80)
        os.mkdir(deep, 0o700)
        self.environment["XDG_RUNTIME_DIR"] = deep
        self.refuse(1, "longer than", "XDG_RUNTIME_DIR", program=PROGRAM)

    def test_a_socket_folder_that_others_may_enter(self):
        os.mkdir(self.path("nmi"))
        os.chmod(self.path("nmi"), 0o777)
        self.refuse(1, self.path("nmi"), program=PROGRAM)

    def test_no_agent_to_preload(self):
        self.environment["NMI_LIBRARY_DIR"] = self.folder
        self.refuse(1, "nmi-agent.so", "NMI_LIBRARY_DIR", program=PROGRAM,
                    words=("-m", module("quiet")))

    def test_an_agent_that_cannot_stand_in_ld_preload(self):
        spaced = self.path("a folder")
        os.mkdir(spaced)
        open(os.path.join(spaced, "nmi-agent.so"), "w").close()
        self.environment["NMI_LIBRARY_DIR"] = spaced
        self.refuse(1, "a folder/nmi-agent.so", "LD_PRELOAD", program=PROGRAM,
                    words=("-m", module("quiet")))


class Processes(CommandTest):
    """Requests to processes that have no agent, or are none of ours."""

    def assert_refused(self, pid, code, *parts, more=()):
        for words in (["status", pid], ["detach", pid], ["unload", pid, "quiet"],
                      ["swap", pid, "quiet", module("quiet")], *more):
            with self.subTest(words=words):
                self.assert_one_line(self.nmi(*words), code, "; try ", *parts)

    def sleeper(self):
        child = subprocess.Popen(["sleep", "1000"], env=self.environment)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def test_no_such_process(self):
        child = subprocess.Popen(["true"])
        child.wait()
        pid = str(child.pid)
        self.assert_refused(pid, 1, f"no process {child.pid}",
                            more=[["load", pid, module("quiet")], ["attach", pid]])

    def test_a_process_without_an_agent(self):
        child = self.sleeper()
        self.assert_refused(str(child.pid), 1, f"no agent in process {child.pid}", "nmi run")
        self.assertIsNone(child.poll())

    def test_a_process_is_not_touched_where_nothing_can_be_written(self):
        child = self.sleeper()
        self.assert_one_line(self.nmi("record", "-o", "/no/such/folder/x.svg", str(child.pid)), 1,
                             "/no/such/folder")
        self.assert_refused(str(child.pid), 1, "no agent")

    def test_a_socket_that_somebody_else_answers(self):
        child = self.sleeper()
        os.mkdir(self.path("nmi"), 0o700)
        with socket.socket(socket.AF_UNIX) as impostor:
            impostor.bind(self.path(f"nmi/{child.pid}.sock"))
            impostor.listen()
            self.assert_refused(str(child.pid), 1, f"no agent in process {child.pid}")

    def test_a_socket_that_nobody_answers(self):
        child = self.sleeper()
        os.mkdir(self.path("nmi"), 0o700)
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(self.path(f"nmi/{child.pid}.sock"))
        self.assert_refused(str(child.pid), 1, f"no agent in process {child.pid}")

    def test_somebody_elses_process(self):
        child = self.sleeper()
        pid, options = str(child.pid), {}
        if os.geteuid() == 0:
            # As root everything is ours, so be nobody; who needs a command that nobody can read.
            os.chmod(self.folder, 0o755)
            for file in (NMI, module("quiet")):
                shutil.copy(file, self.folder)
            command = self.path(os.path.basename(NMI))
            for words in (["status", pid], ["load", pid, "./quiet.so"], ["unload", pid, "quiet"],
                          ["attach", pid], ["detach", pid]):
                done = subprocess.run([command, *words], user=65534, group=65534, extra_groups=[],
                                      cwd=self.folder, capture_output=True, text=True)
                self.assert_one_line(done, 1, "belongs to user 0", "; try ")
        else:
            self.assert_refused("1", 1, "belongs to user 0")
        self.assertIsNone(child.poll())


class Targets(CommandTest):
    """Requests that a running agent refuses, and the program that must not notice."""

    def setUp(self):
        super().setUp()
        self.program = self.start("run", "-m", module("quiet"), "--pid-file", "pid", PROGRAM,
                                  "wait", self.path("over"), "print", "untouched", "exit", "7")
        self.pid = self.wait_for_file("pid").strip()

    def tearDown(self):
        open(self.path("over"), "w").close()
        output, _ = self.program.communicate(timeout=60)
        self.assertEqual((self.program.returncode, output), (7, "untouched\n"))

    def refuse(self, *words, parts=()):
        self.assert_one_line(self.nmi(*words), 1, "; ", *parts)

    def loaded(self):
        done = self.nmi("status", self.pid)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_modules_that_cannot_be_loaded(self):
        with open(self.path("text.so"), "w") as file:
            file.write("no module")
        for word, part in (("no-such-module", "no-such-module"), ("./none.so", "none.so"),
                           ("./text.so", "not an ELF file"), (module("no_module"), "nmi_module"),
                           (module("next_abi"), "ABI version")):
            with self.subTest(module=word):
                self.refuse("load", self.pid, word, parts=[f"into {self.pid}", part])
                self.refuse("swap", self.pid, "quiet", word, parts=[f"in {self.pid}", part])
        for part, words in (("colour", ["load", self.pid, "profiler,colour=red"]),
                            ("-3", ["load", self.pid, "profiler,depth=-3"]),
                            ("profiler", ["swap", self.pid, "quiet", "profiler"]),
                            ("wrong phase", ["swap", self.pid, "quiet", module("refuses")])):
            with self.subTest(words=words):
                self.refuse(*words, parts=[part])
        self.assertIn("quiet", self.loaded())
        self.assertNotIn("swapped", self.loaded())

    def test_a_second_handler_of_the_same_name(self):
        self.refuse("load", self.pid, module("quiet"), parts=["quiet"])

    def test_names_that_are_not_loaded(self):
        self.refuse("unload", self.pid, "nobody", parts=["nobody"])
        self.refuse("swap", self.pid, "nobody", module("quiet"), parts=["nobody"])
        self.refuse("unload", self.pid, "", parts=[])
        done = self.nmi("unload", self.pid, "quiet")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.refuse("unload", self.pid, "quiet", parts=["quiet"])

    def test_a_request_that_is_too_long(self):
        self.refuse("unload", self.pid, "x" * 70000)


if __name__ == "__main__":
    unittest.main()
