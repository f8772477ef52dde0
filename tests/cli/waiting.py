# SPDX-License-Identifier: Apache-2.0
"""What the tests of waiting share: programs that wait in a known order, and a driver that shows
whose processes are on a GPU."""
import contextlib
import json
import os
import subprocess

from cli import GPUALLOC
from leasing import PATIENCE


class Waiters:
    """Programs that wait, each in the queue before the next is started. They write their names
    into one file as they get what they wait for, and go on when their input ends."""

    def __init__(self, one):
        self.one, self.children = one, {}
        self.witness = os.path.join(one.where, "witness")

    def start(self, name, *words, env=None, hold=False, is_queued=True, before=(),
              person=None):
        script = 'echo "$0" >> "$1"; echo had; test -z "$2" || read line; exit 0'
        command = ["sh", "-c", script, name, self.witness, "hold" if hold else ""]
        child = self.children[name] = subprocess.Popen(
            [*before, GPUALLOC, "run", "--wait=60s", "--machine", self.one.machine, *words, *command],
            env=self.one.environment(**(env or {})), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **(person.as_them() if person else {}))
        while is_queued and child.pid not in self.queue():
            assert child.poll() is None, child.communicate()
        return child

    def queue(self):
        return [waiter["pid"] for waiter in self.one.leases()["waiting"]]

    def order(self):
        if not os.path.exists(self.witness):
            return []
        with open(self.witness, encoding="utf-8") as file:
            return file.read().split()

    def end(self):
        for name, child in self.children.items():
            said = child.communicate(timeout=PATIENCE) if child.returncode is None else None
            assert child.returncode == 0, (name, said)


@contextlib.contextmanager
def waiters(one):
    some = Waiters(one)
    try:
        yield some
    finally:
        for child in some.children.values():
            if child.poll() is None:
                child.kill()
                child.communicate()


def describe(path, pids):
    """Two GPUs, the first with these processes; readers find the old file or the new one."""
    devices = []
    for index, users in enumerate((pids, [])):
        devices.append({
            "index": index, "uuid": f"GPU-0a0b000{index}-1111-2222-3333-000000000000",
            "name": "NVIDIA A40", "pci": f"00000000:0{index + 1}:00.0", "minor": index,
            "memory": {"total": 48 << 30, "reserved": 0, "used": len(users) << 30},
            "health": "ok",
            "processes": [{"pid": pid, "type": "C", "memory": 1 << 30} for pid in users]})
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "name": "two", "source": "nvml", "driver": "580.65.06",
                   "devices": devices, "pcie": [["X", "SYS"], ["SYS", "X"]]}, file)
    os.rename(path + ".new", path)


def fake_driver(one):
    path = os.path.join(one.where, "machine.json")
    one.machine = "nvml"
    describe(path, [])
    return path, {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": path}
