# SPDX-License-Identifier: MIT
"""C and C++ files are formatted as .clang-format says. `format_test.py --fix` formats them."""

import subprocess
import sys
import unittest

from tree import CPP, ROOT, TreeTest, files

FORMATTER = "clang-format-14"


def sources(root):
    return [str(path) for path in files(root, *CPP)]


def problems(root):
    names = sources(root)
    if not names:
        return []
    run = subprocess.run([FORMATTER, "--dry-run", "--Werror", "--ferror-limit=1", *names], cwd=root,
                         capture_output=True, text=True, check=False)
    return [f"{line.split(': ')[0]}: not formatted; ./test --format" for line in run.stderr.splitlines()
            if "clang-format-violations" in line]


class Format(TreeTest):
    def test_tree(self):
        self.assert_clean(problems(ROOT))

    def test_finds_an_unformatted_file(self):
        style = (ROOT / ".clang-format").read_text()
        self.assert_finds(problems, {".clang-format": style, "src/a.cpp": "int a ;\n", "src/b.h": "int b;\n"},
                          "src/a.cpp:1")


if __name__ == "__main__":
    if sys.argv[1:] == ["--fix"]:
        sys.exit(subprocess.run([FORMATTER, "-i", *sources(ROOT)], cwd=ROOT, check=False).returncode)
    unittest.main()
