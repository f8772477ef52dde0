#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup --fence on a kernel that cannot: it says what the kernel lacks, and nothing changes."""
import os

import behind
from behind import ANN, NODES, STAGE, command
from cli import case


@case
def a_kernel_that_cannot_is_told_what_it_lacks():
    said = command("setup", "--fence", code=78)
    assert os.uname().release in said and "5.17" in said, said
    assert said.count("\n") == 1, said


@case
def and_nothing_is_left():
    assert os.listdir("/sys/fs/bpf") == [], os.listdir("/sys/fs/bpf")
    ann = STAGE.new(ANN)
    assert behind.opened(ann) == list(range(len(NODES)))
    STAGE.clear()
    command("setup", "--fence", "--check", code=77)
    command("run", "-n", "1", "true")


if __name__ == "__main__":
    behind.run()
