# SPDX-License-Identifier: MIT
"""Property: a program built with a sanitizer, or run under Valgrind, and linked to the library as it
is shipped gets no report about plain code, without suppressions; and what is wrong is reported.

usage: run_test.py TOOL COMPILER FOLDER STATIC_LIBRARY SHARED_LIBRARY INCLUDE_FLAG...

TOOL is thread, address (with undefined), helgrind, drd or memcheck; FOLDER is for what is built.
"""

import os
import subprocess
import sys
import unittest
from pathlib import Path

TOOL, COMPILER, FOLDER, STATIC, SHARED = sys.argv[1:6]
INCLUDES = sys.argv[6:]
SOURCE = Path(__file__).resolve().parent / "program.cpp"

# What each tool says, and where, of each mode of the program; None: nothing. A mode that is not
# listed is not what the tool is for. "forks": ThreadSanitizer counts the parent's threads as leaks
# of the child; helgrind and DRD do the same as memcheck with a child.
RACES = {"thread": "WARNING: ThreadSanitizer: data race",
         "helgrind": "Possible data race during write",
         "drd": "Conflicting store by thread"}
READS = {**RACES, "helgrind": "Possible data race during read", "drd": "Conflicting load by thread"}
FREED = {"address": "heap-use-after-free", "memcheck": "Invalid read of size 4",
         "thread": "heap-use-after-free"}
EXPECTED = {
    "plain": {tool: None for tool in ("thread", "address", "helgrind", "drd", "memcheck")},
    "forks": {tool: None for tool in ("address", "memcheck", "helgrind", "drd")},
    "race": {tool: (said, "change_and_delete") for tool, said in RACES.items()},
    "deleter": {tool: (said, "deleter") for tool, said in READS.items()},
    "escaped": {tool: (said, "escaped") for tool, said in FREED.items()},
}

VALGRIND = ["valgrind", "-q", "--error-exitcode=9", "--fair-sched=yes"]
UNDER = {"thread": [], "address": [], "memcheck": VALGRIND,
         "helgrind": [*VALGRIND, "--tool=helgrind"], "drd": [*VALGRIND, "--tool=drd"]}
# -O1 is what the sanitizers' manuals advise. Valgrind 3.19 cannot read the DWARF 5 of clang 14.
FLAGS = {"thread": ["-O1", "-g", "-fsanitize=thread"],
         "address": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]}
OPTIONS = ("TSAN_OPTIONS", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "VALGRIND_OPTS")


def build():
    """The program, linked in both ways."""
    Path(FOLDER).mkdir(parents=True, exist_ok=True)
    flags = [*FLAGS.get(TOOL, ["-O2", "-gdwarf-4"]), "-std=c++20", "-Wall", "-Wextra", "-Werror",
             "-pthread"]
    part = f"{FOLDER}/program.o"
    subprocess.run([COMPILER, *flags, *INCLUDES, "-c", SOURCE, "-o", part], check=True)
    linked = {"static": [STATIC], "shared": [SHARED, f"-Wl,-rpath,{Path(SHARED).parent}"]}
    for name, libraries in linked.items():
        subprocess.run([COMPILER, *flags, part, *libraries, "-o", f"{FOLDER}/{name}"], check=True)
    return [f"{FOLDER}/{name}" for name in linked]


class Reports(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.programs = build()

    def run_mode(self, program, mode):
        environment = {key: value for key, value in os.environ.items() if key not in OPTIONS}
        return subprocess.run([*UNDER[TOOL], program, mode], env=environment, text=True, timeout=50,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def check(self, mode):
        if TOOL not in EXPECTED[mode]:
            self.skipTest(f"not for {TOOL}")
        for program in self.programs:
            with self.subTest(program=program):
                ended = self.run_mode(program, mode)
                expected = EXPECTED[mode][TOOL]
                if expected is None:
                    self.assertEqual((ended.returncode, ended.stdout), (0, "ended well\n"))
                    continue
                self.assertNotEqual(ended.returncode, 0, ended.stdout)
                for text in expected:
                    self.assertIn(text, ended.stdout)

    def test_plain(self):
        self.check("plain")

    def test_forks(self):
        self.check("forks")

    def test_race(self):
        self.check("race")

    def test_deleter(self):
        self.check("deleter")

    def test_escaped(self):
        self.check("escaped")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
