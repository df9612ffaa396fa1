# SPDX-License-Identifier: MIT
"""Property: models/run.py accepts a model only for the verdict it announces."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models"))
import run  # noqa: E402


class Runner(unittest.TestCase):
    def check(self, name, text, expected):
        """`expected`: part of the complaint, or None."""
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as work:
            model = Path(folder, name)
            model.write_text(text)
            Path(folder, "model.pml").write_text("")
            try:
                run.verify(model, Path(work))
                complaint = None
            except run.Unexpected as reason:
                complaint = str(reason)
        if expected is None:
            self.assertIsNone(complaint)
        else:
            self.assertIn(expected, complaint or "no complaint")

    HOLDS = "byte x; active proctype p() { x = 1; assert(x == 1) }\n"
    FAILS = "byte x; active proctype p() { x = 1; assert(x != 1) }\n"

    def test_good(self):
        self.check("good_a.pml", self.HOLDS, None)
        self.check("good_a.pml", self.FAILS, "an error in a good model")
        self.check("good_a.pml", "byte x; active proctype p() { x = 1; x == 2 }\n", "an error in a good model")

    def test_good_is_not_vacuous(self):
        self.check("good_a.pml", "byte x; active proctype p() { end: x == 2; assert(x == 2) }\n",
                   "p never comes to the assertion in line 1")

    def test_good_is_complete(self):
        endless = "int x; active proctype p() { do :: x < 200000 -> x++ :: else -> break od; assert(true) }\n"
        self.check("good_a.pml", endless, "not verified completely")

    def test_bad(self):
        announced = "// Must fail: !(x == 2)\n"
        fails = "byte x; active proctype p() { x = 2; assert(!(x == 2)) }\n"
        self.check("bad_a.pml", announced + fails, None)
        self.check("bad_a.pml", fails, "does not say")
        self.check("bad_a.pml", announced + self.HOLDS, "no error in a bad model")
        self.check("bad_a.pml", announced + self.FAILS, "otherwise than announced")

    def test_bad_by_accident(self):
        announced = "// Must fail: x\n"
        self.check("bad_a.pml", announced + "byte x; active proctype p() { x == 1 }\n", "no assertion fails")
        self.check("bad_a.pml", announced + "byte x; active proctype p() { x = = 1 }\n", "spin does not accept")

    def test_cycle(self):
        cycle = "byte x; active proctype p() { do :: x = 1; x = 0 od }\n"
        self.check("bad_a.pml", "// Must fail: non-progress cycle\n" + cycle, "no error in a bad model")


if __name__ == "__main__":
    unittest.main()
