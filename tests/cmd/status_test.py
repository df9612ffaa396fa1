# SPDX-License-Identifier: MIT
#
# Property: `nmi status` says the same to people and to scripts, once and again and again, about one
# program and about all; its JSON has the keys of docs/nmi.md, each of its type, and no others.
import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
import unittest
from pathlib import Path

from command import CommandTest, NMI, PATIENCE_S, PROGRAM, module

ROOT = Path(__file__).resolve().parents[2]

HANDLER = {"name": str, "loaded": bool, "generation": int, "path": str, "calls": int, "handled": int,
           "handled_by_cpu": [int], "timed_calls": int, "total_ns": int, "mean_ns": float,
           "longest_ns": int}
STATUS = {
    "schema": int, "pid": int, "program": str, "agent_version": str, "time_unix_ns": int,
    "source": {"kind": str, "rate_hz": int, "threads": int, "unreachable_threads": int,
               "overruns": int, "reason": str},
    "unreachable": [{"tid": int, "name": str, "reason": str}],
    "cpus": [int], "nmis_by_cpu": [int], "handlers": [HANDLER], "unknown_nmis": int,
    "forwarded_signals": int, "lost_records_by_cpu": [int],
    "grace_periods": {"count": int, "median_ns": int, "longest_ns": int},
}
LIST = {"schema": int, "agents": [STATUS], "silent": [{"pid": int, "socket": str, "why": str}]}

# By the system call itself: our signal is kept out of what goes through libc.
SIGPROCMASK = {"x86_64": 14, "aarch64": 135, "riscv64": 135}.get(os.uname().machine)
BLOCKS_EVERYTHING = """
import ctypes, sys, threading, time
def block():
    with open('/proc/thread-self/comm', 'w') as name: name.write('deaf')
    everything = ctypes.c_uint64(2**64 - 1)
    assert ctypes.CDLL(None).syscall(int(sys.argv[2]), 0, ctypes.byref(everything), None, 8) == 0
    while True: time.sleep(1)
threading.Thread(target=block, daemon=True).start()
time.sleep(float(sys.argv[1]))
"""


def keys_of(schema):
    if isinstance(schema, list):
        yield from keys_of(schema[0])
    elif isinstance(schema, dict):
        for key, below in schema.items():
            yield key
            yield from keys_of(below)


