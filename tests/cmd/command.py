# SPDX-License-Identifier: MIT
#
# Running the real nmi command: what the scripts beside this one share.
#
# Environment: NMI_BINARY, the command; NMI_TEST_PROGRAM, probe/program.c built; NMI_TEST_MODULES, the
# folder with modules/*.c built.
import os
import shutil
import subprocess
import tempfile
import time
import unittest

NMI = os.environ["NMI_BINARY"]
PROGRAM = os.environ["NMI_TEST_PROGRAM"]
MODULES = os.environ["NMI_TEST_MODULES"]
PATIENCE_S = 60


def module(name):
    return os.path.join(MODULES, name + ".so")


class CommandTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        # Short, and nobody else's: agents put their sockets below it.
        self.folder = tempfile.mkdtemp(prefix="nmi-test-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def nmi(self, *words, **options):
        options.setdefault("env", self.environment)
        return subprocess.run([NMI, *words], cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S, **options)

    def start(self, *words, **options):
        options.setdefault("env", self.environment)
        options.setdefault("stderr", subprocess.PIPE)
        child = subprocess.Popen([NMI, *words], cwd=self.folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, text=True, **options)
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child):
        if child.poll() is None:
            child.kill()
        child.communicate()

    def wait_for_file(self, name):
        """Until somebody has written a whole file; its contents."""
        end = time.monotonic() + PATIENCE_S
        while not os.path.exists(self.path(name)):
            self.assertLess(time.monotonic(), end, name + " never appeared")
            time.sleep(0.01)
        with open(self.path(name)) as file:
            return file.read()

    def assert_one_line(self, done, code, *parts):
        """Exit code, nothing on stdout, and one line on stderr that holds all of the parts."""
        told = f"{' '.join(map(str, done.args))}\n{done.stdout}{done.stderr}"
        self.assertEqual(done.returncode, code, told)
        self.assertEqual(done.stdout, "", told)
        self.assertTrue(done.stderr.startswith("nmi: "), told)
        self.assertEqual(done.stderr.count("\n"), 1, told)
        self.assertTrue(done.stderr.endswith("\n"), told)
        for part in parts:
            self.assertIn(part, done.stderr)
