# SPDX-License-Identifier: MIT
"""How long a hung program of 100 threads is held up while somebody shows all of its stacks: nmi
backtrace, gdb and eu-stack, in turns, on the same process.

One of the threads does nothing but read the clock; the longest time between two of its readings is
how long it was kept from running. Beside it, for nmi, what each thread's handler took, by its own
clock. `nobody` is the same thread left alone for as long: what the machine itself does.

held_up.py NMI PROGRAM [--json] [--quick] [--filter REGEX]
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

THREADS = 100
PATIENCE_S = 120


class Target:
    def __init__(self, program, environment):
        self.process = subprocess.Popen([program, str(THREADS - 4), "gaps"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout.readline() == "ready\n"

    def gap_ns(self):
        """The longest time the clock reader was kept from running since the last call."""
        self.process.send_signal(signal.SIGUSR1)
        return int(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.wait()


def run(words, environment):
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE_S)
    if done.returncode != 0 and words[0] != "eu-stack":  # which finds faults with the outermost frames
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


def contestants(nmi, pid):
    yield "nmi backtrace", [nmi, "backtrace", pid, "--json"]
    yield "nmi backtrace, attaching", [nmi, "backtrace", pid, "--json"]
    if shutil.which("gdb"):
        yield "gdb", ["gdb", "-batch", "-ex", "thread apply all bt", "-p", pid]
    if shutil.which("eu-stack"):
        yield "eu-stack", ["eu-stack", "-p", pid]
    yield "nobody", ["sleep", "0.2"]


def one_turn(target, name, words, nmi, environment, row):
    pid = str(target.process.pid)
    if name == "nmi backtrace":
        run([nmi, "attach", pid], environment)
    target.gap_ns()
    begin = time.monotonic()
    told = run(words, environment)
    row["took_ms"].append((time.monotonic() - begin) * 1e3)
    row["gap_us"].append(target.gap_ns() / 1e3)
    if name.startswith("nmi"):
        threads = json.loads(told)["threads"]
        assert len(threads) == THREADS and all(t["answered"] for t in threads), told
        held = sorted(t["held_ns"] / 1e3 for t in threads)
        row["held_us"].append(statistics.median(held))
        row["held_most_us"].append(held[-1])
    if name == "nmi backtrace":
        run([nmi, "detach", pid], environment)


def measure(nmi, program, rounds, wanted):
    rows = {}
    with tempfile.TemporaryDirectory(prefix="nmi-bench-") as folder:
        environment = dict(os.environ, XDG_RUNTIME_DIR=folder)
        target = Target(program, environment)
        try:
            for _ in range(rounds):
                for name, words in contestants(nmi, str(target.process.pid)):
                    if not wanted.search(name):
                        continue
                    row = rows.setdefault(name, {"took_ms": [], "gap_us": [], "held_us": [],
                                                 "held_most_us": []})
                    one_turn(target, name, words, nmi, environment, row)
        finally:
            target.end()
    return {name: {what: round(statistics.median(values), 1) for what, values in row.items() if values}
            for name, row in rows.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nmi")
    parser.add_argument("program")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--filter", type=re.compile, default=re.compile(""))
    options = parser.parse_args()
    rows = measure(options.nmi, options.program, 3 if options.quick else 9, options.filter)
    gdb = rows.get("gdb", {}).get("gap_us")
    for name, row in rows.items():
        if gdb and "held_most_us" in row:
            row["gdb_stops_longer_by"] = round(gdb / row["held_most_us"], 1)
    if options.json:
        print(json.dumps({"program": "bench_backtrace", "threads": THREADS, "rows": rows}, indent=1))
        return
    print(f"{THREADS} threads; medians      kept from running   handler: median     longest       took")
    for name, row in rows.items():
        held = [f"{row[key]:11.1f} us" if key in row else " " * 14
                for key in ("held_us", "held_most_us")]
        print(f"{name:26} {row['gap_us']:16.1f} us {held[0]:>18} {held[1]:>11} {row['took_ms']:7.0f} ms")
    if gdb and "nmi backtrace" in rows:
        ratio = rows["nmi backtrace"]["gdb_stops_longer_by"]
        print(f"gdb's stop is {ratio:.0f} times the longest that a thread is in the handler")


if __name__ == "__main__":
    main()
