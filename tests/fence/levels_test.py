#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup --fence: locks on deeper levels, which a lease within a lease is. Anybody can set one by hand
below somebody else's lease. Runs as root in a virtual machine (vm.py); with preempt=full the walk over the
list of locks is interrupted while they are moved."""
import fcntl
import os
import time

from behind import (ANN, BOB, EVE, LEDGER, LEVEL, NODES, PERM, behind as standing, inside, lease,
                    nothing, only, region, run, somebody, uuids)
from puppet import lock, try_to_open

MOVED, SECONDS = 100, 20
SPARE = region("GPU-not-of-this-machine")


def part(gpu, level):
    return region(uuids()[gpu]) + level * LEVEL, LEVEL


@standing
def a_lock_below_somebodys_lease_opens_nothing():
    ann, eve = lease(5), somebody(EVE)
    fd = eve.keep(LEDGER)
    for level in range(1, 8):
        eve.lock(fd, *part(5, level))
        nothing(eve)
    ann.kill()
    # Nobody has it, so this is a lease.
    only(eve, 5)
    bob = lease(4, uid=BOB)
    other = bob.keep(LEDGER)
    bob.lock(other, *part(5, 0))
    nothing(eve)


@standing
def a_lease_within_goes_on_when_the_outer_one_has_ended():
    ann = somebody(ANN)
    outer, inner = ann.keep(LEDGER), ann.keep(LEDGER)
    ann.lock(outer, *part(5, 0))
    ann.lock(inner, *part(5, 1))
    only(ann, 5)
    ann.close(outer)
    only(ann, 5)


@standing
def the_outer_lease_may_be_another_process_of_the_users():
    ann, other = lease(5), somebody(ANN)
    fd = other.keep(LEDGER)
    other.lock(fd, *part(5, 1))
    only(other, 5)
    ann.kill()
    only(other, 5)


def move_all(near, far):
    """From before somebody's lock to behind it, and back: who has one there is given more beside it."""
    places = [SPARE + 2 * i for i in range(1, MOVED)]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for here, there in ((near, far), (far, near)):
            for place in places:
                lock(here, place, 1, fcntl.F_UNLCK)
                lock(there, place, 1)
            time.sleep(0.001)


def attack(start, pipe):
    os.setresuid(EVE, EVE, EVE)
    near, far, deep = [os.open(LEDGER, os.O_RDWR) for _ in range(3)]
    for i in range(MOVED):
        lock(near, SPARE + 2 * i, 1)
    os.write(pipe, b"x")
    os.read(start, 1)
    lock(deep, region(uuids()[5]) + LEVEL, LEVEL)
    mover = os.fork()
    if mover == 0:
        move_all(near, far)
        os._exit(0)
    found = {}
    os.nice(19)
    while os.waitpid(mover, os.WNOHANG) == (0, 0):
        for _ in range(20):
            answer = try_to_open(NODES[5])
            found[answer] = found.get(answer, 0) + 1
    os.write(pipe, f"{found.get(PERM, 0)} {sum(found.values())}".encode())


@standing
def nor_does_it_while_the_list_is_moved():
    """That the lease is there is seen however the locks before it are set anew behind it."""
    start, begin = os.pipe()
    answers, pipe = os.pipe()
    attacker = os.fork()
    if attacker == 0:
        try:
            attack(start, pipe)
        finally:
            os._exit(0)
    assert os.read(answers, 1) == b"x"
    ann = lease(5)
    os.write(begin, b"x")
    refused, tried = map(int, os.read(answers, 100).split())
    os.waitpid(attacker, 0)
    for fd in (start, begin, answers, pipe):
        os.close(fd)
    print(f"# {tried} tried, {tried - refused} let in")
    assert refused == tried > 50
    only(ann, 5)


@standing
def who_is_right_is_let_in_while_the_list_is_moved():
    """Also in a lease within a lease."""
    ann = lease(5, 6)
    inner = inside(ann, "--only", "6", "-n", "1")
    if (mover := os.fork()) == 0:
        try:
            os.setresuid(EVE, EVE, EVE)
            near, far = [os.open(LEDGER, os.O_RDWR) for _ in range(2)]
            for i in range(MOVED):
                lock(near, SPARE + 2 * i, 1)
            move_all(near, far)
        finally:
            os._exit(0)
    tried = 0
    while os.waitpid(mover, os.WNOHANG) == (0, 0):
        only(inner, 6)
        only(ann, 5, 6)
        tried += 1
    print(f"# {tried} times")
    assert tried > 5


if __name__ == "__main__":
    run()
