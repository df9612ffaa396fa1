# SPDX-License-Identifier: MIT
#
# Property: under `nmi run` a program behaves as without it (output, input, environment, signals, exit
# status), and what its handlers saw is told afterwards however the program ended.
import json
import os
import pty
import signal
import subprocess
import unittest

from command import CommandTest, NMI, PROGRAM, module


def folded(path):
    """Samples by stack."""
    stacks = {}
    with open(path) as file:
        for line in file:
            if line.startswith("#"):
                continue  # what was lost
            stack, _, samples = line.rpartition(" ")
            stacks[tuple(stack.split(";"))] = int(samples)
    return stacks


def share_of(stacks, function):
    return sum(n for stack, n in stacks.items() if stack[-1] == function) / sum(stacks.values())


def row(table, name):
    """The row of the interrupt table that begins with name, as words."""
    for line in table.splitlines():
        if line.startswith(f"  {name} "):
            return line[len(name) + 2:].split()
    raise AssertionError(f"no row {name} in\n{table}")


def total(table, name):
    """What stands in the column NMIs of that row."""
    head = next(line for line in table.splitlines() if "NMIs       mean" in line)
    return int(row(table, name)[head.split().index("NMIs")].replace(",", ""))


class Run(CommandTest):
    def run_program(self, *words, options=()):
        return self.nmi("run", *options, PROGRAM, *words)

    def test_the_exit_status_is_the_programs(self):
        for words, status in ((["exit", "0"], 0), (["exit", "7"], 7), (["quit", "9"], 9),
                              (["kill", "9"], 137), (["kill", "11"], 139), (["kill", "15"], 143)):
            with self.subTest(words=words):
                self.assertEqual(self.run_program(*words).returncode, status)

    def test_stdout_is_the_programs_alone(self):
        done = self.run_program("print", "one", "spin", "50", "print", "two")
        self.assertEqual(done.stdout, "one\ntwo\n")
        self.assertIn("hottest functions", done.stderr)

    def test_stdin_is_the_programs(self):
        done = subprocess.run([NMI, "run", "cat"], input="through\n", capture_output=True,
                              text=True, cwd=self.folder, env=self.environment)
        self.assertEqual(done.stdout, "through\n")

    def test_the_environment_is_the_programs_own(self):
        preload = "libm.so.6"
        self.environment["LD_PRELOAD"] = preload
        done = self.run_program("env", "LD_PRELOAD", "env", "NMI_AGENT_CHANNEL")
        self.assertEqual(done.stdout, f"{preload}\n(unset)\n")
        del self.environment["LD_PRELOAD"]
        done = self.run_program("env", "LD_PRELOAD")
        self.assertEqual(done.stdout, "(unset)\n")

    def test_options_of_the_program_are_not_ours(self):
        done = self.nmi("run", "echo", "-m", "none", "-F", "--", "--help")
        self.assertEqual(done.stdout, "-m none -F -- --help\n")
        done = self.nmi("run", "-F500", "--source=auto", "--", "echo", "--")
        self.assertEqual(done.stdout, "--\n")

    def test_scripts_run_with_their_interpreter(self):
        for first in ("#!/bin/sh", "#! /bin/sh -e", "#!/usr/bin/env sh"):
            with self.subTest(first=first):
                with open(self.path("script"), "w") as file:
                    file.write(first + "\necho \"$# $1\"\nexit 5\n")
                os.chmod(self.path("script"), 0o755)
                done = self.nmi("run", "./script", "a b", "c")
                self.assertEqual((done.returncode, done.stdout), (5, "2 a b\n"), done.stderr)
                self.assertNotIn("replaced itself", done.stderr)

    def test_the_profile_finds_the_hot_function(self):
        done = self.run_program("spin", "300", options=["-o", "hot"])
        stacks = folded(self.path("hot.folded"))
        self.assertGreater(share_of(stacks, "spin_here"), 0.8)
        self.assertEqual({stack[0] for stack in stacks}, {os.path.basename(PROGRAM)})
        self.assertRegex(done.stderr, r"\d\d\.\d\d% +\d+ +[\d.]+%  spin_here")
        with open(self.path("hot.svg")) as file:
            svg = file.read()
        self.assertIn("<title>spin_here\n", svg)
        self.assertIn("hot.svg", done.stderr)

    def test_every_sample_and_every_nmi_is_counted_once(self):
        done = self.run_program("spin", "400", options=["-F", "2000"])
        samples = sum(folded(self.path("profile.folded")).values())
        self.assertGreater(samples, 20)
        self.assertEqual(total(done.stderr, "lost records"), 0)
        # Interrupts between the last counts and the last instruction are samples as well; merged
        # ones count in the sample that they were merged into.
        merged = int(row(done.stderr, "overruns")[-1].replace(",", ""))
        counted = total(done.stderr, "profiler") + merged
        self.assertAlmostEqual(counted, samples, delta=20)

    def test_a_killed_program_loses_no_sample(self):
        done = self.run_program("spin", "300", "kill", "9", options=["-o", "killed"])
        self.assertEqual(done.returncode, 137)
        self.assertIn("ended by signal 9", done.stderr)
        stacks = folded(self.path("killed.folded"))
        self.assertGreater(share_of(stacks, "spin_here"), 0.8)
        self.assertGreater(sum(stacks.values()), 20)

    def test_a_program_that_replaces_itself_is_followed_to_its_end(self):
        done = self.run_program("spin", "50", "exec", PROGRAM, "print", "second", "spin",
                                "700", "exit", "4")
        self.assertEqual((done.returncode, done.stdout), (4, "second\n"))
        self.assertIn("replaced itself", done.stderr)

    def test_the_report_goes_where_it_is_told(self):
        done = self.run_program("print", "x", "spin", "30", options=["--report", "report"])
        self.assertEqual(done.stderr, "")
        with open(self.path("report")) as file:
            self.assertIn("all NMIs", file.read())

    def test_without_samples_no_files(self):
        done = self.run_program("spin", "50", options=["-m", module("quiet")])
        self.assertIn("quiet", done.stderr)
        self.assertNotIn("flame graph", done.stderr)
        self.assertEqual([name for name in os.listdir(self.folder) if "profile" in name], [])
        self.assertIn("all NMIs", self.run_program(options=["-m", "none"]).stderr)

    def test_handlers_that_left_are_still_in_the_table(self):
        child = self.start("run", "-m", module("quiet"), "--pid-file", "pid", PROGRAM, "spin", "100",
                           "wait", self.path("over"))
        pid = self.wait_for_file("pid").strip()
        self.assertEqual(self.nmi("load", pid, "profiler").returncode, 0)
        self.assertEqual(self.nmi("swap", pid, "quiet", module("quiet")).returncode, 0)
        self.assertEqual(self.nmi("unload", pid, "quiet").returncode, 0)
        self.assertEqual(self.nmi("unload", pid, "profiler").returncode, 0)
        before = self.nmi("status", pid).stdout
        open(self.path("over"), "w").close()
        _, table = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0)
        self.assertEqual(row(table, "quiet"), row(before, "quiet"))
        self.assertEqual(row(table, "quiet")[-2:], ["1×,", "unloaded"])
        self.assertEqual(row(table, "profiler")[-1], "unloaded")
        self.assertNotIn("none is running", table)

    def test_a_signal_to_nmi_is_for_the_program(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number):
                child = self.start("run", "--pid-file", f"pid{number}", PROGRAM, "trap",
                                   str(int(number)), self.path(f"got{number}"), "ready",
                                   self.path(f"ready{number}"), "wait", self.path(f"got{number}"),
                                   "exit", "3")
                self.wait_for_file(f"ready{number}")
                child.send_signal(number)
                _, table = child.communicate(timeout=60)
                self.assertEqual(child.returncode, 3)
                self.assertIn("all NMIs", table)

    def test_a_program_ended_by_a_signal_is_reported_all_the_same(self):
        child = self.start("run", PROGRAM, "spin", "50", "ready", self.path("ready"), "wait",
                           self.path("never"))
        self.wait_for_file("ready")
        child.send_signal(signal.SIGTERM)
        _, table = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 128 + signal.SIGTERM)
        self.assertIn("hottest functions", table)

    def test_interrupt_from_the_terminal_reaches_the_program_once(self):
        # Both get it from the terminal; passing it on as well would be once too often.
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(NMI, [NMI, "run", PROGRAM, "trap", "2", self.path("got"), "ready",
                            self.path("ready"), "wait", self.path("got"), "spin", "400", "exit",
                            "6"], self.environment)
        self.wait_for_file("ready")
        os.write(terminal, b"\x03")
        shown = b""
        try:
            while piece := os.read(terminal, 65536):
                shown += piece
        except OSError:  # the other end is gone
            pass
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 6)
        self.assertIn(b"all NMIs", shown)
        self.assertRegex(shown, rb"\r\S+  \d\.\d s  [\d,]+ NMIs")  # the progress line
        os.close(terminal)

    def test_no_progress_line_in_a_pipe(self):
        self.assertNotIn("\r", self.run_program("spin", "600").stderr)

    def test_closed_standard_streams_stay_closed(self):
        done = subprocess.run(["/bin/sh", "-c", '"$0" run "$1" fd 0 fd 2 exit 3 0<&- 2>&-', NMI,
                               PROGRAM], stdout=subprocess.PIPE, text=True, cwd=self.folder,
                              env=self.environment)
        self.assertEqual((done.returncode, done.stdout), (3, "closed\nclosed\n"))

    def test_nobody_reads_the_report(self):
        child = self.start("run", PROGRAM, "wait", self.path("over"), "exit", "3")
        child.stderr.close()
        open(self.path("over"), "w").close()
        self.assertEqual(child.wait(timeout=60), 3)
        child.stderr = None

    def test_a_program_that_wrote_over_its_environment_is_still_found(self):
        child = self.start("run", "--pid-file", "pid", PROGRAM, "forget", "all", "ready",
                           self.path("ready"), "wait", self.path("over"))
        self.wait_for_file("ready")
        done = self.nmi("status", self.wait_for_file("pid").strip())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        open(self.path("over"), "w").close()
        child.communicate(timeout=60)

    def test_a_stopped_program_is_told_from_one_without_an_agent(self):
        child = self.start("run", "--pid-file", "pid", PROGRAM, "wait", self.path("over"))
        pid = int(self.wait_for_file("pid"))
        os.kill(pid, signal.SIGSTOP)
        try:
            self.assert_one_line(self.nmi("status", str(pid)), 1, "did not answer within 5 s",
                                 "stopped")
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.nmi("status", str(pid)).returncode, 0)
        open(self.path("over"), "w").close()
        child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0)

    def test_status_as_json(self):
        child = self.start("run", "--pid-file", "pid", PROGRAM, "wait", self.path("over"))
        pid = self.wait_for_file("pid").strip()
        status = json.loads(self.nmi("status", pid, "--json").stdout)
        self.assertEqual(status["pid"], int(pid))
        self.assertEqual(status["handlers"][0]["name"], "profiler")
        self.assertEqual(len(status["cpus"]), len(status["nmis_by_cpu"]))
        open(self.path("over"), "w").close()
        child.communicate(timeout=60)


if __name__ == "__main__":
    unittest.main()
