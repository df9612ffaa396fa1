#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots the bare-metal image in QEMU, shows its console, and reports its verdict.

The image runs one scenario and ends with a line `PASS name ...` or `FAIL name: reason` and with the
matching write to isa-debug-exit. Both must say the same, or the run has failed. A scenario may ask
for what only the machine's outside can do, in a line of its own: `host: inject-nmi`.

Exit status: 0, the verdict is the expected one; 1, it is not, or there is none; 2, usage.
"""

import argparse
import contextlib
import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time

# What QEMU exits with for the values that the image writes to isa-debug-exit: value * 2 + 1.
# A panic is a failure, too.
EXIT_STATUS = {"PASS": (0x10 * 2 + 1,), "FAIL": (0x11 * 2 + 1, 0x12 * 2 + 1)}
VERDICT = re.compile(r"(PASS [\w.-]+(?: .*)?|FAIL [\w.-]+: .+)")
HOST_REQUEST = re.compile(r"^host: ([\w-]+)$")
HOST_REQUESTS = {"inject-nmi"}
MOST_CONSOLE = 1 << 22


class Run:
    """What one boot has come to."""

    def __init__(self):
        self.console = ""
        self.status = None      # QEMU's; None: it had to be killed
        self.problem = None     # why the run counts for nothing, in a sentence
        self.seconds = 0.0

    @property
    def lines(self):
        return [line for line in self.console.splitlines() if line.strip()]

    @property
    def verdict(self):
        """The last line, if it is a verdict and QEMU's exit status agrees; else None."""
        match = VERDICT.fullmatch(self.lines[-1]) if self.lines else None
        return match.group() if match and self.status in EXIT_STATUS[match.group()[:4]] else None

    def explain(self):
        """Why there is no verdict."""
        if self.problem:
            return self.problem
        last = self.lines[-1] if self.lines else "nothing"
        return f"no verdict: QEMU's exit status is {self.status}, the last line is: {last}"


class Qmp:
    """The machine's monitor, connected when first needed."""

    def __init__(self, path):
        self.path, self.socket = path, None

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(self.path)
        self.stream = self.socket.makefile("rw")
        self.stream.readline()
        self.execute("qmp_capabilities")

    def execute(self, command):
        if self.socket is None:
            self.open()
        self.stream.write(json.dumps({"execute": command}) + "\n")
        self.stream.flush()
        while True:
            answer = json.loads(self.stream.readline() or '{"error": {"desc": "no answer"}}')
            if "error" in answer:
                raise OSError(answer["error"]["desc"])
            if "return" in answer:
                return

    def close(self):
        if self.socket is not None:
            self.stream.close()
            self.socket.close()


def command_line(image, words, cpus, memory_mib, counted, monitor):
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        sys.exit("boot.py: qemu-system-x86_64 is not there: install Debian's qemu-system-x86")
    command = [qemu, "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
               "-smp", str(cpus), "-m", str(memory_mib),
               "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
               "-qmp", f"unix:{monitor},server=on,wait=off"]
    if counted:
        # One tick of the time stamp counter is one instruction, in every run the same.
        command += ["-accel", "tcg,thread=single", "-icount", "shift=0,align=off,sleep=off",
                    "-cpu", "qemu64"]
    else:
        command += ["-accel", "tcg,thread=multi"]
    if image.endswith(".iso"):
        if words:
            sys.exit("boot.py: the ISO's own menu names the scenario")
        return [*command, "-cdrom", image, "-boot", "d"]
    return [*command, "-kernel", image, "-append", " ".join(words)]


def boot(image, words, cpus=1, memory_mib=64, timeout_s=60.0, counted=False, show=None):
    """Runs one scenario. Always returns within the time, with QEMU gone. `show` is called with
    each piece of the console as it comes."""
    run = Run()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nmircu-boot.") as folder:
        monitor = os.path.join(folder, "monitor")
        process = subprocess.Popen(
            command_line(image, words, cpus, memory_mib, counted, monitor),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            follow(process, run, monitor, began + timeout_s, show)
            if run.problem is None:
                run.status = process.wait(timeout=10)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            run.problem = f"the machine's monitor or its end: {error}"
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
    run.seconds = time.monotonic() - began
    return run


def follow(process, run, monitor, deadline, show):
    """Reads the console to its end, and does what it asks of the host."""
    done = 0  # how much of the console has been looked at for requests
    with selectors.DefaultSelector() as selector, contextlib.closing(Qmp(monitor)) as qmp:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                run.problem = "the time was up; the console ends above"
                break
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            piece = data.decode("ascii", "replace").replace("\r", "")
            run.console += piece
            if show:
                show(piece)
            if len(run.console) > MOST_CONSOLE:
                run.problem = "the console does not end"
                break
            whole = run.console.rfind("\n") + 1
            for line in run.console[done:whole].splitlines():
                match = HOST_REQUEST.match(line)
                if match and match[1] in HOST_REQUESTS:
                    qmp.execute(match[1])
            done = max(done, whole)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("image", help="the image, or its GRUB ISO")
    parser.add_argument("words", nargs="*", help="the image's command line: scenario [option=value]...")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--memory", type=int, default=64, metavar="MIB")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--counted", action="store_true",
                        help="one CPU at a time, one tick of the time stamp counter per instruction")
    parser.add_argument("--expect", metavar="REGEX", default="PASS .*",
                        help="what the whole verdict must match (default: %(default)s)")
    parser.add_argument("--console", metavar="REGEX", action="append", default=[],
                        help="what the console must contain besides; may be repeated")
    options = parser.parse_args(arguments)

    run = boot(options.image, options.words, options.cpus, options.memory, options.timeout,
               options.counted, show=lambda piece: print(piece, end="", flush=True))
    print(f"boot.py: {run.seconds:.1f} s")
    verdict = run.verdict
    if verdict is None:
        print(f"boot.py: {run.explain()}")
        return 1
    if not re.fullmatch(options.expect, verdict):
        print(f"boot.py: expected a verdict like: {options.expect}")
        return 1
    missing = [text for text in options.console if not re.search(text, run.console, re.M)]
    for text in missing:
        print(f"boot.py: the console has nothing like: {text}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
