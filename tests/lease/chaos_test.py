#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos, judged: chaos.c makes it, witness.py reads the result. Without arguments 20,000 leases as a test
(GRANTS says otherwise); with a number, so many (`make chaos`: a million). First the judge is judged: it
must see planted overlaps, and a ledger that forgets a lock now and then."""
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time

import chaos_machine
import witness

CHAOS = os.environ["CHAOS"]
BROKEN = os.environ.get("CHAOS_BROKEN", "")
MACHINE = os.path.join(os.environ["TEST_ROOT"], "machines", "files", "chaos.json")
GRANTS = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ.get("GRANTS", "20000"))
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
# How many at once and how many leases, in turn. In a crowd each looks at all that wait before it, which costs
# ten times as much.
RUNS = ((10, 2500), (10, 2500), (64, 300), (10, 2500), (24, 1500))
# What a broken C library forgets, and what that breaks.
FORGETS = {"locks": "that somebody has a range", "levels": "leases within leases that go on",
           "widths": "that a GPU is also its instances", "rivals": "budgets beside instances"}

GPU = ["GPU-c4a05%03d-1111-2222-3333-%012d" % (i, i) for i in range(10)]
MIG = ["MIG-c4a058%02d-aaaa-5bbb-8ccc-%012d" % (i, 800 + i) for i in range(7)]
FLIPPED = "MIG-c4a05607-aaaa-5bbb-8ccc-000000000607"  # of GPU 6, now and then
MIB, GIB = 1 << 20, 1 << 30
CUT = "…"  # here a process was killed while it told of a lease


def truth():
    return witness.Machine(chaos_machine.variants(MACHINE))


class Tap:
    number, failed = 0, False

    def say(self, good, name, *details):
        self.number += 1
        self.failed |= not good
        for detail in details:
            print("#", detail)
        print("ok" if good else "not ok", self.number, "-", name, flush=True)


def judged(text):
    """The number of overlaps in a witness's account."""
    with tempfile.NamedTemporaryFile("w", suffix=".witness") as file:
        file.write((text.replace("\n", " .\n") + " .").replace(CUT + " .", ""))
        file.flush()
        account = witness.Witness(file.name)
        return len(witness.overlaps(truth(), account.leases.values())) + len(account.wrong)


def lease(name, begin, end, devices, memory=-1, how="E", within=0):
    return f"\nB {name} {begin} 0 1 {memory} {within} {','.join(devices)}\n{how} {name} {end} -"


