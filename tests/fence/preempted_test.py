#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup --fence where the kernel takes the processor from a thread that is being asked: whoever
runs next must be asked as well. Runs as root in a virtual machine (vm.py) of one processor."""
import os
import resource
import subprocess
import threading
import time

import behind
from behind import (ANN, BOB, EVE, FREE, LEDGER, LEVEL, NODES, PERM, STAGE, lease, region, settings, somebody,
                    uuids)
from cli import GPUALLOC, case
from puppet import lock, try_to_open

MANY = int(os.environ.get("MANY", "60000"))
TIMES = 60
SECONDS = 20


def loops(*pairs):
    for puppet, path in pairs:
        puppet.loop(path)
    last, path = pairs[-1]
    while last.count(path) < TIMES:
        pass
    return [puppet.stop(path) for puppet, path in pairs]


def standing(function):
    """Or the kernel is refused because it cannot do that."""
    def whole():
        done = subprocess.run([GPUALLOC, "setup", "--fence"], env=settings(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if done.returncode == 78:
            assert "preempt" in done.stderr and not done.stdout, done
            assert os.listdir("/sys/fs/bpf") == []
            print(f"# {done.stderr.strip()}")
            return
        assert done.returncode == 0, done
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
        try:
            function()
        finally:
            STAGE.clear()
    whole.__name__ = function.__name__
    return case(whole)


@standing
def who_is_asked_meanwhile_is_not_let_in():
    holder = lease(5)
    slow, other = somebody(BOB), somebody(BOB)
    slow.fill(MANY)
    found = loops((slow, NODES[5]), (holder, NODES[5]), (other, NODES[5]))
    print(f"# {found}")
    assert set(found[0]) == set(found[2]) == {str(PERM)}, found
    assert set(found[1]) == {str(FREE)}, found


def look_and_close(end):
    """What is closed while another thread of ours looks at it."""
    while time.monotonic() < end:
        fd = os.open(LEDGER, os.O_RDWR)
        time.sleep(0.05)
        os.close(fd)
        time.sleep(0.3)


def lease_again_and_again(end):
    """Each time with a description that takes the place of whichever was closed last."""
    before = None
    while time.monotonic() < end:
        fd = os.open(LEDGER, os.O_RDWR)
        if before is not None:
            os.close(before)
        lock(fd, region(uuids()[5]), LEVEL)
        time.sleep(0.1)
        before = fd


def as_user(uid, function):
    """Its answer, later."""
    answers, pipe = os.pipe()
    if os.fork() == 0:
        try:
            os.setresuid(uid, uid, uid)
            os.write(pipe, repr(function()).encode())
        finally:
            os._exit(0)
    os.close(pipe)
    return open(answers, encoding="ascii")


@standing
def what_was_closed_while_it_was_looked_at_is_not_somebody_elses():
    """Whose description is at the address of one that was closed."""
    end = time.monotonic() + SECONDS

    def attack():
        thread = threading.Thread(target=look_and_close, args=(end,))
        first = os.open("/dev/null", os.O_RDONLY)
        for _ in range(MANY):
            os.dup(first)
        os.close(first)  # what is opened next is looked at first
        thread.start()
        found = {}
        while time.monotonic() < end:
            answer = try_to_open(NODES[5])
            found[answer] = found.get(answer, 0) + 1
        thread.join()
        return found

    answers = as_user(EVE, attack), as_user(ANN, lambda: lease_again_and_again(end))
    found = answers[0].read()
    for one in answers:
        one.close()
    print(f"# {found}")
    assert found.startswith(f"{{{PERM}: ") and "," not in found, found


if __name__ == "__main__":
    behind.run()
