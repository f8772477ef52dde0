# SPDX-License-Identifier: Apache-2.0
"""People who lease GPUs on a node of the cluster, and look who has which."""
import json
import os
import subprocess
import time

import cli
from kubelet import PATIENCE


def leases(kubelet):
    """UUIDs that are leased: {uuid: note}."""
    place = os.path.join(kubelet.where, "store")
    listing = json.loads(cli.ok("leases", "--json", env={"GPUALLOC_STATE_DIR": place}))
    return {device: lease["note"] for lease in listing["leases"] for device in lease["devices"]}


def wait_leases(kubelet, wanted):
    """Until exactly these are leased."""
    until = time.monotonic() + PATIENCE
    while set(leases(kubelet)) != set(wanted):
        assert time.monotonic() < until, (leases(kubelet), wanted)


class Person:
    """Somebody who has GPUs by `gpualloc run`, until end()."""

    def __init__(self, kubelet, *words, machine="dgx1-volta"):
        self.process = subprocess.Popen(
            [cli.GPUALLOC, "run", "--machine", machine, *words, "--", "sh", "-c",
             "echo $GPUALLOC_DEVICES; read line"],
            env=cli.environment(GPUALLOC_STATE_DIR=os.path.join(kubelet.where, "store")),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline()
        assert self.said, self.process.communicate()

    def end(self):
        self.process.communicate(timeout=PATIENCE)


class Waiter:
    """Somebody who waits for a GPU by `gpualloc run --wait`."""

    def __init__(self, kubelet):
        self.process = subprocess.Popen(
            [cli.GPUALLOC, "run", "--machine", "dgx1-volta", "--wait", "--", "sh", "-c",
             "echo $GPUALLOC_DEVICES"],
            env=cli.environment(GPUALLOC_STATE_DIR=os.path.join(kubelet.where, "store")),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def has_got(self):
        return self.process.poll() is not None

    def end(self):
        self.process.kill()
        return self.process.communicate(timeout=PATIENCE)[0]
