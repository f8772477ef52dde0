#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the kernel of a virtual machine has to say about the tests that ran in it: nothing."""
import os
import re

from cli import case, main

BAD = re.compile(r"WARNING:|BUG:|\bOops|Call Trace|general protection|rcu.*(stall|detected)|soft lockup|"
                 r"hung_task|blocked for more than|Out of memory|oom-kill|scheduling while atomic", re.I)


def messages():
    fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    while True:
        try:
            yield os.read(fd, 1 << 16).decode(errors="replace").split(";", 1)[-1].splitlines()[0]
        except BlockingIOError:
            return
        except BrokenPipeError:
            print("# some of the kernel's messages were overwritten")


@case
def the_kernel_complains_of_nothing():
    said = list(messages())
    bad = [line for line in said if BAD.search(line)]
    print(f"# {len(said)} messages of the kernel")
    assert not bad, "\n".join(bad[:20])


if __name__ == "__main__":
    main()
