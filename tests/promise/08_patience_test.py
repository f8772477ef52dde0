#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Waiters that do not take their turn cost everybody one second in all. The promise is a time, so the
bounds here are times, but generous ones: six such waiters used to cost six times 1.5 s, and two of them
made an idle machine answer "busy"."""
import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import time

import cli
from cli import GPUALLOC, case, main
from leasing import PATIENCE, line_of, store
from people import shared_store, two_people
from waiting import describe, fake_driver, waiters

F_OFD_SETLK = 37
TICKETS = (1 << 62) + (1 << 40)
STUCK = 6
BOUND = 4.5  # seconds: one of patience, and much for a busy machine; less than four of the old turns


class HandMade:
    """Tickets that nobody will ever act on, like those of a process in another pid namespace whose state cannot
    be seen. They are copies of a real one that waits for the whole machine."""

    def __init__(self, one, numbers, like):
        self.numbers = list(numbers)
        queue = os.path.join(one.path, "queue")
        with open(os.path.join(queue, str(like)), encoding="ascii") as file:
            lines = file.read().splitlines()
        text = "".join(line.replace("pidns ", "pidns 9") + "\n" for line in lines
                       if not line.startswith("number "))
        self.ledger = os.open(os.path.join(one.path, "ledger"), os.O_RDWR)
        for number in numbers:
            self.lock(TICKETS + number)
            path = os.path.join(queue, str(number))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with open(path, "w", encoding="ascii") as file:
                file.write(text)

    def lock(self, place):
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        fcntl.fcntl(self.ledger, F_OFD_SETLK, lock)

    def say_they_look(self):
        """Like a waiter that is asking the driver."""
        for number in self.numbers:
            self.lock(TICKETS + (1 << 40) + number)

    def end(self):
        os.close(self.ledger)


@contextlib.contextmanager
def stuck_tickets(one, numbers=range(1, 1 + STUCK), words=("-n", "8")):
    """The first in the queue, all for the whole machine; the machine is idle."""
    holder = one.hold("-n", "8")
    with waiters(one) as some:
        real = some.start("real", *words)
        [name] = os.listdir(os.path.join(one.path, "queue"))
        made = HandMade(one, [number + int(name) for number in numbers], name)
        real.kill()
        real.communicate()
        del some.children["real"]
        holder.end()
        try:
            yield made
        finally:
            made.end()


@case
def an_idle_machine_is_given_out_despite_those_in_front():
    with store() as one, stuck_tickets(one):
        start = time.monotonic()
        one.ok("-q", "-n", "8", "true")  # a slow machine has reason to say that it waits
        assert time.monotonic() - start < BOUND, time.monotonic() - start


@case
def a_grant_costs_those_behind_one_second_in_all():
    with store() as one, stuck_tickets(one), waiters(one) as some:
        first = one.hold("-n", "8")
        second = some.start("second", "-n", "8", hold=True)
        third = some.start("third", "-n", "8")
        start = time.monotonic()
        first.end()
        assert line_of(second) == "had\n"
        between = time.monotonic()
        second.communicate()
        assert line_of(third) == "had\n"
        end = time.monotonic()
        assert between - start < BOUND and end - between < BOUND, (start, between, end)
        some.end()


@case
def waiters_that_claim_to_look_forever_are_passed_over_too():
    # Side by side, because each has to wait as long as a look at a slow driver may take.
    with contextlib.ExitStack() as stack:
        tried = []
        for wait in ([], ["--wait=100ms"], ["--wait=60s"]):
            one = stack.enter_context(store())
            stack.enter_context(stuck_tickets(one)).say_they_look()
            command = [GPUALLOC, "run", "--machine", one.machine, "-n", "8", *wait, "true"]
            child = stack.enter_context(subprocess.Popen(
                command, env=one.environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
            stack.callback(child.kill)
            tried.append((one, wait, child))
        for one, wait, child in tried:
            said = child.communicate(timeout=PATIENCE)[1]
            assert child.returncode == 0, f"{wait}: {said}"
            assert len(one.leases()["waiting"]) == STUCK, wait


@case
def ctrl_c_ends_even_a_run_that_does_not_wait():
    with store() as one, stuck_tickets(one) as made:
        made.say_they_look()
        child = subprocess.Popen([GPUALLOC, "run", "--machine", one.machine, "-n", "8", "true"],
                                 env=one.environment(), stdin=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
        try:
            said = child.stderr.readline()
            assert "waiting" in said, said
            child.send_signal(signal.SIGINT)
            said = child.communicate(timeout=PATIENCE)[1]
        finally:
            child.kill()
            child.communicate()
        assert child.returncode == -signal.SIGINT, (child.returncode, said)
        assert one.leases()["leases"] == []


@case
def one_that_does_not_wait_leaves_its_turn_to_one_that_asks_a_slow_driver():
    with store() as one, waiters(one) as some:
        _, env = fake_driver(one)
        holder = one.hold("-n", "2", env=env)
        some.start("slow", "-n", "2", hold=True, env={**env, "FAKE_SLOW": "3000"})
        quicker = {**env, "FAKE_SLOW": "1200"}
        one.refused(75, "-n", "2", "true", env=quicker)  # and so what the waiter has seen is old
        holder.end()
        one.refused(75, "-n", "2", "true", env=quicker)
        some.end()


@case
def they_keep_their_place():
    with store() as one, stuck_tickets(one):
        one.ok("-q", "-n", "1", "true")
        assert len(one.leases()["waiting"]) == STUCK


@case
def nothing_is_kept_for_users_at_their_limit():
    with two_people() as (ada, bob), shared_store() as one, waiters(one) as some:
        path = os.path.join(one.where, "rules")
        with open(path, "w", encoding="ascii") as file:
            file.write("max-devices = 2\n")
        os.chmod(path, 0o644)
        os.chmod(one.where, 0o1777)
        env = {"GPUALLOC_CONFIG": path}
        holder = one.hold("-n", "2", env=env, **ada.as_them())
        child = some.start("ada", "-n", "1", env=env, person=ada)
        [waiting] = one_view(one, env)
        assert waiting["user"] == ada.name and waiting["keeps"] == [], waiting
        one.hold("-n", "2", env=env, **bob.as_them()).end()
        assert child.poll() is None
        holder.end()
        some.end()


def one_view(one, env):
    return json.loads(cli.ok("leases", "--json", "--machine", one.machine,
                             env={"GPUALLOC_STATE_DIR": one.path, **env}))["waiting"]


@case
def eight_that_ask_a_slow_driver_each_get_their_turn():
    with store() as one, waiters(one) as some:
        path, env = fake_driver(one)
        holder = one.hold("-n", "2", env=env)
        names = [str(number) for number in range(8)]
        env["FAKE_SLOW"] = "1500"
        for name in names:
            some.start(name, "-n", "2", env=env)
        describe(path, [])
        holder.end()
        some.end()
        assert some.order() == names, some.order()


main()
