# SPDX-License-Identifier: MIT
#
# Property: what a shell offers behind `nmi` is what nmi takes (the completion function of bash is
# driven as bash drives it), and the manual page renders without a warning and names every verb.
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from command import CommandTest, NMI, PATIENCE_S, PROGRAM, module

ROOT = Path(__file__).resolve().parents[2]

DRIVE = """
PATH=$1:$PATH
. "$2"
compopt() { :; }
shift 2
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_nmi nmi "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


class Completion(CommandTest):
    def offered(self, *words):
        done = subprocess.run(
            ["bash", "-c", DRIVE, "bash", os.path.dirname(NMI), ROOT / "cmd/nmi/completion/nmi.bash",
             "nmi", *words], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def verbs(self):
        help_text = self.nmi("--help").stdout
        return re.findall(r"(?m)^  ([a-z]+) ", help_text[help_text.index("Subcommands:"):])

    def test_verbs(self):
        self.assertGreater(len(self.verbs()), 6)
        self.assertEqual(set(self.verbs()) | {"--help", "--version"}, set(self.offered("")))
        self.assertEqual(self.offered("swa"), ["swap"])
        self.assertEqual(self.offered("nothing", ""), [])

    def test_every_option_that_help_names(self):
        for verb in self.verbs():
            with self.subTest(verb=verb):
                known = set(re.findall(r"(?m)^  (?:-\w,)?(--[a-z-]+)", self.nmi(verb, "--help").stdout))
                offered = set(self.offered(verb, "--"))
                self.assertTrue(known)
                self.assertEqual(known, offered)

    def test_values(self):
        self.assertLessEqual({"auto", "perf", "timer"}, set(self.offered("run", "--source", "")))
        self.assertIn("profiler", self.offered("load", "1", ""))
        self.assertIn("profiler", self.offered("run", "-m", "p"))
        Path(self.path("some-file")).touch()
        self.assertIn("some-file", self.offered("run", ""))
        self.assertIn("some-file", self.offered("run", "-o", "some"))
        self.assertIn("some-file", self.offered("run", "ls", "-l", "so"))

    def test_processes_with_an_agent(self):
        self.start("run", "-m", module("quiet"), "--pid-file", "pid", PROGRAM, "wait",
                   self.path("over"))
        pid = self.wait_for_file("pid").strip()
        self.assertIn(pid, self.offered("status", ""))
        open(self.path("over"), "w").close()

    def test_scripts_of_other_shells_parse(self):
        for shell, name in (("zsh", "_nmi"), ("fish", "nmi.fish")):
            if shutil.which(shell):
                subprocess.run([shell, "-n", ROOT / "cmd/nmi/completion" / name], check=True)


    @unittest.skipUnless(shutil.which("fish"), "no fish")
    def test_fish(self):
        os.symlink(NMI, self.path("nmi"))
        Path(self.path("some-file")).touch()
        script = ROOT / "cmd/nmi/completion/nmi.fish"
        for line, offered in (("swa", "swap"), ("run --source p", "perf"), ("run -o some", "some-file"),
                              ("record --mo", "--mode"), ("nothing ", "")):
            done = subprocess.run(
                ["fish", "-c", f"source {script}; complete -C 'nmi {line}'"], cwd=self.folder,
                capture_output=True, text=True, check=True, timeout=PATIENCE_S,
                env=dict(self.environment, PATH=self.folder + ":" + os.environ["PATH"]))
            self.assertEqual(done.stdout.strip(), offered, line)


class ManualPage(CommandTest):
    def setUp(self):
        super().setUp()
        subprocess.run(["python3", ROOT / "tools/man_page.py", ROOT / "docs/nmi.md", "1.2.3",
                        self.path("nmi.1")], check=True)

    @unittest.skipUnless(shutil.which("groff"), "no groff")
    def test_renders_without_a_warning(self):
        done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-K", "utf8", self.path("nmi.1")],
                              capture_output=True, text=True)
        warnings = [line for line in done.stderr.splitlines() if "special character" not in line]
        self.assertEqual((done.returncode, warnings), (0, []))
        text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
        for word in ("NAME", "SYNOPSIS", "EXIT STATUS", "NMI_LIBRARY_DIR"):
            self.assertIn(word, text)

    def test_names_every_verb(self):
        page = Path(self.path("nmi.1")).read_text()
        help_text = self.nmi("--help").stdout
        for verb in re.findall(r"(?m)^  ([a-z]+) ", help_text[help_text.index("Subcommands:"):]):
            self.assertIn(f"nmi {verb}", page)


if __name__ == "__main__":
    unittest.main()