def judge_the_judge(tap):
    whole = lease(1, 100, 200, GPU[:2])
    planted = {
        "two have one GPU": (1, whole + lease(2, 150, 300, GPU[1:3])),
        "one after the other": (0, whole + lease(2, 200, 300, GPU[1:3])),
        "one inside the other": (1, whole + lease(2, 120, 130, GPU[:1])),
        "other GPUs": (0, whole + lease(2, 150, 300, GPU[2:8])),
        "a share of what is held whole": (1, whole + lease(2, 150, 300, GPU[:1], GIB)),
        "shares within the memory": (0, lease(1, 100, 200, GPU[:1], 20 * GIB) +
                                     lease(2, 150, 300, GPU[:1], 19 * GIB)),
        "shares beyond the memory": (1, lease(1, 100, 200, GPU[:1], 20 * GIB) +
                                     lease(2, 150, 300, GPU[:1], 21 * GIB)),
        "two have one instance": (1, lease(1, 100, 200, MIG[:2]) + lease(2, 150, 300, MIG[1:3])),
        "two instances of a GPU": (0, lease(1, 100, 200, MIG[:2]) + lease(2, 150, 300, MIG[2:4])),
        "an instance and its GPU": (1, lease(1, 100, 200, MIG[:1]) + lease(2, 150, 300, [GPU[8]])),
        "killed, granted before": (1, lease(1, 100, 200, GPU[:1], how="K") +
                                   lease(2, 190, 300, GPU[:1])),
        "killed after its own end": (0, whole + "\nK 1 250 -" + lease(2, 210, 300, GPU[:1])),
        "a child lives on": (1, whole + "\nG 1 400 -" + lease(2, 300, 350, GPU[:1])),
        "a process vanished": (1, f"\nB 1 100 0 1 -1 0 {GPU[0]}"),
        "one within another": (0, whole + lease(2, 120, 130, GPU[:1], within=1)),
        "two within, of one GPU": (1, whole + lease(2, 120, 130, GPU[:1], within=1) +
                                   lease(3, 125, 140, GPU[:1], within=1)),
        "two within, of two": (0, whole + lease(2, 120, 130, GPU[:1], within=1) +
                               lease(3, 125, 140, GPU[1:2], within=1)),
        "more within than without": (1, whole + lease(2, 120, 130, GPU[1:3], within=1)),
        "within nothing": (1, lease(2, 120, 130, GPU[:1], within=1)),
        "one within lives on": (1, whole + lease(2, 120, 300, GPU[:1], within=1) +
                                lease(3, 250, 400, GPU[:1])),
        "its outer lease's other GPU": (0, whole + lease(2, 120, 300, GPU[:1], within=1) +
                                        lease(3, 250, 400, GPU[1:2])),
        "budgets within a budget": (0, lease(1, 100, 200, GPU[:1], 4 * GIB) +
                                    lease(2, 110, 200, GPU[:1], 2 * GIB, within=1) +
                                    lease(3, 120, 200, GPU[:1], 2 * GIB, within=1) +
                                    lease(4, 130, 200, GPU[:1], 35 * GIB)),
        "budgets within beyond it": (1, lease(1, 100, 200, GPU[:1], 4 * GIB) +
                                     lease(2, 110, 200, GPU[:1], 2 * GIB, within=1) +
                                     lease(3, 120, 200, GPU[:1], 3 * GIB, within=1)),
        "budgets within use up the last MiB": (0, lease(1, 100, 200, GPU[:1], 10 * MIB + 1) +
                                               lease(2, 110, 200, GPU[:1], 6 * MIB - 9, within=1) +
                                               lease(3, 120, 200, GPU[:1], 5 * MIB - 9, within=1)),
        "budgets within beyond the last MiB": (1, lease(1, 100, 200, GPU[:1], 10 * MIB + 1) +
                                               lease(2, 110, 200, GPU[:1], 6 * MIB, within=1) +
                                               lease(3, 120, 200, GPU[:1], 5 * MIB + 1, within=1)),
        "a budget within lives on": (1, lease(1, 100, 200, GPU[:1], 4 * GIB) +
                                     lease(2, 110, 400, GPU[:1], 2 * GIB, within=1) +
                                     lease(3, 300, 350, GPU[:1], 39 * GIB)),
        "a budget and instances": (1, lease(1, 100, 200, GPU[6:7], 4 * GIB) +
                                   lease(2, 150, 200, [FLIPPED])),
        "a GPU and its new instance": (1, lease(1, 100, 200, GPU[6:7]) +
                                       lease(2, 150, 200, [FLIPPED])),
        "another GPU's new instance": (0, lease(1, 100, 200, GPU[7:8]) +
                                       lease(2, 150, 200, [FLIPPED])),
        "cut off in a name": (0, whole + f"\nB 2 150 0 1 -1 0 {GPU[0][:15]}" + CUT),
        "gone with its namespace": (0, "\nP 1 90 -" + whole +
                                    f"\nB 2 120 0 1 -1 1 {GPU[0]}"),
        "a sentence of what must not happen": (1, "\nX 3 100 acquire: -9 cannot"),
    }
    for name, (expected, text) in planted.items():
        found = judged(text)
        tap.say(found == expected, f"judge: {name}: {'seen' if expected else 'nothing'}",
                *([] if found == expected else [f"{found} overlaps"]))


def place_for_store():
    """A folder on a file system whose locks are the kernel's own."""
    for place in (os.environ.get("TMPDIR", "/tmp"), "/dev/shm", os.getcwd()):
        kind = subprocess.run(["stat", "-f", "-c", "%T", place], stdout=subprocess.PIPE,
                              check=False).stdout.decode().strip()
        if kind in ("tmpfs", "ext2/ext3", "xfs", "btrfs"):
            return place
    return None


def left_in(store):
    """What is left in the store's folders when all are dead."""
    return [os.path.join(where, name) for where, _, names in os.walk(store) for name in names
            if where != store]


