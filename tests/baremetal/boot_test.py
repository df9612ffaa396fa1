# SPDX-License-Identifier: MIT
"""Property: baremetal/boot.py believes a verdict only if console and exit status agree, and comes back
with an explanation from a machine that hangs, resets itself, or never ends its console.

boot_test.py COMPILER
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "baremetal"))
import boot  # noqa: E402

COMPILER = sys.argv[1] if len(sys.argv) > 1 else "cc"


class Boot(unittest.TestCase):
    def run_stub(self, text, status, timeout_s=30):
        with tempfile.TemporaryDirectory() as folder:
            image = str(Path(folder, "stub"))
            subprocess.run(
                [COMPILER, "-m32", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x100000", "-Wl,-estart",
                 "-Wl,-melf_i386", "-Wl,--build-id=none", f"-DSTATUS={status}",
                 '-DTEXT="' + text.replace("\n", "\\n") + '"', "-o", image, HERE / "stub.S"], check=True)
            return boot.boot(image, [], timeout_s=timeout_s)

    def test_verdicts(self):
        run = self.run_stub("hello\nPASS selftest\n", 0x10)
        self.assertEqual("PASS selftest", run.verdict)
        self.assertEqual(["hello", "PASS selftest"], run.lines)
        self.assertEqual("PASS a with words", self.run_stub("PASS a with words\n", 0x10).verdict)
        self.assertEqual("FAIL a: panic", self.run_stub("FAIL a: panic\n", 0x12).verdict)
        self.assertEqual("FAIL storm: two were lost",
                         self.run_stub("FAIL storm: two were lost\n", 0x11).verdict)

    def test_contradictions(self):
        for text, status in (("PASS a\n", 0x11), ("FAIL a: b\n", 0x10), ("PASS a\nand more\n", 0x10),
                             ("passed\n", 0x10), ("", 0x10), ("PASS a\n", 0x01), ("FAIL a\n", 0x11)):
            run = self.run_stub(text, status)
            self.assertIsNone(run.verdict, (text, status))
            self.assertIn("no verdict", run.explain())

    def test_hang(self):
        # As long as a busy machine needs to come to the line at all, several times over.
        needed = self.run_stub("PASS a\n", 0x10).seconds
        run = self.run_stub("PASS a\n", 0, timeout_s=2 + 5 * needed)
        self.assertIsNone(run.verdict)
        self.assertIn("the time was up", run.explain())
        self.assertEqual(["PASS a"], run.lines)

    def test_host_request(self):
        # The stub waits for ever and has no interrupt table: an NMI ends it, by a triple fault.
        run = self.run_stub("host: inject-nmi\nPASS a\n", 0)
        self.assertIn("exit status is 0", run.explain())

    def test_not_an_image(self):
        run = boot.boot(__file__, [], timeout_s=10)
        self.assertIsNone(run.verdict)
        self.assertIn("no verdict", run.explain())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
