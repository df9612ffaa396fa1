# SPDX-License-Identifier: MIT
"""Boots the image's scenario `figures` on an emulated machine that executes one instruction per tick
of its time stamp counter, with 1 and with 4 CPUs, each twice, and prints what each operation costs in
instructions, beside Linux. Figures are counts, not times: this machine's speed does not matter.

figures.py IMAGE [--json] [--quick] [--filter REGEX]
"""

import argparse
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "baremetal"))
import boot  # noqa: E402

CPUS = (1, 4)
FIGURE = re.compile(r"^figure (\S+) (\d+)$", re.M)

# Linux 6.12.107, mitigations=off, NMI to self through the ICR, the same emulator and bracket, one CPU.
# key, what it is, Linux's, our goal
ROWS = (
    ("nmi.one_handler", "NMI, one handler that counts", 433, 150),
    ("nmi.one_handler.most", "    when its handlers are timed, as one NMI in 16 is", None, None),
    ("nmi.mean", "    mean of both", None, None),
    ("nmi.empty_handler", "NMI, one handler without a body", 421, None),
    ("nmi.second_handler", "the second handler", None, None),
    ("nmi.further_handler", "each further handler", 87, 10),
    ("nmi.callback", "NMI, the callback of set_nmi_callback instead", None, None),
    ("grace_period", "grace period, nobody inside (Linux: expedited)", 6727, 1000),
    ("grace_period.most", "    when it is timed, as one in 16 is", None, None),
    ("register", "register a handler", None, None),
    ("unregister", "unregister it, with its grace period (Linux: synchronize_rcu)", 26000, None),
    ("read_section", "enter and leave a read-side section", None, None),
)
HIDDEN = {"empty_bracket", "nmi.timed", "nmi.empty_handler.most", "unregister.most"}


def figures(image, cpus):
    """{key: instructions} of one boot."""
    run = boot.boot(image, ["scenario=figures"], cpus=cpus, counted=True, timeout_s=300)
    if not (run.verdict or "").startswith("PASS figures"):
        print(run.console, file=sys.stderr)
        sys.exit(f"error: the scenario `figures` on {cpus} CPUs: {run.verdict or run.explain()}")
    found = {key: int(value) for key, value in FIGURE.findall(run.console)}
    if not found:
        sys.exit(f"error: the scenario `figures` on {cpus} CPUs gave no figures")
    return found


def table(results, wanted):
    print("instructions: QEMU TCG, -icount shift=0, one instruction a tick; Linux 6.12.107 on 1 CPU\n")
    print(f"{'':62}{'1 CPU':>9}{'4 CPUs':>9}{'Linux':>9}   goal")
    keys = [row[0] for row in ROWS]
    extra = [(key, key, None, None) for key in results[CPUS[0]] if key not in {*keys, *HIDDEN}]
    for key, title, linux, goal in (*ROWS, *extra):
        if key not in results[CPUS[0]] or not wanted.search(f"{key} {title}"):
            continue
        ours = [results[cpus].get(key) for cpus in CPUS]
        verdict = "" if goal is None else f"<= {goal}: {'met' if ours[0] <= goal else 'MISSED'}"
        cells = "".join(f"{'' if value is None else format(value, ','):>9}" for value in (*ours, linux))
        print(f"{title:62}{cells}   {verdict}".rstrip())


def main(arguments):
    parser = argparse.ArgumentParser(prog="bench_baremetal", description=__doc__.rsplit("\n\n", 1)[0])
    parser.add_argument("image")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--quick", action="store_true", help="one run instead of two")
    parser.add_argument("--filter", metavar="REGEX", type=re.compile, default=re.compile(""))
    options = parser.parse_args(arguments)

    runs = 1 if options.quick else 2
    all_runs = {cpus: [figures(options.image, cpus) for _ in range(runs)] for cpus in CPUS}
    results = {cpus: runs_of[0] for cpus, runs_of in all_runs.items()}
    same = all(one == runs_of[0] for runs_of in all_runs.values() for one in runs_of)
    if options.json:
        print(json.dumps({"program": "bench_baremetal", "unit": "instructions", "runs": runs,
                          "same_in_every_run": same,
                          "cpus": {str(cpus): found for cpus, found in results.items()}}, indent=1))
        return 0 if same else 1
    table(results, options.filter)
    if runs == 1:
        return 0
    print(f"\nthe same in both runs: {'yes' if same else 'NO'}")
    for cpus, (first, second) in all_runs.items():
        for key in sorted(first.keys() | second.keys()):
            if first.get(key) != second.get(key):
                print(f"  {cpus} CPUs, {key}: {first.get(key)} and {second.get(key)}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
