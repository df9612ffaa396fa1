# SPDX-License-Identifier: MIT
#
# Property: however a run is cut short (the command interrupted, ended or killed at any moment, the
# program crashed), a program that was let go runs on to its own end, and nothing is left behind but the
# outputs that were asked for.
import os
import random
import signal
import time
import unittest

from command import CommandTest, PATIENCE_S, PROGRAM, module

ROUNDS = 12


class Interrupted(CommandTest):
    def processes(self):
        """Those that run PROGRAM for this test, by their arguments."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                if words[0] == PROGRAM.encode() and self.folder.encode() in b" ".join(words):
                    found.append(int(name))
            except OSError:
                pass
        return found

    def wait_until(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.005)

    def assert_nothing_left(self):
        self.wait_until(lambda: not self.processes(), "the program has not ended")
        sockets = os.listdir(self.path("nmi")) if os.path.exists(self.path("nmi")) else []
        self.assertEqual(sockets, [])
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith(".nmi-")], [])

    def test_the_command_is_killed_at_any_moment(self):
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        for number in range(ROUNDS):
            with self.subTest(seed=seed, round=number):
                child = self.start("run", "-o", "p", PROGRAM, "ready", self.path(f"ready{number}"),
                                   "wait", self.path(f"over{number}"), "ready",
                                   self.path(f"done{number}"))
                time.sleep(chance.random() * 0.12)
                started = os.path.exists(self.path(f"ready{number}"))
                child.kill()
                child.wait()
                open(self.path(f"over{number}"), "w").close()
                # One that has ended and waits for its new parent has no words any more.
                self.wait_until(lambda: not self.processes(), "it hangs")
                if started:
                    self.assertTrue(os.path.exists(self.path(f"done{number}")), "it did not go on")
                self.assert_nothing_left()

    def test_the_command_is_killed_while_it_loads(self):
        program = self.start("run", "-m", "none", "--pid-file", "pid", PROGRAM, "wait",
                             self.path("over"), "exit", "7")
        pid = self.wait_for_file("pid").strip()
        chance = random.Random(5)
        for number in range(ROUNDS):
            child = self.start("load", pid, module("quiet"))
            time.sleep(chance.random() * 0.01)
            child.kill()
            child.wait()
            done = self.nmi("unload", pid, "quiet")  # loaded by then, or not
            self.assertIn(done.returncode, (0, 1))
        self.assertEqual(self.nmi("load", pid, module("quiet")).returncode, 0)
        self.assertIn("quiet", self.nmi("status", pid).stdout)
        open(self.path("over"), "w").close()
        program.communicate(timeout=PATIENCE_S)
        self.assertEqual(program.returncode, 7)
        self.assert_nothing_left()

    def test_signals_and_crashes_leave_a_valid_profile(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                ready = f"spun{int(number)}"
                child = self.start("run", "-o", f"s{int(number)}", PROGRAM, "spin", "60", "ready",
                                   self.path(ready), "wait", self.path("never"))
                self.wait_for_file(ready)
                child.send_signal(number)
                _, table = child.communicate(timeout=PATIENCE_S)
                self.assertEqual(child.returncode, 128 + number)
                self.assert_profile(f"s{int(number)}", table)
        for number in (signal.SIGSEGV, signal.SIGKILL):
            with self.subTest(crash=number):
                done = self.nmi("run", "-o", f"c{int(number)}", PROGRAM, "spin", "60", "kill",
                                str(int(number)))
                self.assertEqual(done.returncode, 128 + number)
                self.assert_profile(f"c{int(number)}", done.stderr)
        self.wait_until(lambda: not self.processes(), "the program has not ended")

    def assert_profile(self, name, table):
        self.assertIn("hottest functions", table)
        with open(self.path(name + ".folded")) as file:
            lines = file.read().splitlines()
        self.assertTrue(any("spin_here" in line for line in lines))
        for line in lines:
            if not line.startswith("# "):  # what was lost
                self.assertRegex(line, r"^\S.* \d+$")
        with open(self.path(name + ".svg")) as file:
            self.assertTrue(file.read().rstrip().endswith("</svg>"))


if __name__ == "__main__":
    unittest.main()
