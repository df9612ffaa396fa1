# SPDX-License-Identifier: MIT
"""Each source file names its licence; no file has a machine's paths in it, trailing blanks, or an
unfinished last line."""

import re
import unittest

from tree import CPP, ROOT, TreeTest, files

LICENCE = "SPDX-License-Identifier: MIT"
SOURCE = (*CPP, ".py", ".sh", ".cmake", ".in", ".S", ".s", ".ld", ".pml")
SOURCE_NAMES = {"CMakeLists.txt", ".clang-format"}
# Folders that exist on some machine only; a program's own use of /tmp is none of them.
MACHINE_PATH = re.compile(r"(?<![\w.})/-])/(work|root|home/\w+|tmp/p\b)(?=[/\s`'\").,:]|$)")


def is_source(path, text):
    return path.suffix in SOURCE or path.name in SOURCE_NAMES or text.startswith("#!")


def problems(root):
    found = []
    for path in files(root):
        data = (root / path).read_bytes()
        if b"\0" in data:
            continue
        text = data.decode(errors="replace")
        lines = text.split("\n")
        if is_source(path, text) and not any(LICENCE in line for line in lines[:3]):
            found.append(f"{path}:1: no line `{LICENCE}` among the first three")
        if data and not text.endswith("\n"):
            found.append(f"{path}:{len(lines)}: no newline at the end")
        for number, line in enumerate(lines, 1):
            if MACHINE_PATH.search(line):
                found.append(f"{path}:{number}: a path of one machine: {line.strip()}")
            if line != line.rstrip() and path.suffix != ".md":
                found.append(f"{path}:{number}: blanks at the end of the line")
    return found


class Text(TreeTest):
    def test_tree(self):
        self.assert_clean(problems(ROOT))

    def test_finds_a_missing_licence(self):
        self.assert_finds(problems, {"src/a.cpp": "int a;\n"}, "SPDX")
        self.assert_finds(problems, {"CMakeLists.txt": "project(a)\n"}, "SPDX")
        self.assert_finds(problems, {"tool": "#!/bin/sh\n"}, "SPDX")
        self.assert_finds(problems, {"notes.md": "text\n"}, None)

    def test_finds_an_unfinished_line(self):
        self.assert_finds(problems, {"notes.md": "text"}, "no newline")

    def test_finds_trailing_blanks(self):
        self.assert_finds(problems, {"notes.txt": "text \n"}, "blanks")

    def test_finds_machine_paths(self):
        for path in ("/" + "work/main", "/" + "tmp/p", "/" + "home/somebody/x", "/" + "root/.cache"):
            self.assert_finds(problems, {"notes.md": f"see `{path}`\n"}, "one machine")
        self.assert_finds(problems, {"notes.md": "src/" + "work/x and /workload\n"}, None)


if __name__ == "__main__":
    unittest.main()
