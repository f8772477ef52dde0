#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stranger who may use the store can delay others only so much, and nobody innocent is named. Work is
counted in system calls and wake-ups, not in time."""
import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import cli
from cli import GPUALLOC, Skip, case, is_sanitized, main
from leasing import line_of, store
from people import python, shared_store, two_people
from tracing import Trace
from waiting import waiters

LOCKS = 6000  # far more than holders have; taking them costs the square of this

SPRINKLE = """
import fcntl, os, struct, sys
ledger = os.open(sys.argv[1], os.O_RDWR)
start = int(sys.argv[2], 16)
for place in range(%d, 0, -1):
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start + 2 * place, 1, 0)
    fcntl.fcntl(ledger, 37, lock)  # F_OFD_SETLK
if len(sys.argv) > 3:
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, (1 << 62) + int(sys.argv[3], 16), 1, 0)
    fcntl.fcntl(ledger, 37, lock)
print("done", flush=True)
sys.stdin.read()
""" % LOCKS


@contextlib.contextmanager
def script(text, *words):
    child = subprocess.Popen([sys.executable, "-c", text, *words], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def region_of(one, gpu):
    """Where the GPU's region of the ledger begins, according to the record of a lease on it."""
    holder = one.hold("-n", "1", "--only", gpu)
    records = os.path.join(one.path, "records")
    texts = []
    for name in os.listdir(records):
        with open(os.path.join(records, name), encoding="utf-8") as file:
            texts.append(file.read())
    holder.end()
    return re.search(r"^device \S+ ([0-9a-f]+):", texts[-1], re.MULTILINE).group(1)


def calls_of(one, *words, code=0):
    """How often the ledger was asked or locked, and what was said."""
    trace = Trace("-e", "trace=fcntl")
    done = subprocess.run([*trace.words(), os.environ["GPUALLOC"], *words], capture_output=True,
                          text=True, env=one.environment(**trace.environment), check=False)
    assert done.returncode == code, done
    return sum("F_OFD_" in line for _, line in trace.calls()), done.stderr


@case
def many_locks_in_one_region_cost_others_little():
    with store() as one:
        run = ("run", "--machine", one.machine, "-n")
        start = region_of(one, "0")
        before, _ = calls_of(one, *run, "7", "true")
        with script(SPRINKLE, os.path.join(one.path, "ledger"), start) as child:
            assert line_of(child) == "done\n"
            others, said = calls_of(one, *run, "1", "--exclude", "0", "true")
            some, more = calls_of(one, *run, "7", "true")
            same, why = calls_of(one, *run, "1", "--only", "0", "true", code=75)
        assert said == "" and more == "", (said, more)
        assert "without a record" in why and "process" not in why, why
        assert max(others, some, same) < before + LOCKS / 2, (before, others, some, same)
        assert one.is_free()


@case
def nor_does_a_record_that_claims_them_all():
    with store() as one:
        start = region_of(one, "0")
        made_up = "0123456789"
        with open(os.path.join(one.path, "records", made_up), "w", encoding="ascii") as file:
            file.write(f"pid 1\ndevice GPU-x {start}:ffffffff\n")
        with script(SPRINKLE, os.path.join(one.path, "ledger"), start, made_up) as child:
            assert line_of(child) == "done\n"
            asked, _ = calls_of(one, "leases")
            assert asked < LOCKS / 2, asked


# ---- nobody is accused who merely waits ----

RELAY = """
import fcntl, os, sys, time
COUNT = 8
turn, done = [[os.pipe() for _ in range(COUNT)] for _ in range(2)]
file = None
for me in range(COUNT):
    if os.fork() == 0:
        file = open(sys.argv[1])
        os.write(1, b"%d\\n" % os.getpid())  # in one piece
        while os.read(turn[me][0], 1):
            fcntl.flock(file, fcntl.LOCK_SH)
            os.write(done[me][1], b"x")  # the one before may let go
            time.sleep(0.005)  # what a claim takes
            os.write(turn[(me + 1) % COUNT][1], b"x")
            os.read(done[(me + 1) % COUNT][0], 1)
            fcntl.flock(file, fcntl.LOCK_UN)
os.write(turn[0][1], b"x")
os.read(done[0][0], 1)
os.write(1, b"goes round\\n")
sys.stdin.read()
"""


@contextlib.contextmanager
def relay(one):
    """Eight processes have the arbiter for a moment each, and it is never free in between."""
    child = subprocess.Popen([sys.executable, "-c", RELAY, os.path.join(one.path, "arbiter")],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             process_group=0)
    try:
        said = [child.stdout.readline().strip() for _ in range(9)]
        assert "goes round" in said, said
        yield [word for word in said if word.isdigit()]
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


@case
def holding_the_arbiter_for_a_moment_is_not_blamed():
    """On a busy machine one of them may not get on while it has it, and is named rightly: once more then."""
    with store() as one:
        one.ask("setup")
        for more in reversed(range(5)):
            with relay(one) as pids:
                result = one.run("-n", "1", "true")
            named = [pid for pid in pids if f"process {pid} " in result.err]
            assert result.code == 0, result
            if not named or not more:
                break
        assert not named and "nobody could be seen holding it" in result.err, result


