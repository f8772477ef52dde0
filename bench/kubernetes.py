#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the device plugin costs: how long GetPreferredAllocation and Allocate take as a client in
Python sees them (an answer that needs no choice, beside it, is what the client itself costs), memory
of the agent, seconds without capacity when one agent replaces another, and how often two GPUs of one
NVLink pair are given.

usage: kubernetes.py GPUALLOC GPUALLOC_K8S FAKE_NVML [ROUNDS]"""
import os
import random
import signal
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


def cpu(agent):
    """Nanoseconds that the agent's loop has had, however busy the machine is."""
    with open(f"/proc/{agent.process.pid}/task/{agent.process.pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def spread(taken):
    taken.sort()
    return f"p50 {taken[len(taken) // 2]:6.0f} us, p99 {taken[len(taken) * 99 // 100]:6.0f} us"


def times(agent, function, rounds=ROUNDS):
    taken, used = [], []
    for _ in range(rounds):
        start, had = time.perf_counter(), cpu(agent)
        function()
        taken.append((time.perf_counter() - start) * 1e6)
        used.append((cpu(agent) - had) / 1e3)
    return f"{spread(taken)}; CPU of the agent {spread(used)}"


def stop_driver(agent):
    """As if a call to the driver never returned: the process that asks it stands still, asked."""
    with open(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children", encoding="ascii") as file:
        child = int(file.read().split()[0])
    os.kill(child, signal.SIGSTOP)
    time.sleep(3)
    return child


def resident(process):
    with open(f"/proc/{process.pid}/smaps_rollup", encoding="utf-8") as file:
        lines = {line.split(":")[0]: line.split()[1] for line in file if line.endswith("kB\n")}
    return f"{int(lines['Rss']) / 1024:.1f} MiB resident, {int(lines['Pss']) / 1024:.1f} MiB its own share"


def calls(machine, driver=""):
    """On a libnvidia-ml of our own, which notes its calls."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-bench-") as where:
        path = os.path.join(where, "machine.json")
        fake.write_machine(path, fake.machine_text(machine))
        env = {"GPUALLOC_NVML": FAKE, "FAKE_MACHINE": path, "FAKE_CALLS": path + ".calls"}
        if driver == "slow":
            env["FAKE_SLOW_CALL"] = "1"
        interval = "1s" if driver else "1h"
        with fake.cluster("nvml", "--interval", interval, store=True, env=env) as (kubelet, agent):
            count = len(fake.machine_text(machine)["devices"])
            kubelet.wait_healthy(count)
            before = os.path.getsize(path + ".calls")
            plugin, ids = kubelet.plugins["nvidia.com/gpu"], kubelet.healthy()
            note = {"slow": ", 1 ms for each call of NVML", "hung": ", a call of NVML that never returns"}
            print(f"{machine}, {count} GPUs{note.get(driver, '')}")
            child = stop_driver(agent) if driver == "hung" else None
            print("  no choice (PreStartContainer)  ", times(agent, lambda: plugin.call(
                "PreStartContainer", v1beta1.Empty(), v1beta1.Empty)))
            for size in sorted({1, 2, count // 2, count}):
                print(f"  GetPreferredAllocation, {size:2} of {count}", times(
                    agent, lambda: kubelet.prefer(size, ids)))
            print("  sets that were never asked for ", times(agent, lambda: kubelet.prefer(
                count // 4, random.sample(ids, random.randrange(count // 2, count + 1)))))
            print("  Allocate, leased already       ", times(agent, lambda: kubelet.allocate(ids[:2])))
            if not driver:
                print("  ", resident(agent.process))
                print("  NVML calls meanwhile:", os.path.getsize(path + ".calls") - before)
            if child:
                os.kill(child, signal.SIGCONT)


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
    for kind in ("", "slow", "hung"):
        calls(name, kind)
pairs(8)
surge(3)
