# SPDX-License-Identifier: MIT
"""Properties, of the code that a compiler makes of code.cpp:
  - rcu_dereference is one plain load, and on Alpha a barrier after it: no fence, no acquire;
  - entering and leaving a section runs no fence and no locked instruction where readers count per CPU.

usage: code_test.py MACHINE|native COMPILER [OPTION...]
"""

import platform
import re
import subprocess
import sys
import unittest
from pathlib import Path

# A load and a return, nothing else.
DEREFERENCE = {
    "x86_64": ["movq", "ret"],
    "aarch64": ["ldr", "ret"],
    "riscv64": ["ld", "ret"],
    "powerpc64le": ["ld", "blr"],
    "s390x": ["lg", "br"],
    "alpha": ["ldq", "mb", "ret"],
}
# The same, as other compilers spell it: clang writes the return of x86 with its width.
SPELLING = {"retq": "ret"}

# What a section is rid of, where the machine has per-CPU counts. STLR, the release, is not among
# these; CAS, SWP, LD<op> and the exclusives are what AArch64 calls locked.
FORBIDDEN = {
    "x86_64": r"lock\b.*|[lms]fence|xchg.*",
    "aarch64": r"dmb|dsb|isb|ldap?r[bh]?|ldax.*|st?lx.*|ldxr.*|stxr.*|cas.*|swp.*|ld(add|set|clr|eor)\w*",
}

machine = compiler = None


class Code(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        source = Path(__file__).with_name("code.cpp")
        done = subprocess.run(
            [*compiler, "-std=c++20", "-O2", "-fPIC", "-Wall", "-Wextra", "-Werror", "-S", "-o", "-", source],
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"it does not compile:\n{done.stderr}")
        cls.assembly = done.stdout

    def instructions(self, function):
        """Its instructions, without operands; a prefix counts as one."""
        body = re.search(rf"^{function}:[^\n]*\n(.*?)^\s*\.(?:size|end)\s+{function}\b", self.assembly, re.M | re.S)
        self.assertTrue(body, f"no function {function} in:\n{self.assembly}")
        found = []
        for line in body[1].split("\n"):
            line = re.sub(r"^[\w.$]+:", "", line).strip()
            for statement in line.split(";"):
                word = statement.split()
                # ENDBR64 is for builds with control-flow protection.
                if word and not word[0].startswith((".", "#", "/", "@")) and word[0] != "endbr64":
                    found.append(SPELLING.get(word[0], word[0]))
        return found

    def forbidden(self, function):
        return [i for i in self.instructions(function) if re.fullmatch(FORBIDDEN[machine], i)]

    def test_dereference(self):
        self.assertEqual(DEREFERENCE[machine], self.instructions("dereference"))
        self.assertEqual(DEREFERENCE[machine], self.instructions("dereference_plain"))

    def test_a_stronger_or_weaker_load_would_be_seen(self):
        expected = DEREFERENCE[machine]
        self.assertNotEqual(expected, self.instructions("fenced") if machine != "alpha" else
                            self.instructions("plain"))
        self.assertNotEqual(expected, self.instructions("loaded_twice"))
        # Where an acquire costs something; on Alpha it is what we want.
        if machine in ("aarch64", "riscv64", "powerpc64le"):
            self.assertNotEqual(expected, self.instructions("acquire"))

    def test_section(self):
        if machine not in FORBIDDEN:
            self.skipTest("every reader counts in the shared slot")
        self.assertEqual([], self.forbidden("section"))
        # The thread's record is found without a call that might allocate.
        self.assertNotIn("__tls_get_addr", self.assembly)
        self.assertNotIn("tlsdesc", self.assembly)

    def test_a_costlier_section_would_be_seen(self):
        if machine not in FORBIDDEN:
            self.skipTest("every reader counts in the shared slot")
        self.assertNotEqual([], self.forbidden("fenced_section"))
        # AArch64's may be a call of libgcc's, which this does not look into.
        if machine == "x86_64":
            self.assertNotEqual([], self.forbidden("counting_section"))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    machine = platform.machine() if sys.argv[1] == "native" else sys.argv[1]
    compiler = sys.argv[2:]
    unittest.main(argv=sys.argv[:1], verbosity=2)
