# SPDX-License-Identifier: MIT
"""Every public header compiles alone: as C++20 with both compilers, hosted and freestanding, and
the C ones as C11 too."""

import platform
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tree import ROOT, TreeTest, files

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror"]
CXX = [[compiler, "-x", "c++", "-std=c++20"] for compiler in ("g++", "clang++-14")]
CXX_FREESTANDING = [[*compiler, "-ffreestanding", "-fno-exceptions", "-fno-rtti"] for compiler in CXX]
C = [[compiler, "-x", "c", "-std=c11", "-pedantic"] for compiler in ("gcc", "clang-14")]
C_FREESTANDING = [[*compiler, "-ffreestanding"] for compiler in C]


def include_paths(root, arch=None):
    arch = arch or platform.machine()
    if not (root / "src/arch" / arch).is_dir():
        arch = "generic"
    return [f"-I{root / folder}" for folder in ("include", f"src/arch/{arch}", "src/platform/linux")]


def compile_error(command, source):
    """What the compiler says about `source`, or None. The source comes twice, for missing guards."""
    run = subprocess.run([*command, *WARNINGS, "-fsyntax-only", "-"], input=source, text=True,
                         capture_output=True, check=False)
    return None if run.returncode == 0 else run.stderr.strip()


def public_headers(root):
    return [path.relative_to("include") for path in files(root, ".h", ".hpp")
            if path.parts[0] == "include"]


def jobs(root):
    """(header, command) of every compilation."""
    for header in public_headers(root):
        commands = CXX + CXX_FREESTANDING
        # A C header's names with a C++ core behind them are C++ only if the header says so itself.
        if header.suffix == ".h":
            commands = commands + C + C_FREESTANDING
        for command in commands:
            yield header, [*command, *include_paths(root)]
    for header in public_headers(root):
        if header.suffix == ".hpp" and (root / "src/arch/generic").is_dir():
            yield header, [*CXX[0], *include_paths(root, "generic")]


def problems(root):
    def run(job):
        header, command = job
        error = compile_error(command, f"#include <{header}>\n" * 2)
        return error and f"include/{header}: {' '.join(command)}\n{error}"

    with ThreadPoolExecutor(2) as pool:
        return [error for error in pool.map(run, jobs(root)) if error]


class Headers(TreeTest):
    def test_tree(self):
        self.assertTrue(public_headers(ROOT))
        self.assert_clean(problems(ROOT))

    def found_in(self, name, text):
        with tempfile.TemporaryDirectory() as folder:
            header = Path(folder) / "include/nmircu" / name
            header.parent.mkdir(parents=True)
            header.write_text(text)
            return problems(Path(folder))

    def test_finds_a_missing_include(self):
        self.assertEqual(len(CXX + CXX_FREESTANDING),
                         len(self.found_in("a.hpp", "#pragma once\nstd::uint32_t a();\n")))

    def test_finds_a_missing_guard(self):
        self.assertTrue(self.found_in("a.hpp", "struct a {};\n"))

    def test_finds_what_is_hosted(self):
        self.assertTrue(self.found_in(
            "a.hpp", "#pragma once\n#include <string>\ninline void f() { throw std::string(); }\n"))

    def test_finds_what_is_not_c(self):
        self.assertEqual(len(C + C_FREESTANDING),
                         len(self.found_in("a.h", "#pragma once\nusing a = int;\n")))


if __name__ == "__main__":
    unittest.main()
