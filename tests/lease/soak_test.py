#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Soaking: leases of every kind for an hour (`make soak`, SOAK=10m shortens it), or for ROUNDS rounds as a
test. Some holders, keepers and waiters stay alive the whole time beside chaos in the same store. After each
round it samples their memory and descriptors and what is in the store; in the end all of these must be
flat. Ctrl-C ends it early and still prints the figures."""
import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import chaos_machine
import chaos_test
from chaos_test import Judged, Tap, left_in, place_for_store

GPUALLOC, GETGPU, ONE = (os.environ[name] for name in ("GPUALLOC", "GETGPU", "SOAK_ONE"))
ROUNDS = int(os.environ.get("ROUNDS", "0"))
# Of a round: enough that all kinds occur, and few enough that a minute has several rounds.
GRANTS, AT_ONCE = int(os.environ.get("GRANTS", "400")), 10
# What may grow: allocators do not give back everything, a keeper is caught looking around.
SLACK = {"memory": 512, "descriptors": 4, "bytes": 64 << 10, "files": 16}  # KiB, -, bytes, -


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([smh]?)", text).groups()
    return int(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit]


# ---- judging ----

def is_flat(series, slack):
    """What is there at the end against what was there once everything had begun: medians, for a
    sample may catch something half done."""
    quarter = max(1, len(series) // 4)
    early = sorted(series[quarter:2 * quarter] or series[:1])
    late = sorted(series[-quarter:])
    return late[len(late) // 2] - early[len(early) // 2] <= slack


def judge_the_judge(tap):
    planted = {"nothing": ([5] * 40, True), "warming up": ([1, 2, 3, 4, 5] + [6] * 40, True),
               "noise": ([5, 6, 5, 4, 6, 5, 5, 6] * 5, True), "a leak": (list(range(40)), False),
               "a slow leak": ([number // 8 for number in range(40)], False)}
    for name, (series, expected) in planted.items():
        tap.say(is_flat(series, 1) == expected, f"judge: {name}")


# ---- those that live long ----

def memory_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Lasting:
    """Processes that hold, keep or wait all the time, on GPUs of their own in the store of all."""

    def __init__(self, where, leaks):
        self.store, self.machine = os.path.join(where, "store"), os.path.join(where, "soak.json")
        self.env = {**os.environ, "GPUALLOC_STATE_DIR": self.store, "GPUALLOC_MACHINE": self.machine}
        self.processes, self.pids, self.leaks = {}, {}, leaks
        self.ask("setup")

    def begin(self):
        keeper = self.ask("hold", "-q", "--only", "0", "--for", "1d").strip()
        self.pids["keeper"] = self.pid_of("id", keeper)
        subprocess.run([GETGPU], env={**self.env, "GPUALLOC_HOLD": "1d"}, check=True,
                       stdout=subprocess.DEVNULL)
        self.pids["getgpu"] = self.pid_of("command", "getgpu")
        self.ask("hold", "-q", "--only", "1", "--share", "-m", "1GiB",
                 "--for", "1d")
        self.start("supervisor", [GPUALLOC, "run", "-q", "--supervise", "--only", "2", "sh", "-c",
                                  "while read line; do (:) & echo; done; exit 0"])
        self.poke("supervisor")
        self.start("waiter", [GPUALLOC, "run", "-q", "--wait", "--only", "0", "cat"])
        self.start("program", [ONE, self.machine, self.store], LEAKS=self.leaks)

    def ask(self, *words):
        return subprocess.run([GPUALLOC, *words], env=self.env, stdout=subprocess.PIPE, check=True,
                              text=True).stdout

    def shown(self):
        told = json.loads(self.ask("leases", "--json"))
        return told["leases"], told["waiting"]

    def pid_of(self, what, value):
        return next(one["pid"] for one in self.shown()[0] if one[what] == value)

    def start(self, name, words, **env):
        env = {key: value for key, value in env.items() if value}
        # Not in our group: Ctrl-C is for us, and we end them.
        self.processes[name] = subprocess.Popen(
            words, env={**self.env, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, start_new_session=True)
        self.pids[name] = self.processes[name].pid

    def poke(self, name):
        """It does something: a round of leases, a child that ends. What it says of it."""
        process = self.processes[name]
        process.stdin.write("\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    def wait_for_all(self):
        """The waiter has its ticket; nothing tells us but the list."""
        while len(self.shown()[1]) != 1 and self.processes["waiter"].poll() is None:
            time.sleep(0.01)
        return sum(len(part) for part in self.shown())

    def sample(self):
        for name, pid in self.pids.items():
            yield f"memory of the {name}, KiB", "memory", memory_of(pid)
            yield f"descriptors of the {name}", "descriptors", descriptors_of(pid)
        names = [os.path.join(at, name) for at, folders, files in os.walk(self.store)
                 for name in folders + files]
        yield "files in the store", "files", len(names)
        yield "bytes in the store", "bytes", sum(size_of(name) for name in names)

    def end(self):
        waiter = self.processes.pop("waiter", None)
        if waiter:
            waiter.terminate()
        for process in self.processes.values():
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for process in [*self.processes.values(), *([waiter] if waiter else [])]:
            process.wait()
            process.stdout.close()
        for lease in self.shown()[0]:
            self.ask("release", "-q", "--yes", lease["id"])


def size_of(path):
    """A file may go while we look."""
    with contextlib.suppress(FileNotFoundError):
        return os.lstat(path).st_size
    return 0


# ---- soaking ----

def write_machines(where):
    number = chaos_machine.write(chaos_test.MACHINE, os.path.join(where, "machines"))
    with open(chaos_test.MACHINE, encoding="utf-8") as file:
        text = file.read().replace("c4a05", "50a40")
    with open(os.path.join(where, "soak.json"), "w", encoding="utf-8") as file:
        file.write(text)
    return number


class Soak:
    def __init__(self, where, leaks=None, grants=GRANTS):
        self.where, self.number, self.grants = where, write_machines(where), grants
        self.kinds, self.series, self.wrong, self.sums = {}, {}, [], {}
        self.program, self.is_stopped = 0, False
        self.lasting = Lasting(where, leaks)

    def round(self, seed):
        others = self.lasting.wait_for_all()
        said, code = chaos_test.finish([
            chaos_test.CHAOS, self.where, str(self.grants), str(seed), str(AT_ONCE),
            str(self.number), str(others)])
        account = os.path.join(self.where, "witness")
        judged = Judged(account, [])
        os.unlink(account)
        if code != 0 or not judged.is_good():
            self.wrong += [f"seed {seed}", *said.splitlines()[:10], *judged.report()]
        self.sums = {name: self.sums.get(name, 0) + count
                     for name, count in judged.figures.items()}
        self.lasting.poke("supervisor")
        self.program = int(self.lasting.poke("program"))
        for name, kind, value in self.lasting.sample():
            self.kinds[name] = kind
            self.series.setdefault(name, []).append(value)

    def uneven(self):
        return [name for name, series in self.series.items()
                if not is_flat(series, SLACK[self.kinds[name]])]

    def report(self):
        yield (f"{chaos_test.spell(self.sums)}; {self.program} leases of one program; "
               f"{len(next(iter(self.series.values()), []))} samples")
        for name, series in self.series.items():
            quarter = series[len(series) // 4:] or series
            yield f"{name}: {series[0]} at first, then {min(quarter)} to {max(quarter)}, {series[-1]} last"


@contextlib.contextmanager
def soaking(**options):
    with tempfile.TemporaryDirectory(prefix="gpualloc-soak-", dir=place_for_store()) as where:
        soak = Soak(where, **options)
        try:
            soak.lasting.begin()
            yield soak
        finally:
            soak.lasting.end()
            left = [*left_in(soak.lasting.store), *soak.lasting.shown()[0]]
            if left:
                soak.wrong.append(f"left behind: {left[:5]}")


def soak_for(rounds, until, **options):
    """Until the time is over, or Ctrl-C; then all is ended and looked at."""
    with soaking(**options) as soak:
        try:
            for number in itertools.count(1):
                if (rounds and number > rounds) or (until and time.monotonic() > until):
                    break
                soak.round(chaos_test.SEED + number)
        except KeyboardInterrupt:
            soak.is_stopped = True
            print("# stopped early", flush=True)
    return soak


def find_out_leaks(tap):
    for what in ("memory", "descriptors"):
        soak = soak_for(8, None, leaks=what, grants=10)
        if soak.is_stopped:
            raise KeyboardInterrupt
        found = [name for name in soak.uneven() if name.startswith(what)]
        tap.say(bool(found), f"a program that leaks {what} is found out", *found)


def main():
    tap = Tap()
    if place_for_store() is None:
        print("1..0 # SKIP no folder on a file system that a store may lie on")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    judge_the_judge(tap)
    find_out_leaks(tap)
    until = None if ROUNDS else time.monotonic() + seconds(os.environ.get("SOAK", "1h"))
    soak = soak_for(ROUNDS, until)
    uneven = soak.uneven()
    tap.say(not soak.wrong, "leases of every kind: no overlap, nothing left behind", *soak.wrong[:20])
    tap.say(not uneven, "memory, descriptors and the store stay as they are", *soak.report(),
            *(f"not flat: {name}: {soak.series[name]}" for name in uneven))
    print(f"1..{tap.number}")
    return tap.failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
