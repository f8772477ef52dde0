# SPDX-License-Identifier: Apache-2.0
"""Which GPUs a program gets, and keeping everyone else off them.

    import gpualloc

    with gpualloc.lease(2, wait=True) as gpus:
        print(gpus.uuids, gpus.env["CUDA_VISIBLE_DEVICES"])

machine() looks, pick() and explain() choose, lease() and run() lease, leases() says who has what.
Everything that fails raises an Error with a sentence. machine="dgx1-volta" tries all of it on a
machine that exists only in the library.
"""
from ._choice import Alternative, Choice, Rejection, explain, pick
from ._errors import (BadData, BadRequest, Busy, Error, Impossible, NoDriver, NotPermitted,
                      OutOfMemory, ProgramNotFound, ProgramNotRunnable, ReadWriteFailed, TimedOut)
from ._held import HeldLease, Waiter
from ._lease import Lease, Leases, lease, leases, run
from ._library import VERSION as __version__
from ._machine import Device, Link, Machine, Process, Score, available, machine

__all__ = [
    "Alternative", "BadData", "BadRequest", "Busy", "Choice", "Device", "Error", "HeldLease",
    "Impossible", "Lease", "Leases", "Link", "Machine", "NoDriver", "NotPermitted", "OutOfMemory",
    "Process", "ProgramNotFound", "ProgramNotRunnable", "ReadWriteFailed", "Rejection", "Score",
    "TimedOut", "Waiter", "__version__", "available", "explain", "lease", "leases", "machine",
    "pick", "run",
]
