#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`run --in` takes a lease over only from a process of the lease's user, and takes only the variables about
the lease: never a path to a library or a program."""
import cli
from cli import case, main
from leasing import store, variables
from locking import ended_lease, locked_id
from people import shared_store, two_people

# What makes gpualloc, or any program, load or run something else, or obey other rules.
EVIL = {"GPUALLOC_NVML": "/tmp/evil.so", "GPUALLOC_NVIDIA_SMI": "/tmp/evil",
        "GPUALLOC_CONFIG": "/tmp/evil.conf", "GPUALLOC_IDS": "/tmp/evil.ids",
        "GPUALLOC_DEADLINE": "1s", "GPUALLOC_ANYTHING": "evil", "LD_PRELOAD_": "/tmp/evil.so",
        "CUDA_INJECTION64_PATH": "/tmp/evil.so", "NVIDIA_VISIBLE_DEVICES_": "evil"}
TELLS = {"CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "GPUALLOC_DEVICES",
         "GPUALLOC_FD", "GPUALLOC_LEASE", "GPUALLOC_MACHINE", "GPUALLOC_STATE_DIR"}


def is_refused(one, lease, person):
    cli.refused(77, "run", "--in", lease, "env", env={"GPUALLOC_STATE_DIR": one.path},
                says=["nothing to join"], **person)


def takes_nothing_from(one, kind, stranger, dumpable, person):
    lease = ended_lease(one, **person)
    told = {"GPUALLOC_LEASE": lease, "GPUALLOC_FD": "3", "CUDA_VISIBLE_DEVICES": "0", **EVIL}
    with locked_id(one, lease, kind, stranger, env=told, dumpable=dumpable):
        if kind == "write":
            is_refused(one, lease, person)
        else:
            cli.refused(77, "run", "--in", lease, "env", env={"GPUALLOC_STATE_DIR": one.path},
                        says=["you have no lease"], **person)


@case
def a_strangers_process_is_not_asked():
    with two_people() as (ada, bob), shared_store() as one:
        for victim in ({}, ada.as_them()):
            for kind in ("write", "read"):
                takes_nothing_from(one, kind, bob, True, victim)


@case
def nor_is_one_that_looks_like_roots_because_it_is_not_dumpable():
    with two_people() as (_, bob), shared_store() as one:
        takes_nothing_from(one, "write", bob, False, {})


def taken_over(one, lease):
    before = cli.environment(GPUALLOC_STATE_DIR=one.path)
    found = dict(variables(cli.ok("run", "--in", lease, "env", "-0",
                                  env={"GPUALLOC_STATE_DIR": one.path})))
    assert found["GPUALLOC_LEASE"] == lease and found["GPUALLOC_CONFIG"] == before["GPUALLOC_CONFIG"]
    return {name for name, value in found.items() if before.get(name) != value} - {"_"}


@case
def only_a_fixed_list_of_variables_is_taken_from_ones_own_process():
    with store() as one:
        evil = {name: value for name, value in EVIL.items() if name != "GPUALLOC_CONFIG"}
        holder = one.hold("-n", "2", command=["sh", "-c", "export GPUALLOC_CONFIG=/tmp/evil.conf; "
                                              "echo $GPUALLOC_LEASE; exec cat"], env=evil)
        changed = taken_over(one, holder.said)
        assert changed <= TELLS and "CUDA_VISIBLE_DEVICES" in changed, changed
        assert holder.end() == 0
        env = {"GPUALLOC_STATE_DIR": one.path, **evil}
        del env["GPUALLOC_DEADLINE"]  # its driver is not to be asked in a second
        lease = cli.ok("hold", "--machine", one.machine, "--for", "1h", env=env).strip()
        try:
            changed = taken_over(one, lease)
            assert changed <= TELLS and "CUDA_VISIBLE_DEVICES" in changed, changed
        finally:
            cli.ok("release", lease, env={"GPUALLOC_STATE_DIR": one.path})


main()
