#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Agents that retry, cancel, fork and die on eight GPUs, each with a server of its own: nothing is held twice,
nothing is left behind, every call is answered. Who has what is judged outside of the store: whoever gets a
device locks a file of that name, which the kernel unlocks when they die. With a number, so many rounds
(`make mcp-agents`); as a test, one.

The witness uses locks of POSIX. They are a process's own, so no child has a copy, and a process that is killed
loses them before anybody sees the end of its pipes: these end later, when its last work is done. flock(2)
goes with the pipes, in any order, and would accuse the next holder."""
import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from cli import case, main
from client import LATEST, MODERN, Client, Refused, eventually, processes_with
from leasing import store

AGENTS = int(os.environ.get("AGENTS", "50"))
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 30)
DONE, DIED = 0, 17
# A job's own witness: it locks its device for as long as it lives.
WITNESS = [sys.executable, "-S", "-c", """
import fcntl, os, sys, time
device = os.environ["GPUALLOC_DEVICES"]
with open(os.path.join(sys.argv[1], device), "w") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(float(sys.argv[2]))
    except OSError:
        with open(os.path.join(sys.argv[1], "overlaps"), "a") as overlaps:
            overlaps.write(f"{device} job {os.getpid()} {time.time()}\\n")
"""]


def note(folder, name, text):
    with open(os.path.join(folder, name), "a", encoding="utf-8") as file:
        file.write(text + "\n")


class Claim:
    """What an agent believes to have alone."""

    def __init__(self, folder, uuids):
        self.files = []
        for uuid in uuids:
            file = open(os.path.join(folder, uuid), "w", encoding="utf-8")
            self.files.append(file)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                note(folder, "overlaps", f"{uuid} agent {os.getpid()} {time.time()}")

    def drop(self):
        for file in self.files:
            file.close()
        self.files = []


class Agent:
    def __init__(self, number, seed, state, folder):
        self.number, self.folder = number, folder
        self.chance = random.Random(f"{seed} {number}")
        self.client = Client(state, version=self.chance.choice((LATEST, MODERN, "2024-11-05")))
        self.claims, self.asked = {}, 0

    def ask(self, tool, **arguments):
        """Sometimes twice at once; then one is done, and both are answered. None if it was refused."""
        arguments = {"note": f"agent {self.number}", **arguments}
        if tool in ("lease", "run"):
            self.asked += 1
            arguments["idempotency_key"] = str(self.asked)
        times = self.chance.choice((1, 1, 2, 3)) if tool in ("lease", "run") else 1
        if tool not in ("lease", "run"):
            del arguments["note"]
        numbers = [self.client.start(tool, **arguments) for _ in range(times)]
        results = []
        for number in numbers:
            try:
                results.append(self.client.finish(number, tool))
            except Refused as refusal:
                results.append(None)
                if refusal.document.get("kind", "busy") not in ("busy", "timeout"):
                    note(self.folder, "troubles", f"{tool} {arguments}: {refusal}")
        name = {"lease": "lease", "run": "job"}.get(tool)
        got = {result[name] for result in results if result} if name else set()
        if len(got) > 1:
            note(self.folder, "troubles", f"one call, several answers: {got}")
        return next((result for result in results if result), None)

    def lease(self):
        got = self.ask("lease", count=self.chance.choice((1, 1, 2, 3)), for_="10m",
                       wait=f"{self.chance.randrange(1, 3000)}ms")
        if got:
            self.claims[got["lease"]] = Claim(self.folder, got["uuids"])

    def release(self):
        if self.claims:
            lease, claim = self.claims.popitem()
            claim.drop()
            self.ask("release", lease=lease)

    def run(self):
        got = self.ask("run", command=[*WITNESS, self.folder, f"0.{self.chance.randrange(100):02}"],
                       time_limit="10m", wait=f"{self.chance.randrange(1, 3000)}ms")
        if got and self.chance.random() < 0.5:
            self.ask("job_cancel", job=got["job"])

    def cancel(self):
        tool = self.chance.choice(("lease", "run"))
        more = {"command": ["sleep", "1000"]} if tool == "run" else {"for_": "10m"}
        number = self.client.start(tool, note="never", wait="10m", **more)
        if self.chance.random() < 0.5:
            self.client.ask("ping" if self.client.version < MODERN else "tools/list")
        self.client.cancel(number)

    def fork(self):
        """Whoever has a copy of the session's end has the session, for as long as they live."""
        subprocess.Popen(["sleep", "0.2"], stdout=subprocess.DEVNULL,
                         pass_fds=[self.client.process.stdin.fileno()])

    def drop_all(self):
        for claim in self.claims.values():
            claim.drop()

    def die(self):
        how = self.chance.randrange(4)
        if how == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.drop_all()
        if how == 1:
            self.client.kill()
        if how == 2:
            self.client.start("lease", count=2, for_="10m", note="the last", wait="10m")
            self.client.kill()
        if how == 3 and self.client.close() != 0:
            note(self.folder, "troubles", "the server did not end as it should")
        os._exit(DIED)

    def live(self):
        deeds = (self.lease, self.lease, self.release, self.run, self.cancel, self.fork)
        for _ in range(self.chance.randrange(1, 5)):
            self.chance.choice(deeds)()
        if self.chance.random() < 0.7:
            self.die()
        for lease, claim in self.claims.items():
            claim.drop()
            self.ask("release", lease=lease)
        self.claims = {}
        if self.client.close() != 0 or self.client.open:
            note(self.folder, "troubles", f"calls without an answer: {self.client.open}")


def agent(number, seed, state, folder):
    try:
        Agent(number, seed, state, folder).live()
    except BaseException:  # a fork must never return
        note(folder, "troubles", traceback.format_exc())
    os._exit(DONE)


def read(folder, name):
    with contextlib.suppress(FileNotFoundError), \
            open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()
    return ""


def one_round(one, folder, seed):
    children = []
    for number in range(AGENTS):
        child = os.fork()
        if child == 0:
            agent(number, seed, one.path, folder)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) in (DONE, DIED), status
    troubles, overlaps = read(folder, "troubles"), read(folder, "overlaps")
    assert not overlaps and not troubles, f"seed {seed}: {overlaps}{troubles}"
    eventually(lambda: not processes_with(f"GPUALLOC_STATE_DIR={one.path}"))
    leases = one.leases()
    assert not leases["leases"] and not leases["waiting"], f"seed {seed}: {leases}"


@case
def the_witness_sees_a_planted_overlap():
    with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as folder:
        mine = Claim(folder, ["GPU-1"])
        other = os.fork()
        if other == 0:
            Claim(folder, ["GPU-1"])
            os._exit(DONE)
        assert os.waitpid(other, 0)[1] == DONE
        subprocess.run([*WITNESS, folder, "0"], env={**os.environ, "GPUALLOC_DEVICES": "GPU-1"}, check=True)
        mine.drop()
        assert read(folder, "overlaps").count("GPU-1") == 2, read(folder, "overlaps")


@case
def agents_that_retry_cancel_fork_and_die_leave_nothing():
    print(f"# seed {SEED}, {AGENTS} agents, {ROUNDS} rounds", flush=True)
    for number in range(ROUNDS):
        with store() as one, tempfile.TemporaryDirectory(prefix="gpualloc-test-") as folder:
            one_round(one, folder, f"{SEED} {number}")


main()
