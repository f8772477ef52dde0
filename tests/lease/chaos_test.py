#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos, judged: chaos.c makes it, witness.py reads what came of it. Without arguments 20,000 leases
as a test (GRANTS says otherwise); with a number, so many (`make chaos`: a million). First the judge
is judged: planted overlaps have to be seen, and a ledger that now and then forgets a lock too."""
import os
import subprocess
import sys
import tempfile
import time

import witness

CHAOS = os.environ["CHAOS"]
BROKEN = os.environ.get("CHAOS_BROKEN", "")
MACHINE = os.path.join(os.environ["TEST_ROOT"], "machines", "files", "chaos.json")
GRANTS = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ.get("GRANTS", "20000"))
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
# A crowd waits long, a few do more in less time.
AT_ONCE, A_RUN = (10, 64, 10, 10, 10, 10, 10, 10), 2500

GPU = ["GPU-c4a05%03d-1111-2222-3333-%012d" % (i, i) for i in range(10)]
MIG = ["MIG-c4a058%02d-aaaa-5bbb-8ccc-%012d" % (i, 800 + i) for i in range(7)]
GIB = 1 << 30


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
        file.write(text)
        file.flush()
        account = witness.Witness(file.name)
        return len(witness.overlaps(witness.Machine(MACHINE), account.leases.values())) + \
            len(account.wrong)


def lease(name, begin, end, devices, memory=-1, how="E"):
    return f"\nB {name} {begin} 0 1 {memory} {','.join(devices)}\n{how} {name} {end} -"


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
                                     lease(2, 150, 300, GPU[:1], 20 * GIB)),
        "two have one instance": (1, lease(1, 100, 200, MIG[:2]) + lease(2, 150, 300, MIG[1:3])),
        "two instances of a GPU": (0, lease(1, 100, 200, MIG[:2]) + lease(2, 150, 300, MIG[2:4])),
        "an instance and its GPU": (1, lease(1, 100, 200, MIG[:1]) + lease(2, 150, 300, [GPU[8]])),
        "killed, granted before": (1, lease(1, 100, 200, GPU[:1], how="K") +
                                   lease(2, 190, 300, GPU[:1])),
        "killed after its own end": (0, whole + "\nK 1 250 -" + lease(2, 210, 300, GPU[:1])),
        "a child lives on": (1, whole + "\nG 1 400 -" + lease(2, 300, 350, GPU[:1])),
        "a process vanished": (1, f"\nB 1 100 0 1 -1 {GPU[0]}"),
        "a sentence of what must not happen": (1, "\nX 3 100 acquire: -9 cannot"),
    }
    for name, (expected, text) in planted.items():
        found = judged(text)
        tap.say(found == expected, f"judge: {name}: {'seen' if expected else 'nothing'}",
                *([] if found == expected else [f"{found} overlaps"]))


def place_for_store():
    """Where locks are the kernel's own."""
    for place in (os.environ.get("TMPDIR", "/tmp"), "/dev/shm", os.getcwd()):
        kind = subprocess.run(["stat", "-f", "-c", "%T", place], stdout=subprocess.PIPE,
                              check=False).stdout.decode().strip()
        if kind in ("tmpfs", "ext2/ext3", "xfs", "btrfs"):
            return place
    return None


def left_in(store):
    """Whatever lies in the store's folders when all are dead."""
    return [os.path.join(where, name) for where, _, names in os.walk(store) for name in names
            if where != store]


def rage(program, grants, seed, at_once, env=None):
    """One run: what the program said, its exit status, the account, the overlaps, what is left."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-chaos-", dir=place_for_store()) as where:
        store, account = os.path.join(where, "store"), os.path.join(where, "witness")
        done = subprocess.run([program, MACHINE, store, account, str(grants), str(seed),
                               str(at_once)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, **(env or {})}, check=False)
        said = done.stdout.decode(errors="replace")
        if not os.path.exists(account):
            return said, done.returncode, None, [], []
        told = witness.Witness(account)
        return (said, done.returncode, told,
                witness.overlaps(witness.Machine(MACHINE), told.leases.values()), left_in(store))


def milliseconds(value):
    return f"{value / 1e6:.1f} ms"


def report(told, found, left, slept):
    yield (f"{len(told.leases)} grants, {told.refusals} refusals, "
           f"{sum(1 for one in told.leases.values() if one.kills and not one.ends)} holders killed, "
           f"{len(told.stopped)} stopped, {len(found)} overlaps, {len(left)} records left")
    if slept:
        slept.sort()
        yield (f"woken {len(slept)} times by a death: median {milliseconds(slept[len(slept) // 2])},"
               f" 99 % {milliseconds(slept[len(slept) * 99 // 100])},"
               f" longest {milliseconds(slept[-1])}")
    for note, count in told.notes.most_common(5):
        yield f"{count} times: {note[:200]}"
    yield from told.wrong[:10] + found[:10] + left[:10]


def main():
    tap, sums, begin = Tap(), [0, 0, 0, 0, 0], time.monotonic()
    if place_for_store() is None:
        print("1..0 # SKIP no folder on a file system that a store may lie on")
        return 0
    judge_the_judge(tap)
    if BROKEN:
        said, _, told, found, _ = rage(CHAOS, 1500, SEED, 10, {"LD_PRELOAD": BROKEN})
        tap.say(bool(told and found), "a ledger that forgets locks is found out",
                f"{len(found)} overlaps", *([] if found else said.splitlines()[:20]))
    longest = 0
    for run in range((GRANTS + A_RUN - 1) // A_RUN):
        at_once = AT_ONCE[run % len(AT_ONCE)] if GRANTS > A_RUN else max(AT_ONCE)
        said, code, told, found, left = rage(CHAOS, min(A_RUN, GRANTS), SEED + run, at_once)
        good = code == 0 and told and not (found or told.wrong or left)
        slept = witness.wake_ups(told) if told else []
        tap.say(bool(good), f"chaos, {at_once} at once, seed {SEED + run}", *said.splitlines()[:20],
                *(report(told, found, left, slept) if told else []))
        if told:
            longest = max([longest, *slept])
            sums = [a + b for a, b in zip(sums, (
                len(told.leases), told.refusals, len(told.stopped), len(found),
                sum(1 for one in told.leases.values() if one.kills and not one.ends)))]
    print(f"# all in all: {sums[0]} grants, {sums[1]} refusals, {sums[4]} holders killed, "
          f"{sums[2]} stopped, {sums[3]} overlaps; longest wake-up {milliseconds(longest)}; "
          f"{time.monotonic() - begin:.0f} s")
    print(f"1..{tap.number}")
    return tap.failed


if __name__ == "__main__":
    sys.exit(main())
