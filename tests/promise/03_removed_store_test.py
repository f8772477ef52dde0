#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A store is removed while somebody is about to claim: nobody ends up holding devices on a ledger that is
gone while somebody else has them on the new one."""
import os
import re
import shutil
import subprocess

import cli
from cli import GPUALLOC, Skip, case, main
from leasing import store
from locking import Stopped, before_claiming
from people import shared_store, two_people


def setup(one, *words):
    cli.ok("setup", *words, env={"GPUALLOC_STATE_DIR": one.path})


def killed_while_removing(one):
    """A store from which only the ledger is gone: its folder is used again."""
    os.unlink(os.path.join(one.path, "ledger"))


def is_refused(claim):
    code, out, err = claim.go()
    assert code == 77 and out == "" and "has just been removed" in err, (code, out, err)


@case
def a_claim_on_a_removed_store_is_refused():
    with two_people() as (ada, bob), shared_store() as one:
        removals = [lambda: setup(one, "--remove"), lambda: killed_while_removing(one)]
        for remove in removals:
            claim = before_claiming(one, "-n", "8", "echo", "both", **ada.as_them())
            remove()
            setup(one)
            holder = one.hold("-n", "8", **bob.as_them())
            is_refused(claim)
            assert [lease["user"] for lease in one.leases()["leases"]] == [bob.name]
            assert holder.end() == 0
            one.ok("-n", "8", "true", **ada.as_them())


@case
def even_if_no_new_store_was_made():
    with store() as one:
        setup(one)
        claim = before_claiming(one, "-n", "8", "echo", "both")
        setup(one, "--remove")
        is_refused(claim)


def number_of_lock(one):
    """Which fcntl() of `setup --remove` locks the ledger."""
    log = os.path.join(one.where, "log")
    strace = shutil.which("strace")
    if not strace:
        raise Skip("no strace")
    done = subprocess.run([strace, "-o", log, "-e", "trace=fcntl", GPUALLOC, "setup", "--remove"],
                          env=one.environment(ASAN_OPTIONS="detect_leaks=0"), check=False,
                          capture_output=True)
    if done.returncode != 0:
        raise Skip("strace may not trace")
    with open(log, encoding="utf-8") as file:
        calls = file.read().splitlines()
    return next(i for i, call in enumerate(calls, 1)
                if re.search(r"F_OFD_SETLK|0x25|F_SETLK", call))


@case
def a_late_removal_removes_nothing_in_use():
    with store() as one:
        setup(one)
        nth = number_of_lock(one)
        setup(one)
        late = Stopped(one, "fcntl", nth,
                       lambda files: sum(f.endswith("/ledger") for f in files) == 2,
                       "setup", "--remove")
        killed_while_removing(one)
        setup(one)
        holder = one.hold("-n", "8")
        code, out, err = late.go()
        assert code == 77 and out == "" and "has just been removed" in err, (code, out, err)
        assert [lease["pid"] for lease in one.leases()["leases"]] == [holder.process.pid]
        one.refused(75, "true")
        assert holder.end() == 0
        setup(one, "--remove")


@case
def a_store_in_use_stays():
    with store() as one:
        setup(one)
        holder = one.hold("-n", "1")
        cli.refused(75, "setup", "--remove", env={"GPUALLOC_STATE_DIR": one.path}, says=["in use"])
        assert [lease["pid"] for lease in one.leases()["leases"]] == [holder.process.pid]
        assert holder.end() == 0


main()
