#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ten hosts of eight GPUs: `gpualloc list --on all` beside ten `ssh HOST gpualloc list` side by side,
with the same ssh, the same sshds and the same configuration. Each is timed in turn, ROUNDS times.

Argument: gpualloc. The hosts are sshds on the loopback device, so all of them and ssh itself share this
machine's processors: what is compared is the difference."""
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["GPUALLOC"] = os.path.abspath(sys.argv[1])
os.environ.setdefault("TEST_ROOT", os.path.join(HERE, "..", "tests"))
sys.path[:0] = [os.path.join(HERE, "..", "tests", folder) for folder in ("hosts", "cli")]

import cli  # noqa: E402
import sshd  # noqa: E402

HOSTS, ROUNDS = 10, 15


def timed(start):
    begin = time.monotonic()
    processes = start()
    for process in processes:
        assert process.wait() == 0, process.args
    return (time.monotonic() - begin) * 1000


def main():
    why = sshd.missing()
    if why:
        print(f"not measured: {why}")
        return
    with cli.folder() as where, sshd.Lab(where, machines=["dgx1-volta"] * HOSTS) as lab:
        env = cli.environment(**lab.env())
        quiet = {"env": env, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        ways = {
            f"list --on all, {HOSTS} hosts": lambda: [
                subprocess.Popen([cli.GPUALLOC, "list", "--on", "all"], **quiet)],
            f"{HOSTS} x ssh HOST gpualloc list, side by side": lambda: [
                subprocess.Popen([lab.ssh, host.name, "gpualloc list"], **quiet)
                for host in lab.hosts],
            "list --on gpu1, one host": lambda: [
                subprocess.Popen([cli.GPUALLOC, "list", "--on", "gpu1"], **quiet)],
            "ssh gpu1 gpualloc list": lambda: [
                subprocess.Popen([lab.ssh, "gpu1", "gpualloc list"], **quiet)],
        }
        times = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, start in ways.items():
                times[name].append(timed(start))
        print(f"{'':48}{'median, ms':>12}{'best, ms':>12}")
        for name, list_of_ms in times.items():
            print(f"{name:48}{statistics.median(list_of_ms):12.0f}{min(list_of_ms):12.0f}")


main()
