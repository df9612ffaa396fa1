# SPDX-License-Identifier: MIT
"""What the checks of the tree share: which files there are, and C++ lines without their comments.

A check is a function problems(root) -> list of "path:line: sentence". Its file tests the tree with
it, and tests on small bad trees that it can fail at all.
"""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPP = (".hpp", ".cpp", ".h", ".c")


def files(root, *suffixes):
    """The files of the tree, relative: those git knows or would add; without git, all of them."""
    if (root / ".git").exists():
        listed = subprocess.run(
            ["git", "-C", root, "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard", "-z"],
            check=True, capture_output=True, text=True).stdout.split("\0")
        found = {Path(name) for name in listed if name and (root / name).is_file()}
    else:
        found = set()
        for folder, folders, names in os.walk(root):
            folders[:] = [f for f in folders if Path(folder, f) != root / "build"]
            found |= {Path(folder, name).relative_to(root) for name in names}
    return sorted(f for f in found if not suffixes or f.suffix in suffixes)


_PIECE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<raw>[^()\\\s]{0,16})\(.*?\)(?P=raw)"'
    r'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|(?<=\w)\'(?=\w)', re.S)


def split_comments(text):
    """(code, comment) of every line. A string that is not empty becomes "_"."""
    code, comment, at = [], [], 0
    for piece in _PIECE.finditer(text):
        plain, found = text[at:piece.start()], piece.group()
        code.append(plain)
        comment.append(re.sub(r"[^\n]", "", plain))
        lines = re.sub(r"[^\n]", "", found)
        if found.startswith(("//", "/*")):
            code.append(lines)
            comment.append(found)
        else:
            code.append("" if found == "'" else '""' if found == '""' else '"_"' + lines)
            comment.append(lines)
        at = piece.end()
    code.append(text[at:])
    comment.append(re.sub(r"[^\n]", "", text[at:]))
    return list(zip("".join(code).split("\n"), "".join(comment).split("\n")))


class TreeTest(unittest.TestCase):
    """Base of the checks' tests."""

    def assert_clean(self, problems):
        if problems:
            self.fail("\n" + "\n".join(problems))

    def assert_finds(self, check, tree, expected):
        """`check` on a tree of {path: contents} gives exactly one problem, and it says `expected`."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, contents in tree.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(contents)
            found = check(root)
        if expected is None:
            self.assertEqual([], found)
            return
        self.assertEqual(1, len(found), found)
        self.assertIn(expected, found[0])
