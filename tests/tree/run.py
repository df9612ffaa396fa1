# SPDX-License-Identifier: MIT
"""Runs every check of the tree. --counts FILE: leaves "passed failed skipped" there."""

import sys
import unittest
from pathlib import Path


def main(arguments):
    folder = Path(__file__).parent
    suite = unittest.defaultTestLoader.discover(str(folder), pattern="*_test.py")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    if arguments[:1] == ["--counts"]:
        passed = result.testsRun - failed - len(result.skipped)
        Path(arguments[1]).write_text(f"{passed} {failed} {len(result.skipped)}\n")
    return 1 if failed or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
