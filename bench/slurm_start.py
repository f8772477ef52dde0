#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the plugin adds to an srun: two Slurms beside each other, one with it and one without, whose
jobs take turns; the median of what each pair differs by.

usage: slurm_start.py GPUALLOC PLUGIN [PAIRS]"""
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.update(GPUALLOC=sys.argv[1], SPANK_PLUGIN=sys.argv[2], TEST_ROOT=HERE + "/../tests")
sys.path[:0] = [HERE + "/../tests/cli", HERE + "/../tests/slurm"]
from cluster import Node, cluster, wait_until  # noqa: E402

PAIRS = int(sys.argv[3]) if len(sys.argv) > 3 else 50


def srun(one, *options):
    """Milliseconds; begun when nothing of the last job is left to be done."""
    wait_until("nothing runs", lambda: not one.ok("squeue", "-h"))
    start = time.monotonic()
    one.ok("srun", *options, "true")
    return (time.monotonic() - start) * 1000


with cluster(Node("n1")) as plain, cluster(Node("n1")) as plugged:
    plain.write("plugstack.conf", "")
    for name, options in (("loaded, not asked for", []), ("--gpualloc=1", ["--gpualloc=1"]),
                          ("--gpualloc=2", ["--gpualloc=2"])):
        srun(plain), srun(plugged, *options)
        pairs = []
        for number in range(PAIRS):
            if number % 2:  # each goes first as often
                pairs.append((srun(plain), srun(plugged, *options)))
            else:
                second = srun(plugged, *options)
                pairs.append((srun(plain), second))
        without, with_it = (statistics.median(column) for column in zip(*pairs))
        more = statistics.median(second - first for first, second in pairs)
        print(f"{name:24} without {without:6.1f} ms, with {with_it:6.1f} ms, "
              f"a pair differs by {more:5.2f} ms", flush=True)
