#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc-k8s in a cluster of real programs: etcd, kube-apiserver, kube-scheduler, kubelet, containerd, runc.

Argument: the folder that they are in. What is missing is skipped with its name. ROUNDS: how often that is done
which is counted and timed."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.environ["TEST_ROOT"], "cli")]

import cases
import deviceplugin
import dra
import manifests
import place
import runtime
import slices
from cluster import Cluster
from programs import KNOWN, Programs

MODULES = [manifests, slices, runtime, deviceplugin, dra]


def main():
    inside = sys.argv[sys.argv.index("--inside") + 1] if "--inside" in sys.argv else None
    programs = Programs(sys.argv[1])
    if not inside:
        for name in KNOWN:
            print(f"# {name}: {'missing' if programs.missing([name]) else programs.version(name)}", flush=True)
        why_not = place.why_not()
        if why_not or programs.missing(KNOWN) == KNOWN:
            sys.exit(cases.run(MODULES, programs, None, why_not))
        sys.exit(place.run_inside([os.path.abspath(__file__), programs.folder]))
    place.settle(inside)
    cluster = Cluster(programs, inside)
    try:
        failed = cases.run(MODULES, programs, cluster, None)
    finally:
        cluster.end()
    sys.exit(failed)


if __name__ == "__main__":
    main()
