# SPDX-License-Identifier: MIT
#
# A program for CPython to attach to; see threads.cpp. Threads take turns at the interpreter's lock.
import hashlib
import json
import os
import sys
import threading


def round_of_work(seed):
    counts = {}
    numbers = []
    for _ in range(500):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        numbers.append(seed)
        counts[seed % 97] = counts.get(seed % 97, 0) + 1
    numbers.sort()
    try:
        numbers[500]
    except IndexError as error:
        counts["error"] = str(error)
    text = json.dumps([counts, numbers]).encode()
    return hashlib.sha256(text * 20).hexdigest()  # longer texts are hashed without the lock


def work(seed):
    expected = round_of_work(seed)
    working.release()
    while round_of_work(seed) == expected:
        pass
    print("WRONG: a result", file=sys.stderr, flush=True)
    os._exit(1)


working = threading.Semaphore(0)
for seed in range(1, 5):
    threading.Thread(target=work, args=[seed], daemon=True).start()
for _ in range(4):
    working.acquire()
open(sys.argv[-1], "w").close()
sys.stdin.read()
os._exit(0)
