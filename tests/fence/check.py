#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The fence on the kernels that it is meant for: boots each in QEMU (vm.py) and runs there what a fence
promises. Debian's own kernel once with `bpf` among its security modules and once without, one that is much
newer, and one that is too old, which has to say so. At the end it says which kernels were tried, and which
could not be had.

usage: check.py BUILD KERNELS [SUITE...], where KERNELS is a folder for kernels that are fetched, and a SUITE
one of Debian's of which the kernel is tried instead of the newer ones; check.py BUILD VMLINUZ; or
check.py --quick BUILD KERNELS, which boots Debian's own kernel once"""
import os
import re
import shutil
import subprocess
import sys
import time

import vm

HERE = os.path.dirname(os.path.abspath(__file__))
FETCH = os.path.join(vm.ROOT, "tools/debian-kernel")
# The first that can be had is tried.
NEWER = ["trixie-backports", "sid", "trixie", "bookworm-backports"]
TOO_OLD = "bullseye"
LEASES = int(os.environ.get("LEASES", "20000"))
WITH_BPF, WITHOUT = "landlock,bpf", "landlock"
JOB = os.path.join(vm.ROOT, "tests/cli/fence_test.py")
ADMIN = os.path.join(HERE, "admin_test.py")
USERS = os.path.join(HERE, "users_test.py")
# Of the fence around a machine: what it promises, and the same when many want it.
BEHIND = [os.path.join(HERE, name) for name in ("kernel_test.py", "levels_test.py", "preempted_test.py",
                                                   "dmesg_test.py")]
MANY = [os.path.join(HERE, name) for name in ("rush_test.py", "dmesg_test.py")]
# What leases promise, with the fence up.
LEASED = [os.path.join(HERE, "up_test.py"), *[os.path.join(vm.ROOT, f"tests/promise/{name}_test.py") for name in (
    "01_revived_lease", "03_removed_store", "05_no_company", "07_close_range", "09_budgets", "10_queue_numbers",
    "12_keeper_door", "14_ledger_written_to", "18_second_attack", "19_what_happens_with")],
    os.path.join(HERE, "dmesg_test.py")]
# With programs of Debian's: engines, and systemd with its udevd. Each has a machine of its own.
WITH_OTHERS = [os.path.join(HERE, f"{name}_test.py") for name in ("engines", "uevents")]
PREEMPTED = [os.path.join(HERE, "preempted_test.py")]
# Whoever reads the list of locks is interrupted by whoever moves some.
MOVED = [os.path.join(HERE, "moved_test.py")]
QUICK = [USERS, *[os.path.join(HERE, name) for name in ("kernel_test.py", "dmesg_test.py")]]
OLD = [os.path.join(HERE, "refused_test.py")]


def fetch(folder, suite=None):
    """The path of a kernel, or None."""
    done = subprocess.run([FETCH, folder, *([suite] if suite else [])], stdout=subprocess.PIPE, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else None


class Runs:
    def __init__(self, build):
        self.build, self.lines, self.failed, self.tried = build, [], False, 0

    def note(self, text):
        self.lines.append(text)

    def boot(self, kernel, lsm, tests, leases=0, more="quiet"):
        """Leases that many want are taken on two processors: there they get in each other's way."""
        begin = time.monotonic()
        shown = vm.run(kernel, self.build, tests, lsm=lsm, cpus=2 if leases else 1,
                       settings={"LEASES": str(leases)}, more=more)
        good = vm.is_good(shown)
        number = len(re.findall("^ok ", shown, re.M))
        bad = len(re.findall("^not ok ", shown, re.M))
        release = re.search(r"^# Linux (\S+),", shown, re.M)
        self.tried += 1
        self.failed |= not good
        self.note(f"{'good' if good else 'BAD '} {release[1] if release else kernel}, lsm={lsm}: {number} cases"
                  f"{f', {bad} of them wrong' if bad else ''}{'' if 'END OF TESTS' in shown else ', no end'}"
                  f"{f', {leases} leases' if leases else ''}, {time.monotonic() - begin:.0f} s")

    def behind(self, kernel, lsm, leases, *more):
        self.boot(kernel, lsm, [*more, *BEHIND])
        self.boot(kernel, lsm, MANY, leases)


def try_all(runs, folder, suites):
    share = LEASES // 3
    own = fetch(folder)
    if own:
        runs.behind(own, WITH_BPF, LEASES - 2 * share, JOB, ADMIN, USERS)
        runs.boot(own, WITH_BPF, LEASED)
        for test in WITH_OTHERS:
            runs.boot(own, WITH_BPF, [test, os.path.join(HERE, "dmesg_test.py")])
        runs.behind(own, WITHOUT, share)
        runs.boot(own, WITHOUT, PREEMPTED, more="quiet preempt=full")
    else:
        runs.note("none this Debian's own kernel cannot be had")
    for suite in suites or NEWER:
        kernel = fetch(folder, suite)
        if kernel:
            runs.behind(kernel, WITH_BPF, share)
            runs.boot(kernel, WITH_BPF, MOVED, more="quiet preempt=full")
            if not suites:
                break
        else:
            runs.note(f"none the kernel of {suite} cannot be had")
    old = fetch(folder, TOO_OLD)
    if old:
        runs.boot(old, WITH_BPF, OLD)
    else:
        runs.note(f"none the kernel of {TOO_OLD} cannot be had")


def try_one(runs, folder):
    own = fetch(folder)
    if own:
        runs.boot(own, WITH_BPF, QUICK)
    else:
        runs.note("none this Debian's own kernel cannot be had")


def main():
    words = [word for word in sys.argv[1:] if word != "--quick"]
    is_quick = len(words) < len(sys.argv) - 1
    if len(words) < 2:
        print(__doc__.rsplit("\n\n", 1)[1], file=sys.stderr)
        return 64
    if not shutil.which("qemu-system-x86_64"):
        print("SKIP: no qemu-system-x86_64 here")
        return 77
    runs = Runs(os.path.abspath(words[0]))
    where = os.path.abspath(words[1])
    if is_quick:
        try_one(runs, where)
    elif os.path.isfile(where):
        runs.behind(where, WITH_BPF, LEASES, JOB, ADMIN, USERS)
    else:
        try_all(runs, where, words[2:])
    print("\nkernels:")
    print("\n".join(runs.lines))
    if is_quick and not runs.tried:
        print("SKIP: there is no kernel to boot")
        return 77
    return 1 if runs.failed or not runs.tried else 0


if __name__ == "__main__":
    sys.exit(main())
