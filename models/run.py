#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Verifies the models: every good_*.pml completely and without an error, every bad_*.pml with the
error it announces.

usage: models/run.py [PATTERN...]      those whose path contains a PATTERN; without one, all
       models/run.py --show MODEL      the statements of the failing execution of one bad model

Prints one line for each. Exit status: 0 all as expected, 1 not so, 2 usage.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MODELS = Path(__file__).resolve().parent
ANNOUNCED = re.compile(r"^// Must fail: (.*)$", re.M)
# Every one fits in well below these.
DEPTH = 100_000
MEMORY_MB = 2000
SECONDS = 300


def is_good(model):
    return model.name.startswith("good_")


class Unexpected(Exception):
    """A verdict, or the lack of one, with what to look at."""


def run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.returncode, done.stdout + done.stderr


def build(folder, name, optimize):
    """Makes the verifier of a model in `folder`; the options to run it with."""
    status, output = run(folder, "spin", "-a", name)
    # Spin goes on after some errors.
    if status or re.search(r"\berror\b", output, re.I):
        raise Unexpected(f"spin does not accept it:\n{output}")
    made = "".join(path.read_text() for path in folder.glob("pan.*"))
    flags = ["-DNOFAIR", "-DSAFETY"]
    options = [f"-m{DEPTH}", "-w20"]
    if re.search(r"^progress\w*:", (folder / "model.pml").read_text(), re.M):
        flags, options = ["-DNP"], [*options, "-l", "-f"]  # non-progress cycles, weak fairness
    if re.search(r"^#define HAS_PROVIDED\s+1", made, re.M):
        flags.append("-DNOREDUCE")  # the reduction does not know what a process may be kept from
    status, output = run(folder, "gcc", "-w", optimize, f"-DMEMLIM={MEMORY_MB}", *flags, "-o", "pan", "pan.c")
    if status:
        raise Unexpected(f"the verifier does not compile:\n{output}")
    return options


def asserted(text, pattern):
    """How often the assertion of each (process, line) occurs in what `pan` printed."""
    found, process = Counter(), None
    for line in text.splitlines():
        name = re.match(r"^(?:unreached in )?(?:proctype (\S+)|init)", line)
        process = name[0].split()[-1] if name else process
        match = re.search(pattern, line)
        if match and "assert(" in line:
            found[process, match[1]] += 1
    return found


def judge_good(output, statements):
    if not re.search(r"errors: 0\b", output):
        raise Unexpected("an error in a good model")
    for trouble in ("Search not completed", "max search depth too small", "out of memory", "memory limit"):
        if trouble in output:
            raise Unexpected(f"not verified completely: {trouble}")
    # An inlined assertion counts as reached if one of its copies in the process is.
    never = asserted(output, r":(\d+), state \d+")
    for place, copies in asserted(statements, r":(\d+) =>").items():
        if never[place] == copies:
            raise Unexpected("%s never comes to the assertion in line %s" % place)


def judge_bad(output, announced):
    if announced is None:
        raise Unexpected("it does not say `// Must fail: ...`")
    found = re.search(r"^pan:\d+: (.*)$", output, re.M)
    if not found:
        raise Unexpected("no error in a bad model")
    # Spin puts its own blanks and parentheses into an assertion.
    error = re.sub(r"[ ()]", "", found[1])
    if not error.startswith("assertionviolated") and "cycle" not in announced:
        raise Unexpected(f"no assertion fails: {found[1]}")
    if re.sub(r"[ ()]", "", announced) not in error:
        raise Unexpected(f"it fails otherwise than announced: {found[1]}")


def verify(model, folder):
    """The number of states; raises Unexpected."""
    for path in model.parent.glob("*.pml"):
        shutil.copy(path, folder)
    # A bad one fails before an optimized verifier would be compiled.
    options = build(folder, model.name, "-O1" if is_good(model) else "-O0")
    status, output = run(folder, "./pan", *options)
    if is_good(model):
        judge_good(output, run(folder, "./pan", "-d")[1])
    else:
        announced = ANNOUNCED.search(model.read_text())
        judge_bad(output, announced and announced.group(1))
    return int(float(re.search(r"([\d.e+]+) states, stored", output).group(1)))


def check(model):
    """(whether it went as expected, the line to print)."""
    began = time.monotonic()
    name = model.relative_to(MODELS)
    with tempfile.TemporaryDirectory() as folder:
        try:
            states = verify(model, Path(folder))
        except (Unexpected, subprocess.TimeoutExpired) as reason:
            return False, f"FAILED  {name}: {reason}"
    verdict = "holds" if is_good(model) else "fails, as it must"
    return True, f"ok      {name}: {verdict}; {states} states, {time.monotonic() - began:.1f} s"


def show(model):
    """A shortest failing execution, found breadth first; for a cycle, one that Spin comes across."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        verify(model, folder)
        if "non-progress" not in model.read_text():
            run(folder, "gcc", "-w", "-O1", "-DBFS", "-DNOFAIR", "-DSAFETY", "-DNOREDUCE", "-o", "pan", "pan.c")
            run(folder, "./pan", "-w20")
        _, output = run(folder, "spin", "-t", "-p", "-g", "-l", model.name)
    print(re.sub(r"^.*(<<Not Enabled>>|\.\(goto\)|goto :).*\n", "", output, flags=re.M), end="")


def select(patterns):
    every = sorted(MODELS.glob("*/good_*.pml")) + sorted(MODELS.glob("*/bad_*.pml"))
    found = [m for m in every if not patterns or any(p in str(m.relative_to(MODELS)) for p in patterns)]
    if not found:
        sys.exit(f"error: no model's path contains {' or '.join(patterns)}; they are in {MODELS}")
    return found


def main(arguments):
    if any(a.startswith("-") and a != "--show" for a in arguments):
        print(__doc__)
        return 0 if arguments[0] in ("-h", "--help") else 2
    if arguments[:1] == ["--show"]:
        show(select(arguments[1:])[0])
        return 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = 0
        for expected, line in pool.map(check, select(arguments)):
            print(line, flush=True)
            failed += not expected
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
