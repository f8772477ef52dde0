#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup --fence: the ledger's list of locks is read while somebody moves locks of their
own in it (moved.c). Runs as root in a virtual machine (vm.py); with preempt=full the reader is interrupted for
that."""
import contextlib
import os
import subprocess

from behind import EVE, FREE, LEVEL, NODES, PERM, behind as standing, lease, only, region, run, uuids

MOVED = os.environ["MOVED"]
TIMES = int(os.environ.get("TIMES", "1000"))


@contextlib.contextmanager
def moved(*words):
    """Eve's locks before what is leased now, and her moves as soon as she is sent a line."""
    with subprocess.Popen([MOVED, *words], user=EVE, group=EVE, extra_groups=[], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.stdin.close()


def begin(process):
    process.stdin.write("go\n")
    process.stdin.flush()


@standing
def a_lock_below_somebodys_lease_opens_nothing_while_locks_are_moved():
    with moved("past", str(TIMES), NODES[5], str(region(uuids()[5]) + LEVEL)) as eve:
        ann = lease(5)
        begin(eve)
        said = eve.stdout.readline()
        print(f"# {said}", end="")
        assert said.startswith("0 let in"), said
        only(ann, 5)


def nobody_is_refused(where):
    with moved(where) as eve:
        ann = lease(5)
        child = ann.child()
        child.close(int(child.variable("GPUALLOC_FD")))
        begin(eve)
        answers = []
        while len(answers) < TIMES:
            answers += ann.look(*NODES[5:6] * 500) + child.look(*NODES[5:6] * 500)
    refused = answers.count(PERM)
    print(f"# {refused} of {len(answers)} refused")
    assert set(answers) == {FREE}, set(answers)


@standing
def nobody_is_refused_their_own_while_others_move_locks():
    nobody_is_refused("past")


@standing
def nor_while_others_move_them_into_another_files_list():
    nobody_is_refused("out")


if __name__ == "__main__":
    run()
