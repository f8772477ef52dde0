#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Leases that many want, behind the administrator's fence, and witnesses that open device nodes all the
time: see rush.c. First the witnesses are tried, on a fence of which a part is missing."""
import os
import re
import subprocess

import behind
from behind import MACHINE, up
from cli import case

RUSH = os.environ["RUSH"]
LEASES = int(os.environ.get("LEASES", "20000"))
AT_ONCE = 10


def rush(leases, seed):
    """Its exit status, what it said, and how many were let in and kept out wrongly."""
    done = subprocess.run([RUSH, str(leases), str(seed), str(AT_ONCE), MACHINE], stdin=subprocess.DEVNULL,
                          env=behind.settings(), capture_output=True, text=True, timeout=3000, check=False)
    print(done.stdout + done.stderr, end="", flush=True)
    found = re.search(r"(\d+) let in without a right, (\d+) kept out", done.stdout)
    assert found, done
    return done.returncode, int(found[1]), int(found[2])


@case
def the_witnesses_see_who_is_let_in():
    with behind.without("file_open"):
        up()
        code, let_in, _ = rush(30, 1)
    assert code == 1 and let_in > 100, (code, let_in)


@case
def the_witnesses_see_who_is_kept_out():
    with behind.without("task_alloc"):
        up()
        code, let_in, kept_out = rush(100, 2)
    assert code == 1 and kept_out > 0 and let_in == 0, (code, let_in, kept_out)


@case
def nobody_is_let_in_or_kept_out_wrongly():
    up()
    assert rush(LEASES, 3) == (0, 0, 0)


if __name__ == "__main__":
    behind.run()
