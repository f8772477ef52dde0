#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The numbers in the queue: a made-up number takes nobody's place, users cannot prolong what is kept for
them, and tidying up after the dead never removes the living."""
import contextlib
import os
import shutil
import subprocess

from cli import GPUALLOC, Skip, case, main
from leasing import HOLD
from people import python, shared_store, two_people

HAND_MADE = r"""
import fcntl, os, struct, sys
store, number = sys.argv[1], int(sys.argv[2])
ledger = os.open(store + "/ledger", os.O_RDWR)
fcntl.fcntl(ledger, 37, struct.pack("hhqqiq", fcntl.F_WRLCK, 0, (1 << 62) + (1 << 40) + number, 1, 0, 0))
with open(f"{store}/queue/{number}", "w") as file:
    file.write("pid 1\nsince 1\ncount 1\nmemory 0\nplaces 0:20000000\n")
print("made", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def started(*words, **options):
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def waiter(one, *words, env=None, **options):
    return started(GPUALLOC, "run", "--wait", "--machine", one.machine, *words, *HOLD,
                   env=one.environment(**(env or {})), **options)


def until_it_waits(one, child):
    for _ in range(1000):
        if child.pid in [waiting["pid"] for waiting in one.leases()["waiting"]]:
            return
        assert child.poll() is None, child.communicate()
    raise AssertionError("it has no place in the queue")


@case
def a_hand_made_number_takes_nobodys_place():
    with two_people() as (ada, bob), shared_store() as one:
        for number in ((1 << 39) - 1, 1 << 39, (1 << 40) - 1):
            holder = one.hold("-n", "8")
            with started(python(bob), "-c", HAND_MADE, one.path, str(number),
                         **bob.as_them()) as maker:
                assert maker.stdout.readline() == "made\n", maker.communicate()
                with waiter(one, "-n", "8", **ada.as_them()) as first:
                    until_it_waits(one, first)
                    with waiter(one, "-n", "8", **ada.as_them()) as second:
                        until_it_waits(one, second)
                        assert holder.end() == 0
                        assert len(first.stdout.readline().split(",")) == 8
                        assert second.pid in [w["pid"] for w in one.leases()["waiting"]]
                        _, said = first.communicate("\n")
                        assert "without a place" not in said, said
                        assert len(second.stdout.readline().split(",")) == 8
                        _, said = second.communicate("\n")
                        assert "without a place" not in said, said


@case
def touching_a_ticket_does_not_prolong_what_is_kept():
    with two_people() as (ada, bob), shared_store() as one:
        rules = os.path.join(one.where, "gpualloc.conf")
        with open(rules, "w", encoding="utf-8") as file:
            file.write("keep = 1s\n")
        env = {"GPUALLOC_CONFIG": rules}
        holder = one.hold("-n", "1")
        with waiter(one, "-n", "8", env=env, **bob.as_them()) as child:
            until_it_waits(one, child)
            number, = os.listdir(os.path.join(one.path, "queue"))
            ticket = os.path.join(one.path, "queue", number)
            for _ in range(500):
                os.chmod(ticket, 0o644)
                result = one.run("-n", "7", "true", env=env, **ada.as_them())
                if result.code == 0:
                    break
                assert result.code == 75, result
            assert result.code == 0, "kept for ever"
        assert holder.end() == 0


@case
def removing_a_dead_ticket_never_removes_a_live_one():
    """Between the look at a dead ticket and its removal, somebody else may take its number."""
    strace = shutil.which("strace")
    probe = strace and subprocess.run([strace, "-o", "/dev/null", "-e",
                                       "inject=getppid:delay_enter=1", "true"],
                                      check=False, capture_output=True)
    if not probe or probe.returncode:
        raise Skip("no strace that may trace")
    with shared_store() as one:
        holder = one.hold("-n", "8")
        os.mknod(os.path.join(one.path, "queue", "1"))
        with started(strace, "-qq", "-o", os.path.join(one.where, "log"), "-e",
                     "inject=unlinkat:delay_enter=3000000", GPUALLOC, "leases",
                     env=one.environment(ASAN_OPTIONS="detect_leaks=0")) as sweeper:
            tracee = f"/proc/{sweeper.pid}/task/{sweeper.pid}/children"
            while not is_removing(tracee):
                assert sweeper.poll() is None, sweeper.communicate()
            with waiter(one, "-n", "8") as child:
                while not tickets(one, child.pid):
                    assert child.poll() is None, child.communicate()
                sweeper.wait()
                assert child.pid in [w["pid"] for w in one.leases()["waiting"]]
                assert holder.end() == 0
                assert len(child.stdout.readline().split(",")) == 8
                assert "without" not in child.communicate("\n")[1]
        assert one.is_free()


def is_removing(children):
    with contextlib.suppress(OSError, ValueError):
        with open(children, encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            return file.read().split()[0] == "263"
    return False


def tickets(one, pid):
    """Those of a process, by their files; asking gpualloc would tidy up."""
    found = []
    for name in os.listdir(os.path.join(one.path, "queue")):
        with contextlib.suppress(OSError):
            with open(os.path.join(one.path, "queue", name), encoding="utf-8") as file:
                if f"pid {pid}\n" in file.read():
                    found.append(name)
    return found


main()
