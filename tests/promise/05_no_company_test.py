#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A user who leases a device alone finds nobody on it. Going by free memory only is for looks (`pick`,
`explain`) and shares, never for an exclusive lease."""
import contextlib
import json
import os
import signal
import subprocess

from cli import case, main, ok, refused
from leasing import store as any_store

BY_MEMORY = ["random", "best-fit", "worst-fit"]
GIB = 1 << 30


@contextlib.contextmanager
def store():
    """Ends keepers that were left behind in it."""
    with any_store() as one:
        try:
            yield one
        finally:
            for lease in one.leases()["leases"]:
                os.kill(lease["pid"], signal.SIGTERM)


def on(memory, pid):
    return [{"pid": pid, "type": "C", "memory": memory, "user": "carol", "name": "train.py"}] \
        if pid else []


def two_gpus(pids):
    """On the first, or on both, somebody uses a little memory."""
    devices = [{"index": index, "uuid": f"GPU-0a0b000{index}-1111-2222-3333-000000000005",
                "name": "NVIDIA A40", "pci": f"00000000:0{index + 1}:00.0", "minor": index,
                "memory": {"total": 48 * GIB, "reserved": 0, "used": GIB if pid else 0},
                "health": "ok", "processes": on(GIB, pid)} for index, pid in enumerate(pids)]
    return {"gpualloc_machine": 1, "name": "two", "source": "nvml", "driver": "580.65.06",
            "devices": devices, "pcie": [["X", "SYS"], ["SYS", "X"]]}


def two_instances(pids):
    mig = [{"uuid": f"MIG-0a0b000{i}-1111-2222-3333-000000000005", "profile": "3g.20gb",
            "gi": i + 1, "ci": 0,
            "memory": {"total": 20 * GIB, "reserved": 0, "used": GIB if pid else 0},
            "processes": on(GIB, pid)} for i, pid in enumerate(pids)]
    return {"gpualloc_machine": 1, "name": "cut", "source": "nvml", "driver": "580.65.06",
            "devices": [{"index": 0, "uuid": "GPU-0a0b0009-1111-2222-3333-000000000005",
                         "name": "NVIDIA A100-SXM4-40GB", "pci": "00000000:01:00.0", "minor": 0,
                         "memory": {"total": 40 * GIB, "reserved": 0, "used": 0},
                         "health": "ok", "processes": [], "mig": mig}],
            "pcie": [["X"]]}


def machine(one, contents):
    one.machine = os.path.join(one.where, "machine.json")
    with open(one.machine, "w", encoding="utf-8") as file:
        json.dump(contents, file)


def tool(one, name, *words):
    return subprocess.run([os.path.join(os.environ["COMPAT"], name), *words], check=False,
                          capture_output=True, text=True,
                          env=one.environment(GPUALLOC_MACHINE=one.machine, GPUALLOC_HOLD="1h"))


@case
def run_avoids_a_device_on_which_somebody_computes():
    with store() as one:
        machine(one, two_gpus([4711, 0]))
        for policy in BY_MEMORY:
            for seed in range(6):
                words = ["-p", policy, *(["--seed", str(seed)] if policy == "random" else [])]
                assert one.ok(*words, "sh", "-c", "echo $CUDA_VISIBLE_DEVICES") == "1\n", policy
        machine(one, two_gpus([4711, 4712]))
        for policy in BY_MEMORY:
            one.refused(75, "-p", policy, "true", says=["in use", "train.py"])
            one.ok("-p", policy, "--ignore-processes", "true")


@case
def so_does_hold():
    with store() as one:
        machine(one, two_gpus([4711, 4712]))
        for policy in BY_MEMORY:
            refused(75, "hold", "--machine", one.machine, "-p", policy, "--for", "1h",
                    env={"GPUALLOC_STATE_DIR": one.path}, says=["in use"])
        assert one.leases()["leases"] == []


@case
def without_a_lease_a_program_gets_no_company_either():
    with store() as one:
        machine(one, two_gpus([4711, 4712]))
        for policy in BY_MEMORY:
            one.refused(75, "--ignore-leases", "-p", policy, "true", says=["in use"])


@case
def instances_of_others_are_not_handed_out():
    with store() as one:
        machine(one, two_instances([4711, 0]))
        done = tool(one, "getgpu")
        assert done.returncode == 0, done
        assert done.stdout == "MIG-0a0b0001-1111-2222-3333-000000000005\n", done
        # The other one is not leased, but somebody is on it.
        done = tool(one, "getgpu")
        assert done.returncode == 75 and done.stdout == "" and "in use" in done.stderr, done


@case
def a_wrapped_program_gets_no_company():
    with store() as one:
        machine(one, two_instances([4711, 4712]))
        program, link = (os.path.join(one.where, name) for name in ("CUDAWRAP_job", "job"))
        with open(program, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho ran\n")
        os.chmod(program, 0o755)
        os.symlink(os.path.join(os.environ["COMPAT"], "cudawrap"), link)
        done = subprocess.run([link], check=False, capture_output=True, text=True,
                              env=one.environment(GPUALLOC_MACHINE=one.machine))
        assert done.returncode == 75 and done.stdout == "" and "in use" in done.stderr, done


@case
def looks_and_shares_go_by_free_memory():
    with store() as one:
        machine(one, two_gpus([4711, 4712]))
        for policy in BY_MEMORY:
            assert ok("pick", "--machine", one.machine, "-p", policy, "--format", "index",
                      env={"GPUALLOC_STATE_DIR": one.path}).strip() in "01"
            one.ok("-p", policy, "--share", "-m", "40GiB", "true")
        one.refused(75, "-p", "random", "--share", "-m", "47.5GiB", "true", says=["free"])


main()
