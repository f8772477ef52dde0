#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a lease costs: `gpualloc run -- true` against `flock FILE true`, which starts the same
program under the same kind of lock. Instructions of all processes by callgrind (user mode, and the
same in every run), wall time as the medians of starts that take turns.

usage: start.py GPUALLOC [ROUNDS]"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TRUE = shutil.which("true")


def quiet(words, env):
    subprocess.run(words, env=env, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def instructions(words, env, where):
    """Of the command and of what it starts or becomes; None where there is no valgrind. A forked
    child counts on from its parent, so of a child only the program counts that it becomes."""
    if not shutil.which("valgrind"):
        return None
    out = tempfile.mkdtemp(dir=where)
    done = subprocess.Popen(
        ["valgrind", "--tool=callgrind", "--trace-children=yes", "--dump-before=execve",
         f"--callgrind-out-file={out}/%p", *words], env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.wait() == 0, words
    total = 0
    for name in os.listdir(out):  # PID.1: what PID had done when it became another program
        if "." in name and name.split(".")[0] != str(done.pid):
            continue
        with open(os.path.join(out, name), encoding="utf-8") as file:
            total += int(re.search(r"^totals: (\d+)", file.read(), re.MULTILINE).group(1))
    return total


def start(words, env):
    """Microseconds until it has ended, without Python's own way of starting."""
    begin = time.perf_counter_ns()
    os.waitpid(os.posix_spawn(words[0], words, env), 0)
    return (time.perf_counter_ns() - begin) / 1000


def main():
    gpualloc = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    where = tempfile.mkdtemp(prefix="gpualloc-start-")
    env = {**os.environ, "GPUALLOC_STATE_DIR": os.path.join(where, "store")}
    rows = {
        "true": [TRUE],
        "flock FILE true": [shutil.which("flock"), os.path.join(where, "lock"), TRUE],
        "gpualloc run -- true": [gpualloc, "run", "--machine", "dgx1-volta", "--", TRUE],
    }
    times = {name: [] for name in rows}
    try:
        for words in rows.values():
            quiet(words, env)  # makes the store and the file
        counts = {name: instructions(words, env, where) for name, words in rows.items()}
        for _ in range(rounds):
            for name, words in rows.items():
                times[name].append(start(words, env))
    finally:
        shutil.rmtree(where)
    base = "flock FILE true"
    wall = {name: statistics.median(list_) for name, list_ in times.items()}
    print(f"{'':22}{'instructions':>14}{'ratio':>7}{'median, us':>12}{'ratio':>7}")
    for name in rows:
        count = f"{counts[name]:14,}{counts[name] / counts[base]:7.2f}" if counts[base] \
            else f"{'no valgrind':>14}{'':7}"
        print(f"{name:22}{count}{wall[name]:12.0f}{wall[name] / wall[base]:7.2f}")


if __name__ == "__main__":
    main()
