# SPDX-License-Identifier: Apache-2.0
"""People who lease GPUs on a node of the cluster."""
import os
import subprocess

import cli
from kubelet import PATIENCE


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
