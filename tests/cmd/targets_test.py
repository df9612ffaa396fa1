# SPDX-License-Identifier: MIT
#
# Property: programs of other languages and runtimes can be entered, profiled under load, have their
# handler swapped, and be left, again and again, and compute what they computed before; those that
# cannot be entered are refused with the reason. A language that is not installed here is skipped.
import os
import shutil
import subprocess
import sys
import unittest

from attach_test import Attach

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "targets")
THREADS = os.environ["NMI_TEST_TARGET"]
SWAPS = 20


def source(name):
    return os.path.join(SOURCES, name)


class Target(Attach):
    def build(self, *command, **variables):
        """Skips where the compiler is missing; what it makes goes into our folder."""
        if shutil.which(command[0]) is None:
            self.skipTest(f"there is no {command[0]} here")
        built = subprocess.run(command, cwd=self.folder, capture_output=True, text=True,
                               env=dict(os.environ, **variables))
        self.assertEqual(built.returncode, 0, built.stderr)

    def visit_twice(self, program, *words):
        child = self.begin(*words, program=program)
        for swaps in (SWAPS, 1):
            self.do("load", child.pid, "profiler", "-F", "1000")
            for _ in range(swaps):
                self.do("swap", child.pid, "profiler", "profiler")
            self.wait_for_nmis(child.pid)
            self.do("unload", child.pid, "profiler")
            self.do("detach", child.pid)
        self.finish(child)


class Works(Target):
    def test_cpp(self):
        self.visit_twice(THREADS)

    def test_rust(self):
        self.build("rustc", "-O", "-o", "threads", source("threads.rs"))
        self.visit_twice(self.path("threads"))

    def test_java(self):
        self.build("javac", "-d", self.folder, source("Threads.java"))
        self.visit_twice("java", "-cp", self.folder, "Threads")

    def test_node(self):
        if shutil.which("node") is None:
            self.skipTest("there is no node here")
        self.visit_twice("node", source("threads.js"))

    def test_python(self):
        # The interpreter itself: what is found by its name may be a script.
        self.visit_twice(os.path.realpath(sys.executable), source("threads.py"))


class Refused(Target):
    def refuse(self, program, *parts):
        child = self.begin(program=self.path(program))
        self.refused(child.pid, *parts)
        self.finish(child)

    def test_go(self):
        self.build("go", "build", "-o", "pure", source("threads.go"), CGO_ENABLED="0")
        self.refuse("pure", "statically linked", "a Go program without cgo")
        self.build("go", "build", "-o", "with_cgo", source("threads.go"), source("cgo.go"),
                   CGO_ENABLED="1")
        self.refuse("with_cgo", "is a Go program", "nmi run")

    def test_another_c_library(self):
        self.build("musl-gcc", "-o", "musl", source("threads.c"))
        self.refuse("musl", "ld-musl", "this system's C library")


if __name__ == "__main__":
    unittest.main()
