#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup --fence where the kernel takes the processor from a thread that is being asked: whoever
runs next must be asked as well. Runs as root in a virtual machine (vm.py) of one processor."""
import os
import resource
import subprocess

import behind
from behind import BOB, FREE, NODES, PERM, STAGE, lease, settings, somebody
from cli import GPUALLOC, case

MANY = int(os.environ.get("MANY", "60000"))
TIMES = 60


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


if __name__ == "__main__":
    behind.run()
