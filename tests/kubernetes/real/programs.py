# SPDX-License-Identifier: Apache-2.0
"""The folder of real programs, and what of them is there."""
import os
import re
import subprocess

from cli import Skip

KNOWN = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "containerd", "runc"]
SHIM = "containerd-shim-runc-v2"  # containerd's own, without which it starts nothing
CONTROL = ["etcd", "kube-apiserver"]
RUNTIME = ["containerd", "runc", SHIM]
NODE = ["kubelet", *RUNTIME]


class Programs:
    def __init__(self, folder):
        self.folder = os.path.realpath(folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def missing(self, names):
        """Those of these that nobody can start."""
        return [name for name in names if not os.access(self.path(name), os.X_OK) or os.path.isdir(self.path(name))]

    def version(self, name):
        """What it says itself, as one line."""
        done = subprocess.run([self.path(name), "--version"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=60)
        return " ".join((done.stdout or done.stderr).split()[:8]) or f"exit {done.returncode}"

    def need_cdi(self):
        found = re.search(r" v?(\d+)\.(\d+)\.", self.version("containerd"))
        if found and (int(found.group(1)), int(found.group(2))) < (1, 7):
            raise Skip(f"containerd {found.group(1)}.{found.group(2)} does not know CDI, which came with 1.7")