def finish(words, env=None):
    """What it said and its exit status. Ctrl-C reaches it too, and it has things to remove."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **(env or {})}) as process:
        try:
            said = process.communicate()[0]
        except KeyboardInterrupt:
            process.terminate()
            process.communicate()
            raise
    return said.decode(errors="replace"), process.returncode


def rage(grants, seed, at_once, env=None):
    """One run: what the program said, its exit status, and the judgement."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-chaos-", dir=place_for_store()) as where:
        number = chaos_machine.write(MACHINE, os.path.join(where, "machines"))
        said, code = finish([CHAOS, where, str(grants), str(seed), str(at_once), str(number)], env)
        account = os.path.join(where, "witness")
        if not os.path.exists(account):
            return said, code, None
        return said, code, Judged(account, left_in(os.path.join(where, "store")))


class Judged:
    """What a run came to: figures, and what was wrong."""

    def __init__(self, account, left):
        machine, told = truth(), witness.Witness(account)
        leases = told.leases.values()
        self.left = left
        self.found = witness.overlaps(machine, leases)
        self.wrong, self.notes = told.wrong, told.notes
        self.slept = sorted(witness.wake_ups(machine, told))
        self.figures = {
            "grants": len(leases), "of them within others": sum(1 for one in leases if one.within),
            "outliving these": sum(1 for one in leases if one.outer and one.end and one.outer.end
                                   and one.end > one.outer.end),
            "refusals": told.refusals,
            "holders killed": sum(1 for one in leases if witness.was_killed(one)),
            "stopped": len(told.stopped), "in other pid namespaces": len(told.apart),
            "overlaps": len(self.found), "leaks": len(left)}

    def is_good(self):
        return not (self.found or self.wrong or self.left)

    def report(self):
        yield spell(self.figures)
        if self.slept:
            count = len(self.slept)
            yield (f"woken {count} times by a death: median {ms(self.slept[count // 2])}, "
                   f"99 % {ms(self.slept[count * 99 // 100])}, longest {ms(self.slept[-1])}")
        for note, count in self.notes.most_common(5):
            yield f"{count} times: {note[:200]}"
        yield from self.wrong[:10] + self.found[:10] + self.left[:10]


def ms(value):
    return f"{value / 1e6:.1f} ms"


def spell(figures):
    return ", ".join(f"{count} {name}" for name, count in figures.items())


def find_out_what_is_forgotten(tap):
    for what, meaning in FORGETS.items():
        found = []
        for seed in range(SEED, SEED + 10):
            said, _, judged = rage(700, seed, 10, {"LD_PRELOAD": BROKEN, "FORGETS": what})
            found = judged.found if judged else []
            if found:
                break
        tap.say(bool(found), f"a ledger that forgets {meaning} is found out",
                *(found[:1] or said.splitlines()[:20]))


def runs():
    """Number, how many at once, how many leases; what comes last is what is left of GRANTS."""
    left = GRANTS
    for run in itertools.count():
        if left <= 0:
            return
        at_once, grants = RUNS[run % len(RUNS)]
        yield run, at_once, min(grants, left)
        left -= grants


def rage_on(tap):
    sums, longest, begin = {}, 0, time.monotonic()
    for run, at_once, grants in runs():
        said, code, judged = rage(grants, SEED + run, at_once)
        tap.say(bool(code == 0 and judged and judged.is_good()),
                f"chaos, {at_once} at once, seed {SEED + run}", *said.splitlines()[:20],
                *(judged.report() if judged else []))
        if judged:
            longest = max([longest, *judged.slept])
            sums = {name: sums.get(name, 0) + count for name, count in judged.figures.items()}
    took = time.monotonic() - begin
    print(f"# all in all: {spell(sums)}; longest wake-up {ms(longest)}; {took:.0f} s, "
          f"{sums.get('grants', 0) / took:.0f} grants/s")


def main():
    tap = Tap()
    if place_for_store() is None:
        print("1..0 # SKIP no folder on a file system that a store may lie on")
        return 0
    judge_the_judge(tap)
    if BROKEN:
        find_out_what_is_forgotten(tap)
    rage_on(tap)
    print(f"1..{tap.number}")
    return tap.failed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
