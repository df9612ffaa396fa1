# SPDX-License-Identifier: MIT
"""Whole programs under `nmi run`, under gperftools' CPU profiler (libprofiler, preloaded), and under
`perf record`, in turns.

Accuracy: a program that knows where its time went (truth.cpp); the error of a profiler is its largest
difference, in points, between a function's true share and the one it shows. Overhead: the CPU time of
the process, user and system, all its threads, over that of the same program alone in the same round;
the median of the rounds. What `nmi` itself uses beside the program is in a column of its own.

profile.py --nmi NMI --truth FILE --server FILE --usage FILE [--json] [--quick] [--filter REGEX]
"""

import argparse
import collections
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from readers import Addresses, read_folded, read_gperftools, read_perf

RATES = (100, 1000, 4000)
SCENARIOS = ("functions", "threads", "brief", "blocked")
GPERFTOOLS = "libprofiler.so.0"
# Of our own C library's loader: a script's interpreter would be the program.
PYTHON = os.path.realpath(sys.executable)


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.addresses = Addresses(options.truth)
        self.input = self.path("input")
        self.rounds = 3 if options.quick else 9
        self.scale = 0.35 if options.quick else 1.0

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, command, expected=0, **variables):
        done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, XDG_RUNTIME_DIR=self.folder, **variables))
        if done.returncode != expected:
            sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")

    # -- contestants: each runs a command and returns the number of samples, or its stacks

    def alone(self, command, rate, **variables):
        self.run(command, **variables)
        return 0

    def nmi(self, command, rate, source="auto", **variables):
        self.run([self.options.nmi, "run", "-F", str(rate), "--source", source, "-o", "nmi",
                  "--report", "nmi.txt", "--", *command], **variables)
        with open(self.path("nmi.txt")) as file:
            found = re.search(r"^ +all NMIs .*?([\d,]+)$", file.read(), re.M)
        return int(found[1].replace(",", ""))

    def nmi_timer(self, command, rate, **variables):
        return self.nmi(command, rate, source="timer", **variables)

    def gperftools(self, command, rate, **variables):
        preload = " ".join(filter(None, [variables.pop("LD_PRELOAD", ""), GPERFTOOLS]))
        self.run(command, LD_PRELOAD=preload, CPUPROFILE="gperftools",
                 CPUPROFILE_FREQUENCY=str(rate), **variables)
        return sum(count for _, count in read_gperftools(self.path("gperftools")))

    def perf(self, command, rate, **variables):
        self.run(["perf", "record", "-q", "-F", str(rate), "-e", "cpu-clock:u", "-g", "-o", "perf",
                  *command], **variables)
        return 0

    def stacks(self, contestant):
        if contestant.startswith("nmi"):
            return read_folded(self.path("nmi.folded"))
        if contestant == "perf":
            return read_perf(self.path("perf"))
        return self.addresses.symbolized(read_gperftools(self.path("gperftools")))

    # -- accuracy

    def accuracy(self, scenario):
        rows = {}
        seconds = "3" if self.options.quick else "10"
        for contestant in self.contestants():
            errors, shown = [], []
            for _ in range(1 if self.options.quick else 3):
                truth = self.path("truth")
                getattr(self, contestant)([self.options.truth, scenario, seconds, truth], 1000)
                error, samples = self.error(truth, self.stacks(contestant))
                errors.append(error)
                shown.append(samples)
            rows[contestant] = {"error_points": max(errors),
                                "samples_per_cpu_second": statistics.median(shown)}
        return rows

    @staticmethod
    def contestants():
        return ["nmi", "nmi_timer", "gperftools"] + (["perf"] if perf_works() else [])

    @staticmethod
    def error(truth, stacks):
        """The largest error in points, and samples per second of the CPU time that is known."""
        with open(truth) as file:
            spent = {name: int(ns) for name, ns in (line.split() for line in file)}
        seen = collections.Counter()
        for names, count in stacks:
            # The innermost of ours: a clock it reads is its own.
            number = next((re.search(r"\bspin<(\d+)u?>", name) for name in names
                           if "spin<" in name), None)
            if number:
                seen[f"spin<{number[1]}>"] += count
        total, samples = sum(spent.values()), max(sum(seen.values()), 1)
        worst = max(abs(spent[name] / total - seen[name] / samples) for name in spent)
        return 100 * worst, samples / (total / 1e9)

    # -- overhead

    def workloads(self):
        size = int(self.scale * 8e6)
        random.seed(1)
        words = [bytes(random.choices(b"abcdefghijklmnop", k=random.randint(2, 9)))
                 for _ in range(5000)]
        with open(self.input, "wb") as file:
            file.write(b" ".join(random.choices(words, k=size // 6))[:size])
        rows = int(self.scale * 4e6)
        query = ("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < "
                 f"{rows}) SELECT sum(x * x % 7), count(DISTINCT x % 1000) FROM c")
        script = ("import json\n"
                  f"for i in range({int(self.scale * 150)}):\n"
                  "    d = {str(k): [k * i, k ** 2] for k in range(3000)}\n"
                  "    assert json.loads(json.dumps(d)) == d\n")
        found = {"xz -T2": ["xz", "-T2", "--block-size=1MiB", "-6", "-k", "-c", self.input],
                 "sqlite3": ["sqlite3", ":memory:", query],
                 "python3": [PYTHON, "-c", script],
                 "64-thread server": [self.options.server, str(int(self.scale * 80000))]}
        return {name: command for name, command in found.items() if shutil.which(command[0])}

    def measure(self, contestant, command, rate):
        """Process's CPU and wall seconds, what its profiler used beside it, samples."""
        usage = self.path("usage")
        before = os.times()
        samples = getattr(self, contestant)(command, rate, LD_PRELOAD=self.options.usage,
                                            BENCH_USAGE=usage)
        after = os.times()
        with open(usage) as file:
            user, system, wall = (int(ns) / 1e9 for ns in file.read().split())
        everything = (after.children_user + after.children_system - before.children_user -
                      before.children_system)
        return {"cpu": user + system, "wall": wall, "beside": everything - user - system,
                "samples": samples}

    def overhead(self, name, command):
        plan = [("alone", 0)] + [(contestant, rate) for rate in RATES
                                 for contestant in ("nmi", "nmi_timer", "gperftools")]
        runs = collections.defaultdict(list)
        self.measure("alone", command, 0)
        for _ in range(self.rounds):
            random.shuffle(plan)
            for one in plan:
                runs[one].append(self.measure(one[0], command, one[1]))
        rows = []
        base = runs[("alone", 0)]
        for contestant, rate in sorted(key for key in runs if key[0] != "alone"):
            got = runs[(contestant, rate)]

            def over(key):
                return statistics.median(g[key] / b[key] for g, b in zip(got, base))

            rows.append({"program": name, "profiler": contestant, "rate_hz": rate,
                         "cpu_over_alone": over("cpu"), "wall_over_alone": over("wall"),
                         "samples_per_cpu_second": statistics.median(
                             g["samples"] / g["cpu"] for g in got),
                         "beside": statistics.median(g["beside"] / g["cpu"] for g in got) -
                         statistics.median(b["beside"] / b["cpu"] for b in base)})
        spread = statistics.pstdev(b["cpu"] for b in base) / statistics.mean(b["cpu"] for b in base)
        return {"cpu_alone_s": statistics.median(b["cpu"] for b in base), "spread_alone": spread,
                "rows": sorted(rows, key=lambda r: (r["rate_hz"], r["profiler"]))}


def perf_works():
    try:
        return subprocess.run(["perf", "record", "-q", "-e", "cpu-clock:u", "-o", "/dev/null", "true"],
                              capture_output=True).returncode == 0
    except OSError:
        return False


def print_accuracy(scenario, rows):
    print(f"{scenario:<12}" + "".join(
        f"{name:>12} {row['error_points']:5.2f} ({row['samples_per_cpu_second']:,.0f}/s)"
        for name, row in rows.items()), flush=True)


def print_overhead(name, result):
    print(f"{name}: {result['cpu_alone_s']:.2f} s of CPU alone, "
          f"standard deviation {100 * result['spread_alone']:.1f} %")
    for row in result["rows"]:
        print(f"  {row['rate_hz']:>5} Hz  {row['profiler']:<11} CPU {row['cpu_over_alone']:.3f}  "
              f"wall {row['wall_over_alone']:.3f}  beside {100 * row['beside']:5.1f} %  "
              f"{row['samples_per_cpu_second']:,.0f} samples per CPU second", flush=True)


def main():
    parser = argparse.ArgumentParser()
    for name in ("nmi", "truth", "server", "usage"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    wanted = re.compile(options.filter)
    results = {"program": "bench_profile", "accuracy": {}, "overhead": {}}
    with tempfile.TemporaryDirectory(prefix="nmi-bench-", dir="/tmp") as folder:
        bench = Bench(options, folder)
        if not options.json:
            print("accuracy: largest error of a share in points, at 1,000 Hz (samples per CPU second)")
        for scenario in SCENARIOS:
            if not wanted.search(f"accuracy {scenario}"):
                continue
            results["accuracy"][scenario] = rows = bench.accuracy(scenario)
            if not options.json:
                print_accuracy(scenario, rows)
        if not options.json:
            print("overhead: over the program alone")
        for name, command in bench.workloads().items():
            if not wanted.search(f"overhead {name}"):
                continue
            results["overhead"][name] = rows = bench.overhead(name, command)
            if not options.json:
                print_overhead(name, rows)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
