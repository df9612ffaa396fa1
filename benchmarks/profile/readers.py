# SPDX-License-Identifier: MIT
"""What the profilers write, as lists of (stack, count): function names, the innermost first, or, from
gperftools, addresses."""

import re
import struct
import subprocess


def read_folded(path):
    """nmi's: thread;outer;...;leaf count"""
    stacks = []
    with open(path) as file:
        for line in file:
            if line.startswith("#"):
                continue
            names, count = line.rsplit(" ", 1)
            stacks.append((names.split(";")[:0:-1], int(count)))
    return stacks


def read_gperftools(path):
    """Words of the machine: a header of 2 + n, then count, depth and addresses of each stack; a stack of
    one zero ends it. https://gperftools.github.io/gperftools/cpuprofile-fileformat.html"""
    with open(path, "rb") as file:
        data = file.read()
    words = struct.unpack(f"<{len(data) // 8}Q", data[:len(data) // 8 * 8])
    at = 2 + words[1]
    stacks = []
    while at + 2 < len(words):
        count, depth = words[at:at + 2]
        if (count, depth, words[at + 2]) == (0, 1, 0):
            break
        stacks.append((words[at + 2:at + 2 + depth], count))
        at += 2 + depth
    return stacks


class Addresses:
    """Names of the functions of a program that is linked to a fixed address."""

    def __init__(self, program):
        listing = subprocess.run(["nm", "-SC", "--defined-only", program], capture_output=True,
                                 text=True, check=True).stdout
        self.functions = []
        for line in listing.splitlines():
            found = re.match(r"(\w+) (\w+) [tTwW] (.*)", line)
            if found:
                begin = int(found[1], 16)
                self.functions.append((begin, begin + int(found[2], 16), found[3]))

    def name(self, address):
        return next((name for begin, end, name in self.functions if begin <= address < end), "?")

    def symbolized(self, stacks):
        return [([self.name(address) for address in stack], count) for stack, count in stacks]


def read_perf(path):
    """perf.data, by perf script: a block of indented lines a sample."""
    text = subprocess.run(["perf", "script", "-i", path, "-F", "ip,sym"], capture_output=True,
                          text=True, check=True).stdout
    blocks = [block.splitlines() for block in text.split("\n\n") if block.strip()]
    return [([line.split(None, 1)[-1] for line in block if line.strip()], 1) for block in blocks]
