#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the device plugin costs: how long GetPreferredAllocation and Allocate take as a client in
Python sees them (an answer that needs no choice, beside it, is what the client itself costs), memory
of the agent, seconds without capacity when one agent replaces another, and how often two GPUs of one
NVLink pair are given.

usage: kubernetes.py GPUALLOC GPUALLOC_K8S FAKE_NVML [ROUNDS]"""
import os
import random
import sys
import tempfile
import time

GPUALLOC, AGENT, FAKE = (os.path.abspath(path) for path in sys.argv[1:4])
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(HERE), "tests")
os.environ.update(GPUALLOC=GPUALLOC, GPUALLOC_K8S=AGENT, TEST_ROOT=TESTS)
sys.path[:0] = [os.path.join(TESTS, "kubernetes"), os.path.join(TESTS, "cli")]
import kubelet as fake  # noqa: E402
from messages import v1beta1  # noqa: E402


def times(function):
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        taken.append((time.perf_counter() - start) * 1e6)
    taken.sort()
    return f"p50 {taken[len(taken) // 2]:6.0f} us, p99 {taken[len(taken) * 99 // 100]:6.0f} us"


def resident(process):
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="utf-8") as file:
        lines = {line.split(":")[0]: line.split()[1] for line in file if line.endswith("kB\n")}
    return f"{int(lines['Rss']) / 1024:.1f} MiB resident, {int(lines['Pss']) / 1024:.1f} MiB its own share"


def calls(machine, slow=""):
    """On a libnvidia-ml of our own, which notes its calls."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-bench-") as where:
        path = os.path.join(where, "machine.json")
        fake.write_machine(path, fake.machine_text(machine))
        env = {"GPUALLOC_NVML": FAKE, "FAKE_MACHINE": path, "FAKE_CALLS": path + ".calls"}
        with fake.cluster("nvml", "--interval", "1h", store=True, env=env) as (kubelet, agent):
            count = len(fake.machine_text(machine)["devices"])
            kubelet.wait_healthy(count)
            before = os.path.getsize(path + ".calls")
            plugin, ids = kubelet.plugins["nvidia.com/gpu"], kubelet.healthy()
            print(f"{machine}, {count} GPUs{slow}")
            print("  no choice (PreStartContainer)  ", times(lambda: plugin.call(
                "PreStartContainer", v1beta1.Empty(), v1beta1.Empty)))
            for size in sorted({1, 2, count // 2, count}):
                print(f"  GetPreferredAllocation, {size:2} of {count}", times(
                    lambda: kubelet.prefer(size, ids)))
            some = [random.sample(ids, random.randrange(count // 2, count + 1)) for _ in range(200)]
            print("  the same, random sets          ", times(
                lambda: kubelet.prefer(count // 4, random.choice(some))))
            print("  Allocate, leased already       ", times(lambda: kubelet.allocate(ids[:2])))
            print("  ", resident(agent.process))
            print("  NVML calls meanwhile:", os.path.getsize(path + ".calls") - before)


def pairs(runs):
    good = 0
    with tempfile.TemporaryDirectory(prefix="gpualloc-bench-") as where:
        path = os.path.join(where, "pairs.json")
        machine = fake.machine_text("dgx1-volta")
        machine["nvlink"] = [[2 if abs(i - j) == 4 else 0 for j in range(8)] for i in range(8)]
        fake.write_machine(path, machine)
        for _ in range(runs):
            with fake.cluster(path) as (kubelet, _agent):
                kubelet.wait_healthy(8)
                ids = kubelet.healthy()
                for name in "abcd":
                    kubelet.pod(name, 1)
                for name in "ef":
                    first, second = sorted(ids.index(one) for one in kubelet.pod(name, 2))
                    good += second - first == 4
    print(f"four NVLink pairs, four pods of one GPU, then two of two: {good} of {2 * runs} get a pair")


def surge(runs):
    gaps = []
    for _ in range(runs):
        with fake.cluster(store=True) as (kubelet, old):
            kubelet.wait_healthy(8)
            first = kubelet.registrations[0].endpoint
            young = fake.Agent(kubelet, "dgx1-volta", store=os.path.join(kubelet.where, "store"))
            kubelet.wait("it", lambda: kubelet.registrations[-1].endpoint != first)
            kubelet.wait_healthy(8)
            start = time.perf_counter()
            old.end()
            gap = 0.0
            with kubelet.changed:  # the old stream's end takes the new one with it
                kubelet.changed.wait_for(lambda: not kubelet.healthy(), 2)
                start = time.perf_counter()
                kubelet.changed.wait_for(lambda: len(kubelet.healthy()) == 8, 60)
                gap = time.perf_counter() - start
            gaps.append(gap)
            young.end()
    print("update, two agents side by side, without capacity:", ", ".join(f"{gap:.2f} s" for gap in gaps))


for name in ("dgx1-volta", "pcie16", "dgx2"):
    calls(name)
pairs(8)
surge(3)
