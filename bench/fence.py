#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a fence costs: a start with `gpualloc run --fence` against one without, and opening /dev/null
and a file behind it against not, and against the least that Landlock can have: one rule, which allows all.
They take turns. Of the starts the median and the least; of an open the least average of a hundred, which is
short enough to be disturbed by nothing.

usage: fence.py GPUALLOC [ROUNDS]"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from start import TRUE, start

ROUNDS_OF_OPENS = 8

OPENS = """
import ctypes, os, struct, sys, time
if sys.argv[1] == "one rule":
    handled, libc = 1 << 1 | 1 << 2 | 1 << 13, ctypes.CDLL(None)
    attributes = ctypes.c_uint64(handled)
    rules = libc.syscall(444, ctypes.byref(attributes), 8, 0)
    root = struct.pack("=Qi", handled, os.open("/", os.O_PATH))
    if rules < 0 or libc.syscall(445, rules, 1, root, 0) or libc.prctl(38, 1, 0, 0, 0) or libc.syscall(446, rules, 0):
        sys.exit("Landlock refuses")
for path in sys.argv[2:]:
    best = None
    for _ in range(500):
        begin = time.perf_counter_ns()
        for _ in range(100):
            os.close(os.open(path, os.O_RDONLY))
        each = (time.perf_counter_ns() - begin) / 100
        best = each if best is None else min(best, each)
    print(best)
"""


def main():
    gpualloc = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    where = tempfile.mkdtemp(prefix="gpualloc-fence-")
    env = {**os.environ, "GPUALLOC_STATE_DIR": os.path.join(where, "store")}
    path = os.path.join(where, "file")
    ways = {"without": [], "with --fence": ["--fence"], "one rule": []}
    times = {name: [] for name in ways}
    opens = {name: [] for name in ways}
    with open(path, "w", encoding="utf-8"):
        pass
    try:
        for _ in range(rounds):
            for name, options in list(ways.items())[:2]:
                times[name].append(start([gpualloc, "run", "-q", *options, "--machine", "dgx1-volta",
                                          "--", TRUE], env))
        for _ in range(ROUNDS_OF_OPENS):
            for name, options in ways.items():
                done = subprocess.run([gpualloc, "run", "-q", *options, "--machine", "dgx1-volta",
                                       sys.executable, "-c", OPENS, name, "/dev/null", path], env=env,
                                      check=True, capture_output=True, text=True)
                opens[name].append([float(line) for line in done.stdout.split()])
    finally:
        shutil.rmtree(where)
    print(f"{'':14}{'start, us: median':>18}{'ratio':>7}{'least':>7}{'ratio':>7}{'/dev/null, ns':>15}"
          f"{'ratio':>7}{'a file, ns':>12}{'ratio':>7}")
    base = None
    for name in ways:
        row = [*((statistics.median(times[name]), min(times[name])) if times[name] else (None, None)),
               *map(min, zip(*opens[name]))]
        base = base or row
        print(f"{name:14}" + "".join(" " * (width + 7) if value is None else f"{value:{width}.0f}{value / first:7.2f}"
                                     for value, first, width in zip(row, base, (18, 7, 15, 12))))


if __name__ == "__main__":
    main()
