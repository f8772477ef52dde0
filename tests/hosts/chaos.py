#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos over ssh: LEASES commands on three hosts, from many clients at once, while ssh, sshd, either
gpualloc, the client and the command are killed at random. Each command proves by locks of its own
that nobody else has its devices. At the end: how many leases there were, how many devices were held
twice (0), how much is left behind (0).

Arguments: LEASES, SEED."""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import cli
import sshd
from job_test import children, command_of, is_free, parent

LEASES, SEED = int(sys.argv[1]), int(sys.argv[2])
CLIENTS = 8
KINDS = ["client", "ssh of the tether", "ssh of the session", "sshd", "tether", "session", "command"]
# Its locks are gone no later than its lease: the session, its parent, has that too.
COMMAND = """n=3
for device in $(echo $GPUALLOC_DEVICES | tr , ' '); do
  eval "exec $n>>$LOCKS/$HOST-$device"
  flock -n $n || echo "$HOST $device" >>$LOCKS/twice
  n=$((n + 1))
done
echo $$ $PPID
read line
exit 0"""


class Tally:
    def __init__(self):
        self.lock, self.counts = threading.Lock(), collections.Counter()

    def note(self, what):
        with self.lock:
            self.counts[what] += 1


def connection_of(session):
    """The sshd that serves the connection of a session."""
    pid = session
    while pid > 1 and "sshd" not in command_of(pid)[0]:
        pid = parent(pid)
    return pid


def tether_beside(session):
    """The other gpualloc of the same connection."""
    found, todo = [], children(connection_of(session))
    while todo:
        pid = todo.pop()
        words = command_of(pid)
        if len(words) > 1 and words[1] == "remote" and len(words) == 3:  # the last is empty
            found.append(pid)
        todo += children(pid)
    return found[0]


def victim(kind, client, command, session):
    if kind == "client":
        return client
    if kind.startswith("ssh of"):
        mode = "ControlMaster=yes" if kind.endswith("tether") else "ControlMaster=no"
        return [pid for pid in children(client) if mode in command_of(pid)][0]
    return {"sshd": connection_of, "tether": tether_beside, "session": lambda pid: pid,
            "command": lambda _: command}[kind](session)


def one(lab, chance, tally):
    host = chance.choice(lab.hosts)
    where = chance.choice([host.name] * 4 + ["gpu1,gpu2", "gpu2,gpu1"])
    count = str(chance.choice([1, 1, 2, 3, 4]))
    wait = ["--wait"] if chance.random() < 0.7 else []
    process = subprocess.Popen(
        [cli.GPUALLOC, "run", "--on", where, "-q", "-n", count, *wait, "--", "sh", "-c", COMMAND],
        env=cli.environment(**lab.env()), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line:
        out, err = process.communicate()
        tally.note("busy" if process.returncode == 75 else f"failed with {process.returncode}: {err}")
        return
    tally.note("leases")
    kind = chance.choice(KINDS) if chance.random() < 0.4 else None
    if kind:
        try:
            os.kill(victim(kind, process.pid, *map(int, line.split())), signal.SIGKILL)
            tally.note(f"killed: {kind}")
        except (OSError, IndexError, ValueError):
            tally.note("killed: nobody, it was gone")
    _, err = process.communicate()
    expected = {None: (0,), "client": (-9,), "session": (137,), "command": (137,)}.get(kind, (69, 0))
    if process.returncode not in expected:
        tally.note(f"after {kind}: {process.returncode}: {err}")


def work(lab, number, tally):
    chance = random.Random(SEED * 1000 + number)
    while True:
        with tally.lock:
            if tally.counts["leases"] >= LEASES:
                return
        one(lab, chance, tally)


def main():
    why = sshd.missing()
    if why:
        sys.exit(why)
    tally = Tally()
    with cli.folder() as where, sshd.Lab(where) as lab:
        locks = os.path.join(where, "locks")
        os.mkdir(locks)
        for host in lab.hosts:
            host.stop()
            host.env |= {"LOCKS": locks, "HOST": host.name}
            host.start()
        lab.configure()
        start = time.monotonic()
        threads = [threading.Thread(target=work, args=(lab, i, tally)) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = [host.name for host in lab.hosts if not is_free(host)]
        sockets = [name for _, _, names in os.walk(lab.sockets) for name in names]
        try:
            with open(os.path.join(locks, "twice"), encoding="utf-8") as file:
                twice = len(file.readlines())
        except FileNotFoundError:
            twice = 0
        counts = dict(sorted(tally.counts.items()))
        print(json.dumps(counts, indent=1))
        print(f"{counts.get('leases', 0)} leases over ssh in {time.monotonic() - start:.0f} s (seed {SEED}): "
              f"{twice} held twice, {len(left)} hosts with something left behind, {len(sockets)} "
              "sockets left")
        wrong = [what for what in counts if what.startswith(("after", "failed"))]
        sys.exit(bool(twice or left or wrong))


main()
