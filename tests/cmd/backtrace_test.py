# SPDX-License-Identifier: MIT
#
# Property: nmi backtrace shows where each thread of a hung program is and what it waits for, says of
# the others why they did not answer, and leaves the program as it was.
import json
import os
import signal
import subprocess
import time
import unittest

from command import CommandTest, PATIENCE_S

PROGRAM = os.environ["NMI_TEST_HUNG_PROGRAM"]


def thread_names(pid):
    names = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as file:
            names.append(file.read().strip())
    return names


class Backtrace(CommandTest):
    def hang(self, count, *features):
        child = subprocess.Popen([PROGRAM, str(count), *features], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, env=self.environment)
        self.addCleanup(self.end, child)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def do(self, *words):
        done = self.nmi(*map(str, words))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def dump(self, child, *options):
        return json.loads(self.do("backtrace", child.pid, "--json", *options))

    @staticmethod
    def functions(thread):
        return [frame["function"] for frame in thread["frames"]]

    def find(self, dump, function):
        return [t for t in dump["threads"] if function in self.functions(t)]

    def test_deadlock(self):
        child = self.hang(20, "spin", "handler", "blocked")
        before = sorted(thread_names(child.pid))
        dump = self.dump(child)
        self.assertEqual(len(dump["threads"]), 26)
        self.assertTrue(dump["attached_for_this"])
        silent = [t for t in dump["threads"] if not t["answered"]]
        self.assertEqual([t["name"] for t in silent], ["blocker"])
        self.assertIn("blocks the signal", silent[0]["reason"])
        waiting = self.find(dump, "deadlocked")
        self.assertEqual(len(waiting), 20)
        for thread in waiting:
            self.assertEqual((thread["state"], thread["reason"]), ("S", ""))
            self.assertIn(thread["system_call"], ("futex", ""))  # "": it may not be read
            self.assertIn("lock", self.functions(thread)[0])
        self.assertEqual(len(self.find(dump, "left_then_right")), 1)
        self.assertEqual(len(self.find(dump, "right_then_left")), 1)
        # Whole stacks, through libc and a signal, neither of which has frame pointers.
        for thread in waiting:
            self.assertIn("wait_for_lock", self.functions(thread))
        handler = self.find(dump, "wait_in_handler")
        self.assertEqual([t["name"] for t in handler], ["handler"])
        self.assertIn("handling", self.functions(handler[0]))
        self.assertEqual([t["thread_id"] for t in self.find(dump, "main")], [child.pid])
        spinner = [t for t in dump["threads"] if t["name"] == "spinner"]
        self.assertIn("spinning", self.functions(spinner[0]))
        self.assertIsNone(child.poll())
        self.assertEqual(sorted(thread_names(child.pid)), before)

    def test_text_groups_equal_stacks(self):
        text = self.do("backtrace", self.hang(30, "blocked").pid)
        self.assertIn("hung_program (", text)
        self.assertIn("\n30 threads:\n", text)
        self.assertRegex(text, r"  hung_program, sleeping.*: (\d+ ){12}and 18 more\n")
        self.assertIn("\n1 thread did not answer:\n  blocker, sleeping", text)

    def test_a_thousand_threads(self):
        dump = self.dump(self.hang(1000), "--timeout", "10000")
        self.assertEqual(len(dump["threads"]), 1003)
        self.assertEqual([t["reason"] for t in dump["threads"] if not t["answered"]], [])
        self.assertEqual(len(self.find(dump, "deadlocked")), 1000)

    def test_first_thread_has_ended(self):
        run = self.start("run", "-m", "none", "--pid-file", self.path("pid"), "--", PROGRAM, "1",
                         "gone")
        self.assertEqual(run.stdout.readline(), "ready\n")
        pid = int(self.wait_for_file("pid"))
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE_S
        first = {"answered": True}
        while first["answered"]:
            self.assertLess(time.monotonic(), end, "the first thread does not end")
            dump = json.loads(self.do("backtrace", pid, "--json"))
            first = [t for t in dump["threads"] if t["thread_id"] == pid][0]
        self.assertIn("ended", first["reason"])
        self.assertEqual(len(self.find(dump, "deadlocked")), 1)

    def test_agent_and_profiler_stay(self):
        child = self.hang(4, "spin")
        self.nmi("load", str(child.pid), "profiler")
        for _ in range(3):
            dump = self.dump(child)
            self.assertFalse(dump["attached_for_this"])
            self.assertTrue(all(t["answered"] for t in dump["threads"]), dump)
        status = json.loads(self.do("status", child.pid, "--json"))
        loaded = [h["name"] for h in status["handlers"] if h["loaded"]]
        self.assertEqual(loaded, ["profiler"])
        self.assertNotEqual(status["source"]["kind"], "none")

    def test_two_at_once(self):
        child = self.hang(50)
        self.nmi("attach", str(child.pid))
        looks = [self.start("backtrace", str(child.pid), "--json") for _ in range(3)]
        for look in looks:
            told, said = look.communicate(timeout=PATIENCE_S)
            self.assertEqual((look.returncode, said), (0, ""))
            self.assertTrue(all(t["answered"] for t in json.loads(told)["threads"]))

    def test_bad_input(self):
        child = self.hang(0)
        for timeout in ("0", "60001", "soon"):
            self.assert_one_line(self.nmi("backtrace", str(child.pid), "--timeout", timeout), 2,
                                 "--timeout")
        child.send_signal(signal.SIGKILL)
        child.wait()
        self.assert_one_line(self.nmi("backtrace", str(child.pid)), 1, "no process")


if __name__ == "__main__":
    unittest.main(verbosity=2)
