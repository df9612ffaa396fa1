# SPDX-License-Identifier: MIT
"""Code that every platform shares does not ask which platform it is on: its conditionals look at the
language and at who includes it, never at an operating system, an architecture or `hosted`."""

import re
import unittest

from tree import CPP, ROOT, TreeTest, files, split_comments

SHARED = ("include", "src/rcu", "src/interrupt", "src/kernel_api")
CONDITIONAL = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)")
# What the compiler or a build system says about the machine. Ours would be called after a platform.
PLATFORM = re.compile(
    r"__linux|__gnu_linux|__unix|__STDC_HOSTED__|__ELF__|__APPLE__|_WIN|__x86_64|__i386|__aarch64|__arm"
    r"|__riscv|__alpha|__powerpc|__s390|__has_include|BARE_?METAL|HOSTED|FREESTANDING|(?<![A-Z])LINUX", re.I)


def problems(root):
    found = []
    for path in files(root, *CPP):
        if not str(path).startswith(tuple(f"{folder}/" for folder in SHARED)):
            continue
        for number, (code, _) in enumerate(split_comments((root / path).read_text()), 1):
            match = CONDITIONAL.match(code)
            if match and PLATFORM.search(match[1]):
                found.append(f"{path}:{number}: shared code asks for its platform: {code.strip()}")
    return found


class Conditionals(TreeTest):
    def test_tree(self):
        self.assert_clean(problems(ROOT))

    def test_finds_platforms(self):
        for condition in ("ifdef __linux__", "if !__STDC_HOSTED__", "ifndef NMIRCU_BAREMETAL",
                          "if defined(__x86_64__)", "if __has_include(<unistd.h>)"):
            self.assert_finds(problems, {"src/rcu/a.cpp": f"#{condition}\n#endif\n"}, "a.cpp:1")

    def test_accepts_languages_and_ports(self):
        self.assert_finds(problems, {"include/a.h": "#ifdef __cplusplus\n#endif\n// #ifdef __linux__\n",
                                     "src/platform/linux/a.cpp": "#ifdef __linux__\n#endif\n"}, None)


if __name__ == "__main__":
    unittest.main()