SIT = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("sits", flush=True)
sys.stdin.read()
"""


@case
def looking_for_the_holder_does_not_stop_all_locking():
    """Each read of the kernel's list of locks stops locking everywhere, longer where there are many."""
    with store() as one:
        one.ask("setup")
        many = os.path.join(one.where, "a stranger's own file")
        os.mknod(many)
        trace = Trace("-y", "-e", "trace=read")
        with script(SPRINKLE, many, "0") as stranger, \
                script(SIT, os.path.join(one.path, "arbiter")) as child:
            assert line_of(stranger) == "done\n" and line_of(child) == "sits\n"
            done = subprocess.run(
                [*trace.words(), os.environ["GPUALLOC"], "run", "--machine", one.machine, "true"],
                capture_output=True, text=True, env=one.environment(**trace.environment), check=False)
        assert done.returncode == 0 and "claims go on without order" in done.stderr, done
        reads = sum("/proc/locks>" in line for _, line in trace.calls())
        assert 0 < reads < LOCKS / 60, reads


# ---- looking for the processes that have a lease ----

MINIONS, EACH = 14, 900

# Has the ledger open so often, in so many processes.
CROWD = """
import os, sys
ledger = os.open(sys.argv[1], os.O_RDWR)
gate, end = os.pipe()
for _ in range(int(sys.argv[2])):
    if os.fork() == 0:
        os.close(end)
        for _ in range(int(sys.argv[3])):
            os.dup(ledger)
        os.write(1, b"there\\n")
        os.read(gate, 1)  # until the one that started it ends
        os._exit(0)
sys.stdin.read()
"""


@case
def a_stranger_with_the_ledger_open_thousands_of_times_does_not_delay_root():
    with two_people() as (ada, bob), shared_store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        crowd = subprocess.Popen([python(bob), "-c", CROWD, os.path.join(one.path, "ledger"),
                                  str(MINIONS), str(EACH)], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, **bob.as_them())
        try:
            for _ in range(MINIONS):
                assert crowd.stdout.readline() == "there\n"
            # It started later, so it is further down in /proc.
            holder = one.hold("-n", "2", command=["sh", "-c", "echo $GPUALLOC_LEASE; read line"],
                              **ada.as_them())
            trace = Trace("--seccomp-bpf", "-e", "trace=openat")
            done = subprocess.run([*trace.words(), GPUALLOC, "leases", "--pids", holder.said, "--json"],
                                  capture_output=True, text=True, check=False,
                                  env=one.environment(**trace.environment))
            found = json.loads(done.stdout)
            assert [entry["pid"] for entry in found["processes"]] == [holder.process.pid], found
            assert found["unseen"] > 0, found
            assert f"were not looked at: {found['unseen']}. " in done.stderr, done
            looks = sum("fdinfo/" in line for _, line in trace.calls())
            assert looks < MINIONS * EACH, looks  # it looks twice, and looked at each of them before
            result = cli.run("release", "--yes", holder.said, env=env)
            assert result.code == 0 and "that were not looked at" in result.err, result
            assert holder.end() == -signal.SIGTERM
        finally:
            crowd.communicate()


# ---- storms ----

STORM = """
import os, sys
for _ in range(int(sys.argv[2])):
    os.close(os.open(sys.argv[1], os.O_RDWR))
print("over", flush=True)
"""


def wakeups(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))


@case
def a_storm_of_opens_and_closes_wakes_waiters_rarely():
    opens = 200000
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "8")
        for number in range(8):
            some.start(str(number), "-n", "8")
        pids = some.queue()
        before = sum(wakeups(pid) for pid in pids)
        with script(STORM, os.path.join(one.path, "ledger"), str(opens)) as child:
            assert line_of(child) == "over\n"
        after = sum(wakeups(pid) for pid in pids)
        # Each looks after 32 events, ten times after some of them, and then ten times a second.
        assert after - before < opens / 40, after - before
        holder.end()
        some.end()
        assert len(some.order()) == 8


# ---- slow name services ----

@case
def no_name_is_looked_up_under_the_arbiter():
    if is_sanitized():
        raise Skip("nothing can be loaded before the sanitizer")
    with store() as one, waiters(one) as some:
        log = os.path.join(one.where, "names")
        env = {"LD_PRELOAD": os.environ["NAME_SERVICE"], "NAMES_LOG": log,
               "NAMES_ARBITER": os.path.join(one.path, "arbiter")}
        rules = os.path.join(one.where, "rules")
        with open(rules, "w", encoding="ascii") as file:
            file.write("max-devices = 100\n")
        env["GPUALLOC_CONFIG"] = rules
        holder = one.hold("-n", "6")
        some.start("waits", "-n", "7", env=env)
        assert one.run("-n", "1", "true", env=env).code == 75
        assert one.run("-n", "3", "true", env=env).code == 75
        some.start("too", "-n", "7", env=env)
        holder.end()
        some.end()
        one.ok("-n", "1", "true", env=env)
        with open(log, encoding="ascii") as file:
            asked = file.read().split()
        assert asked and "under" not in asked, asked


main()