class Status(CommandTest):
    def setUp(self):
        super().setUp()
        self.program = self.start("run", "-m", module("quiet"), "--pid-file", "pid", PROGRAM, "wait",
                                  self.path("over"))
        self.pid = self.wait_for_file("pid").strip()

    def tearDown(self):
        open(self.path("over"), "w").close()
        self.program.communicate(timeout=PATIENCE_S)

    def assert_is(self, schema, value, where="status"):
        if isinstance(schema, list):
            self.assertIsInstance(value, list, where)
            for one in value:
                self.assert_is(schema[0], one, where + "[]")
        elif isinstance(schema, dict):
            self.assertEqual(list(schema), list(value), where)
            for key in schema:
                self.assert_is(schema[key], value[key], f"{where}.{key}")
        elif schema is float:
            self.assertIsInstance(value, (int, float), where)
        else:
            self.assertIs(type(value), schema, where)

    def status(self, *words):
        done = self.nmi("status", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_json_has_the_documented_keys(self):
        document = json.loads(self.status(self.pid, "--json"))
        self.assert_is(STATUS, document)
        self.assertEqual((document["schema"], document["pid"], document["program"]),
                         (1, int(self.pid), os.path.basename(PROGRAM)))
        self.assertEqual(len(document["cpus"]), len(document["nmis_by_cpu"]))
        text = (ROOT / "docs/nmi.md").read_text()
        for key in {*keys_of(STATUS), *keys_of(LIST)}:
            self.assertIn(f"`{key}`", text, "docs/nmi.md does not explain " + key)

    def test_the_table_has_the_same_names(self):
        text = self.status(self.pid)
        self.assertEqual(text.splitlines()[0], f"{self.pid} {os.path.basename(PROGRAM)}")
        for word in ("source: ", "quiet", "all NMIs", "lost records", "grace periods"):
            self.assertIn(word, text)

    def test_without_a_pid_everybody_is_listed(self):
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(self.path(f"nmi/{(1 << 22) - 7}.sock"))
        document = json.loads(self.status("--json"))
        self.assert_is(LIST, document)
        ours = [one for one in document["agents"] if one["pid"] == int(self.pid)]
        self.assertEqual(len(ours), 1)
        dead = [one for one in document["silent"] if one["pid"] == (1 << 22) - 7]
        self.assertEqual(len(dead), 1)
        self.assertIn("has ended", dead[0]["why"])
        self.assertRegex(self.status(), rf"(?m)^ *{self.pid} .*: quiet$")

    def test_a_folder_that_others_may_enter_is_not_looked_into(self):
        os.chmod(self.path("nmi"), 0o755)
        self.assertNotIn(f"{self.pid} ", self.status())
        os.chmod(self.path("nmi"), 0o700)
        self.assertIn(f"{self.pid} ", self.status())

    def test_a_stopped_program_does_not_hold_up_the_list(self):
        os.kill(int(self.pid), 19)
        try:
            began = time.monotonic()
            self.assertRegex(self.status(), rf"{self.pid}  does not answer")
            self.assertLess(time.monotonic() - began, 30)
        finally:
            os.kill(int(self.pid), 18)

    def test_watching_ends_with_the_program(self):
        child = self.start("status", "--watch=0.1", self.pid)
        first = [child.stdout.readline() for _ in range(3)]
        self.assertEqual(first[0].split(), [self.pid, os.path.basename(PROGRAM)])
        self.assertNotIn("a second", first[2])
        while "a second" not in child.stdout.readline():
            pass
        open(self.path("over"), "w").close()
        rest, errors = child.communicate(timeout=PATIENCE_S)
        self.assertEqual((child.returncode, errors), (0, ""))
        self.assertNotIn("\033", rest)

    def test_watched_json_is_a_document_a_line(self):
        child = self.start("status", "--watch=0.1", "--json", self.pid)
        one, two = (json.loads(child.stdout.readline()) for _ in range(2))
        self.assert_is(STATUS, two)
        self.assertGreater(two["time_unix_ns"], one["time_unix_ns"])

    def test_a_terminal_is_redrawn(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(NMI, [NMI, "status", "--watch=0.1", self.pid], self.environment)
        shown = b""
        while shown.count(b"\033[H") < 3:
            self.assertTrue(select.select([terminal], [], [], PATIENCE_S)[0])
            shown += os.read(terminal, 65536)
        os.write(terminal, b"\x03")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -2)
        os.close(terminal)


@unittest.skipUnless(SIGPROCMASK, "the number of rt_sigprocmask is not known here")
class Unreachable(CommandTest):
    def test_threads_are_listed_with_the_reason(self):
        child = self.start("run", "-m", module("quiet"), "--pid-file", "pid", sys.executable, "-c",
                           BLOCKS_EVERYTHING, "60", str(SIGPROCMASK))
        pid = self.wait_for_file("pid").strip()
        end = time.monotonic() + PATIENCE_S
        while True:
            found = json.loads(self.nmi("status", pid, "--json").stdout)["unreachable"]
            if any(one["name"] == "deaf" for one in found):
                break
            self.assertLess(time.monotonic(), end, found)
            time.sleep(0.02)
        deaf = next(one for one in found if one["name"] == "deaf")
        self.assertIn("block", deaf["reason"])
        self.assertRegex(self.nmi("status", pid).stdout,
                         rf"not reachable\n(.*\n)* +{deaf['tid']}  deaf +{deaf['reason']}")
        child.terminate()
        child.communicate(timeout=PATIENCE_S)


if __name__ == "__main__":
    unittest.main()
