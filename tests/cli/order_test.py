#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who gets it next: the order of those who wait, who is passed over, and what holds up nobody."""
import contextlib
import json
import os
import signal
import subprocess
import sys

from cli import GPUALLOC, case, main
from leasing import PATIENCE, line_of, store


class Waiters:
    """Programs that wait, each in the queue before the next is started. They write their names
    into one file as they get what they wait for, and go on when their input ends."""

    def __init__(self, one):
        self.one, self.children = one, {}
        self.witness = os.path.join(one.where, "witness")

    def start(self, name, *words, env=None, hold=False, is_queued=True):
        script = 'echo "$0" >> "$1"; echo had; test -z "$2" || read line; exit 0'
        command = ["sh", "-c", script, name, self.witness, "hold" if hold else ""]
        child = self.children[name] = subprocess.Popen(
            [GPUALLOC, "run", "--wait=60s", "--machine", self.one.machine, *words, *command],
            env=self.one.environment(**(env or {})), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
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


@case
def the_order_is_that_of_arrival():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "8")
        names = [f"w{number}" for number in range(12)]
        for name in names:
            some.start(name, "--only", "3")
        assert some.queue() == [some.children[name].pid for name in names]
        holder.end()
        some.end()
        assert some.order() == names, some.order()
        assert one.is_free()


@case
def the_large_is_served_within_the_streams_of_small_ones():
    with store() as one, waiters(one) as some:
        small = [one.hold("-n", "1") for _ in range(8)]
        some.start("large", "-n", "8")
        # Each small one that ends is followed by two that come later: none passes.
        for number, holder in enumerate(small):
            some.start(f"s{number}", "-n", "1", is_queued=False)
            one.refused(75, "-n", "1", "true")
            assert some.order() == [], some.order()
            holder.end()
        some.end()
        assert some.order()[0] == "large" and len(some.order()) == 9, some.order()
        assert one.is_free()


@case
def two_orders_of_the_same_devices_do_not_deadlock():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "8")
        for number in range(20):
            only = ["0,1", "1,0", "1,2", "2,0"][number % 4]
            some.start(f"w{number}", "-n", "2", "--only", only, is_queued=False)
        holder.end()
        some.end()
        assert len(some.order()) == 20 and one.is_free()


@case
def a_stopped_waiter_is_passed_over_and_keeps_its_place():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "8")
        first = some.start("stopped", "-n", "8")
        first.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, first.pid, os.WSTOPPED)
        second = some.start("second", "-n", "8", hold=True)
        some.start("third", "-n", "8")
        holder.end()
        assert line_of(second) == "had\n"  # while the first is still stopped
        first.send_signal(signal.SIGCONT)
        assert some.queue()[0] == first.pid
        second.communicate()
        some.end()
        assert some.order() == ["second", "stopped", "third"], some.order()


# ---- what the driver shows ----

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


@case
def when_a_stranger_leaves_the_waiter_goes_on():
    with store() as one, waiters(one) as some:
        path, env = fake_driver(one)
        stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        try:
            describe(path, [stranger.pid])
            one.refused(75, "-n", "2", "true", env=env, says=[str(stranger.pid)])
            some.start("waits", "-n", "2", env=env)
            one.ok("-n", "1", "--only", "1", "true", env=env)  # nothing is kept for it meanwhile
            describe(path, [])
        finally:
            stranger.communicate()
        some.end()
        one.ok("-n", "2", "true", env=env)


@case
def a_driver_that_hangs_holds_up_nobody_else():
    with store() as one:
        _, env = fake_driver(one)
        for where in ("0", "init"):
            hangs = subprocess.Popen(
                [GPUALLOC, "run", "--machine", "nvml", "--deadline", "1s", "true"],
                env=one.environment(FAKE_HANG=where, **env), stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            other = subprocess.run([GPUALLOC, "run", "--machine", "dgx1-volta", "-n", "8", "true"],
                                   env=one.environment(), check=False, capture_output=True)
            assert other.returncode == 0 and other.stderr == b"", other
            assert hangs.poll() is None, "it has ended before the other one"
            out, err = hangs.communicate(timeout=PATIENCE)
            assert hangs.returncode not in (0, 75) and out == "", (hangs.returncode, err)
            assert err.startswith("gpualloc: ") and "1s" in err.replace("1 s", "1s"), err
            assert one.leases()["leases"] == [] and one.leases()["waiting"] == []


# ---- holders of every kind, as docs/LEASES.md says ----

CLOSES = [sys.executable, "-c", "import os, sys; os.closerange(3, 4096); print('closed', "
          "flush=True); sys.stdin.read()"]


@case
def who_closes_every_descriptor_has_no_lease_but_under_a_supervisor():
    with store() as one:
        loses = one.hold("-n", "8", command=CLOSES)
        assert loses.said == "closed"
        one.ok("-n", "8", "true")
        assert loses.end() == 0
        keeps = one.hold("-n", "8", "--supervise", command=CLOSES)
        one.refused(75, "true")
        assert keeps.end() == 0 and one.is_free()


DAEMON = [sys.executable, "-c", """
import os, sys
gate, closes = sys.argv[1:]
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    if closes == "closes":
        os.closerange(3, 4096)
    for fd in (0, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    print("daemon", flush=True)
    os.dup2(0, 1)
    with open(gate) as file:
        file.read()
    os._exit(0)
os.wait()
"""]


@case
def a_daemon_keeps_the_lease_until_it_ends():
    for extra, closes, is_held in (([], "keeps", True), ([], "closes", False),
                                   (["--supervise"], "closes", True)):
        with store() as one:
            gate = os.path.join(one.where, "gate")
            os.mkfifo(gate)
            holder = one.hold("-n", "8", *extra, command=[*DAEMON, gate, closes])
            assert holder.said == "daemon"
            if not extra:
                assert holder.end() == 0
            code = one.run("-n", "8", "true").code
            with open(gate, "w", encoding="utf-8"):
                pass
            assert code == (75 if is_held else 0), (extra, closes, code)
            one.ok("--wait=60s", "-n", "8", "true")
            holder.end()


@case
def a_stopped_holder_holds():
    with store() as one:
        for extra in ([], ["--supervise"]):
            holder = one.hold("-n", "8", *extra)
            holder.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, holder.process.pid, os.WSTOPPED | os.WNOWAIT)
            one.refused(75, "true")
            holder.process.send_signal(signal.SIGCONT)
            assert holder.end() == 0 and one.is_free()


main()
