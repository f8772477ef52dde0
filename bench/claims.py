#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What claims of Dynamic Resource Allocation cost on a node: from the kubelet's call to its answer, as
a client in Python sees it, with the API server in Python, too (what one of its answers costs is
beside it); how many requests to it a claim takes; memory of the agent.

usage: claims.py GPUALLOC GPUALLOC_K8S [ROUNDS]"""
import http.client
import os
import ssl
import sys
import time

GPUALLOC, AGENT = (os.path.abspath(path) for path in sys.argv[1:3])
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 200
HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(HERE), "tests")
os.environ.update(GPUALLOC=GPUALLOC, GPUALLOC_K8S=AGENT, TEST_ROOT=TESTS)
sys.path[:0] = [os.path.join(TESTS, "kubernetes"), os.path.join(TESTS, "cli")]
import apiserver  # noqa: E402
import dra_kubelet as fake  # noqa: E402


def spread(taken):
    taken.sort()
    return f"p50 {taken[len(taken) // 2]:5.1f} ms, p99 {taken[len(taken) * 99 // 100]:5.1f} ms"


def timed(taken, function, *words):
    start = time.perf_counter()
    function(*words)
    taken.append((time.perf_counter() - start) * 1e3)


def memory(agent):
    """Once the slices that the claims have changed are written, which takes MiBs of JSON for a moment."""
    time.sleep(3)
    lines = {}
    for name in ("smaps_rollup", "status"):
        with open(f"/proc/{agent.process.pid}/{name}", encoding="utf-8") as file:
            for line in file:
                if line.endswith("kB\n"):
                    lines[line.split(":")[0]] = int(line.split()[1]) / 1024
    return (f"{lines['Rss']:.1f} MiB resident ({lines['RssAnon']:.1f} of them no file's), "
            f"{lines['VmHWM']:.1f} MiB at most, {lines['Pss']:.1f} MiB its own share")


def cpu(agent):
    """Seconds that all its threads have had."""
    with open(f"/proc/{agent.process.pid}/stat", encoding="ascii") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def of_claims(api):
    return [path for method, path in api.requests if "/resourceclaims/" in path]


def api_alone(api):
    """One request on a connection that is there already."""
    context = ssl.create_default_context(cafile=api.file("ca.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", api.port, context=context)
    taken = []

    def get():
        connection.request("GET", fake.CLAIMS.format("default", "a"),
                           headers={"Authorization": "Bearer " + apiserver.TOKEN})
        connection.getresponse().read()
    for _ in range(ROUNDS):
        timed(taken, get)
    connection.close()
    return spread(taken)


def claims(machine, *devices):
    with fake.cluster(machine) as (kubelet, agent):
        many = [kubelet.claim(chr(ord("a") + i), device) for i, device in enumerate(devices)]
        kubelet.prepare(*many)
        kubelet.unprepare(*many)
        print(f"{machine}, each {ROUNDS} times")
        print("  the API server alone          ", api_alone(kubelet.api))
        before, used = len(of_claims(kubelet.api)), cpu(agent)
        prepared, unprepared = [], []
        for _ in range(ROUNDS):
            timed(prepared, kubelet.prepared, many[0])
            timed(unprepared, kubelet.unprepare, many[0])
        print(f"  prepare, {devices[0]:12}         ", spread(prepared))
        print("  unprepare                     ", spread(unprepared))
        print(f"  requests a claim: {(len(of_claims(kubelet.api)) - before) / ROUNDS:.2f}, "
              f"processor time both ways: {(cpu(agent) - used) / ROUNDS * 1e3:.1f} ms")
        prepared = []
        for _ in range(max(ROUNDS // 10, 1)):
            timed(prepared, kubelet.prepare, *many)
            kubelet.unprepare(*many)
        print(f"  prepare, {len(many)} claims in one call  ", spread(prepared))
        kubelet.prepare(*many)
        print("  ", memory(agent))
        kubelet.unprepare(*many)


claims("dgx1-volta", "set-0-2-3-4-6-7", "gpu-1", "gpu-5")
claims("pcie16", *(f"gpu-{i}" for i in range(16)))
