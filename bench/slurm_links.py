#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How often a stream of jobs on a DGX-1V gets the best linked GPUs of those that are free: Slurm's
own choice against gpualloc's, with real daemons and the same requests. A choice counts as best by
the sum of its NVLinks, or by its bandwidth: the fewest links that cut it in two, then PCIe.

usage: slurm_links.py GPUALLOC PLUGIN [REQUESTS [SEEDS]]"""
import itertools
import json
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ.update(GPUALLOC=sys.argv[1], SPANK_PLUGIN=sys.argv[2], TEST_ROOT=HERE + "/../tests")
sys.path[:0] = [HERE + "/../tests/cli", HERE + "/../tests/slurm"]
import cli  # noqa: E402
from cluster import Node, cluster, wait_until  # noqa: E402

REQUESTS = int(sys.argv[3]) if len(sys.argv) > 3 else 60
SEEDS = int(sys.argv[4]) if len(sys.argv) > 4 else 3
MACHINE = json.loads(cli.ok("snapshot", "--machine", "dgx1-volta"))
NVLINK, PCIE = MACHINE["nvlink"], MACHINE["pcie"]
LEVELS = ["SYS", "NODE", "PHB", "PXB", "PIX", "X"]
ROWS = (
    ("Slurm, --gres=gpu:N", "gpu", "--gres=gpu:{}"),
    ("Slurm, --gpus=N", "gpu", "--gpus={}"),
    ("gpualloc, balanced (default)", "gpualloc", "--gpualloc={}"),
    ("gpualloc, bandwidth", "gpualloc", "--gpualloc={}:bandwidth"),
    ("gpualloc, best-effort", "gpualloc", "--gpualloc={}:best-effort"),
)


def links(gpus):
    return sum(NVLINK[a][b] for a, b in itertools.combinations(gpus, 2))


def bandwidth(gpus):
    """The weakest cut, by NVLinks; where there is none, the lowest PCIe level of all pairs."""
    gpus = list(gpus)
    cuts = []
    for size in range(1, len(gpus)):
        for part in itertools.combinations(gpus, size):
            cuts.append(sum(NVLINK[a][b] for a in part for b in gpus if b not in part))
    pairs = itertools.combinations(gpus, 2)
    return min(cuts), 0 if min(cuts) else min(LEVELS.index(PCIE[a][b]) for a, b in pairs)


def trace(seed):
    """+N: a job with N; -K: the K-th of those that run ends. Never more than there are."""
    chance, running, events = random.Random(seed), [], []
    while sum(event > 0 for event in events) < REQUESTS:
        size = chance.choice((1, 2, 2, 2, 3, 4))
        if sum(running) + size <= 8 and (not running or chance.random() < 0.6):
            running.append(size)
            events.append(size)
        elif running:
            place = chance.randrange(len(running))
            running.pop(place)
            events.append(-1 - place)
    return events


def gres_conf(one):
    """As gpualloc slurm gres-conf writes it, with devices that are there."""
    lines = ""
    for gpu in range(8):
        row = ",".join("-1" if other == gpu else str(NVLINK[gpu][other]) for other in range(8))
        cores = "0-31" if gpu < 4 else "32-63"
        lines += f"NodeName=n1 Name=gpu Type=v100 File=/dev/tty{gpu} Cores={cores} Links={row}\n"
    one.nodes["n1"].gres_conf, one.nodes["n1"].gres = lines, "gpu:v100:8"


class Count:
    def __init__(self):
        self.asked, self.by_links, self.by_bandwidth = {}, {}, {}

    def add(self, chosen, free):
        size = len(chosen)
        if size < 2:
            return
        sets = list(itertools.combinations(sorted(free), size))
        self.asked[size] = self.asked.get(size, 0) + 1
        for counts, value in ((self.by_links, links), (self.by_bandwidth, bandwidth)):
            is_best = value(chosen) == max(map(value, sets))
            counts[size] = counts.get(size, 0) + is_best

    def __str__(self):
        return "  ".join(" ".join(f"{counts.get(size, 0):4}/{self.asked[size]:<3}"
                                  for size in sorted(self.asked))
                         for counts in (self.by_links, self.by_bandwidth))


def follow(one, events, option, count):
    running, free = [], set(range(8))
    for event in events:
        if event < 0:
            job, gpus = running.pop(-1 - event)
            assert job.end() == 0
            free |= gpus
            wait_until("Slurm has taken it back", lambda: not one.ok("squeue", "-h", "-t", "CG"))
            continue
        job = one.hold(option.format(event), script="echo $CUDA_VISIBLE_DEVICES;").started()
        gpus = set(map(int, job.srun.stdout.readline().split(",")))
        assert len(gpus) == event and gpus <= free, (gpus, free)
        count.add(gpus, free)
        free -= gpus
        running.append((job, gpus))
    for job, _ in running:
        job.end()


print(f"{'':30}  best by sum of links: 2, 3, 4 GPUs   best by bandwidth: 2, 3, 4 GPUs")
for name, gres, option in ROWS:
    count = Count()
    for seed in range(SEEDS):
        with cluster(Node("n1", gres="gpualloc:8"),
                     prepare=gres_conf if gres == "gpu" else None) as one:
            follow(one, trace(seed), option, count)
    print(f"{name:30}  {count}", flush=True)
