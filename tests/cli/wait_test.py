#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How waiting works: asleep, until an event comes; and what a frozen process delays."""
import contextlib
import os
import re
import subprocess
import sys

from cli import Skip, case, folder, main
from leasing import PATIENCE, line_of, store
from tracing import Trace
from waiting import describe, fake_driver, waiters

ROUNDS = 6  # on a busy machine it may look just when the event comes, but hardly every time


# ---- asleep ----

def sleeps_of(trace, pid):
    """The sleeps of a process so far: seconds asked for, watched descriptors, of which the one to
    stop it is not there, and what came of it."""
    for who, line in trace.calls():
        match = re.match(r"ppoll\((.*), \d+, \{tv_sec=(\d+), .*\) += (\d+)", line)
        if match and who == pid:
            yield int(match.group(2)), len(re.findall(r"fd=\d", match.group(1))), int(match.group(3))


def waiter_of(one, some, name, *words, env=None):
    """A waiter under strace, asleep; the trace and its pid."""
    trace = Trace("-e", "trace=ppoll,pidfd_open,clone,clone3,fork,vfork")
    some.start(name, *words, env={**trace.environment, **(env or {})}, before=trace.words(),
               is_queued=False)
    while not (queue := some.queue()) or not trace.under_way(queue[0], "ppoll"):
        assert some.children[name].poll() is None, some.children[name].communicate()
    return trace, queue[0]


@case
def a_waiter_sleeps_until_the_end_of_a_lease_wakes_it():
    with store() as one:
        woken = 0
        for _ in range(ROUNDS):
            with waiters(one) as some:
                holder = one.hold("-n", "8")
                trace, pid = waiter_of(one, some, "waits", "-n", "8")
                before = list(sleeps_of(trace, pid))
                assert holder.end() == 0
                some.end()
                after = list(sleeps_of(trace, pid))[len(before):]
                # Nothing happened, so it asked only for the longest sleep.
                assert all(sleep == (1, 1, 0) for sleep in before), before
                woken += bool(after) and after[0] == (1, 1, 1)
        assert woken > 0, "never by an event"
        assert one.is_free()


@case
def the_end_of_a_strangers_process_is_watched_not_polled():
    with store() as one:
        woken = 0
        path, env = fake_driver(one)
        for number in range(ROUNDS):
            with waiters(one) as some:
                stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
                try:
                    describe(path, [stranger.pid])
                    trace, pid = waiter_of(one, some, f"w{number}", "-n", "2", env=env)
                    before = trace.calls()
                    sleeps = list(sleeps_of(trace, pid))
                    describe(path, [])
                finally:
                    stranger.communicate()
                some.end()
                after = list(sleeps_of(trace, pid))[len(sleeps):]
                opened = [line for who, line in before
                          if who == pid and line.startswith(f"pidfd_open({stranger.pid},")]
                # The queue or the ledger, and that process; the driver is asked once a
                # sleep.
                assert opened and all(sleep == (1, 2, 0) for sleep in sleeps), (opened, sleeps)
                asked = sum(who == pid and "fork" in line or "clone" in line
                            for who, line in before)
                assert asked <= len(sleeps) + 4, before
                woken += bool(after) and after[0][1:] == (2, 1)
        assert woken > 0, "never by its end"


# ---- frozen ----

class Freezer:
    """The test's own control group, of version 1 or 2."""

    def __init__(self, base):
        self.path = os.path.join(base, f"gpualloc-test-{os.getpid()}")
        self.base = base
        os.mkdir(self.path)
        self.is_second = os.path.exists(os.path.join(self.path, "cgroup.freeze"))

    def write(self, name, text, path=None):
        with open(os.path.join(path or self.path, name), "w", encoding="ascii") as file:
            file.write(str(text))

    def read(self, name):
        with open(os.path.join(self.path, name), encoding="ascii") as file:
            return file.read()

    def freeze(self, pid):
        self.write("cgroup.procs", pid)
        if self.is_second:
            self.write("cgroup.freeze", 1)
        else:
            self.write("freezer.state", "FROZEN")
        name, done = (("cgroup.events", "frozen 1") if self.is_second else
                      ("freezer.state", "FROZEN"))
        while done not in self.read(name):
            os.sched_yield()

    def thaw(self):
        if self.is_second:
            self.write("cgroup.freeze", 0)
        else:
            self.write("freezer.state", "THAWED")

    def remove(self):
        self.thaw()
        for pid in self.read("cgroup.procs").split():
            with contextlib.suppress(OSError):
                self.write("cgroup.procs", pid, self.base)
        os.rmdir(self.path)


@contextlib.contextmanager
def freezers():
    """One of each version that exists here."""
    if os.geteuid() != 0:
        raise Skip("only root can make control groups")
    found, why = [], "no control groups that can freeze"
    with folder() as mount, contextlib.ExitStack() as undo:
        places = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        if not any(os.path.exists(os.path.join(place, "cgroup.procs")) for place in places):
            done = subprocess.run(["mount", "-t", "cgroup2", "none", mount], capture_output=True,
                                  text=True, check=False)
            if done.returncode == 0:
                undo.callback(subprocess.run, ["umount", mount], check=True)
                places.append(mount)
        for place in places:
            if not os.path.exists(os.path.join(place, "cgroup.procs")):
                continue
            try:
                one = Freezer(place)
            except OSError as error:
                why = str(error)
                continue
            undo.callback(one.remove)
            if one.is_second or os.path.exists(os.path.join(one.path, "freezer.state")):
                found.append(one)
            else:
                undo.pop_all().close()
        if not found:
            raise Skip(why)
        yield found


@case
def a_frozen_waiter_is_passed_over_and_keeps_its_place():
    with freezers() as found:
        for freezer in found:
            with store() as one, waiters(one) as some:
                holder = one.hold("-n", "8")
                first = some.start("frozen", "-n", "8")
                second = some.start("second", "-n", "8", hold=True)
                some.start("third", "-n", "8")
                freezer.freeze(first.pid)
                try:
                    holder.end()
                    assert line_of(second) == "had\n"  # while the first is still frozen
                finally:
                    freezer.thaw()
                assert some.queue()[0] == first.pid
                second.communicate()
                some.end()
                assert some.order() == ["second", "frozen", "third"], some.order()
                assert one.is_free()


SIT = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("sits", flush=True)
sys.stdin.read()
"""


@case
def a_frozen_process_with_the_arbiter_is_named_not_waited_for():
    with freezers() as found:
        for freezer in found:
            with store() as one:
                one.ask("setup")
                child = subprocess.Popen([sys.executable, "-c", SIT,
                                          os.path.join(one.path, "arbiter")], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                try:
                    assert line_of(child) == "sits\n"
                    freezer.freeze(child.pid)
                    result = one.run("-n", "8", "true")
                    assert result.code == 0, result
                    for part in (f"process {child.pid} ", "without order"):
                        assert part in result.err, (part, result)
                finally:
                    freezer.thaw()
                    child.communicate(timeout=PATIENCE)
                one.ok("-n", "8", "true")


main()
