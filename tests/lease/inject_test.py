#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A lease is disturbed at its system calls: killed before each, stopped at some while somebody else comes,
and given an error by others. Whatever happens, no lock outlives the dead, the dead are neither shown nor
waited for, the next one gets everything, and nobody gets what another has.

The kill that strace injects lands before the call takes effect: so the next one covers "after". It counts
each kind of call by itself ("all:when=9" is the ninth of any kind), so a point of a run is the name of a
call and its number among those of that name. `make hard` takes every point for every kind of trouble, the
test an even choice of stops and errors."""
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ONE = os.environ["LEASE_ONE"]
MACHINE = os.path.join(os.environ["TEST_ROOT"], "machines", "files", "chaos.json")
ALL = "8"
HARD = bool(os.environ.get("HARD"))  # every call, every number of it; takes many minutes
POINTS = 10 ** 9 if HARD else int(os.environ.get("POINTS", "500"))  # at most so many kills a case
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # that cannot work beside strace
STOPS = 18
F_OFD_GETLK = 36
# What a call may end with: granted, busy, no permission, trouble with a file, too late.
CLEAN = {0, 65, 71, 74, 75, 77, 124}


class Skip(Exception):
    pass


def place_for_store():
    for place in (os.environ.get("TMPDIR", "/tmp"), "/dev/shm", os.getcwd()):
        kind = subprocess.run(["stat", "-f", "-c", "%T", place], stdout=subprocess.PIPE,
                              check=False).stdout.decode().strip()
        if kind in ("tmpfs", "ext2/ext3", "xfs", "btrfs"):
            return place
    raise Skip("no folder on a file system that a store may lie on")


class Bench:
    """Its own store, and what is done around it."""
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gpualloc-inject-", dir=place_for_store())
        self.store = os.path.join(self.folder.name, "store")
        self.log = os.path.join(self.folder.name, "log")
        subprocess.run([ONE, "setup", MACHINE, self.store, "0"], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def words(self, how, count=ALL, wait="0"):
        return [ONE, how, MACHINE, self.store, count, wait]

    def run(self, how, *options, count=ALL, wait="0"):
        """Runs it under strace with these options; its exit status as a shell has it."""
        done = subprocess.run(["strace", "-f", "-o", self.log, *options,
                               *self.words(how, count, wait)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def calls(self, how, wait="0"):
        """The calls of an undisturbed run, and how many come before it touches the store."""
        code, said = self.run(how, wait=wait)
        with open(self.log, encoding="utf-8", errors="replace") as file:
            lines = [line.split(None, 1)[1] for line in file]
        lines = [line for line in lines if re.match(r"\w+\(", line)]
        first = next(i for i, line in enumerate(lines) if self.store in line and "exec" not in line)
        return code, said, [line.split("(")[0] for line in lines], first

    def is_locked(self):
        """Asks the kernel."""
        with open(os.path.join(self.store, "ledger"), "r+b") as ledger:
            lock = fcntl.fcntl(ledger, F_OFD_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        return struct.unpack("hhqqi4x", lock)[0] != fcntl.F_UNLCK

    def must_be_free(self, about):
        assert not self.is_locked(), f"{about}: a lock outlived the dead"
        done = subprocess.run([ONE, "free", MACHINE, self.store, ALL], stdout=subprocess.PIPE,
                              timeout=60, check=False)
        assert done.returncode == 0, f"{about}: {done.stdout.decode()}"

    def hold(self, count=ALL, wait="0"):
        """Somebody who holds until their input is closed; and their first line."""
        holder = subprocess.Popen(self.words("hold", count, wait), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        return holder, holder.stdout.readline().decode()

    @staticmethod
    def let_go(holder):
        holder.stdin.close()
        holder.stdout.close()
        return holder.wait(timeout=60)


def spread(first, last, most):
    """Numbers from first to last: all of them, or an even selection."""
    if HARD:
        return list(range(first, last + 1))
    step = max(1, -(-(last - first + 1) // most))
    return list(range(first, last + 1, step))


def points_of(calls, first, most):
    """Points of a run from its first call that matters: if there are too many, repetitions of one kind of call
    are thinned out evenly."""
    points = [(name, calls[:number + 1].count(name)) for number, name in enumerate(calls)][first:]
    common = max(set(calls[first:]), key=calls[first:].count)
    rare = [point for point in points if point[0] != common]
    many = [point for point in points if point[0] == common]
    if len(points) > most:
        many = [many[i] for i in spread(0, len(many) - 1, max(10, most - len(rare)))] + many[-12:]
    return sorted(set(rare + many), key=points.index)


def kill_everywhere(how):
    with Bench() as bench:
        code, said, calls, first = bench.calls(how)
        assert code == 0, said
        points, killed = points_of(calls, first, POINTS), 0
        for name, number in points:
            code, _ = bench.run(how, "-e", f"inject={name}:signal=KILL:when={number}")
            killed += code == -9
            bench.must_be_free(f"killed before {name} {number}")
        assert killed >= 0.9 * len(points), f"only {killed} of {len(points)} were killed"
        return f"{killed} of {len(calls) - first} calls"


def killed_before_any_call_of_a_lease_that_exits():
    return kill_everywhere("exit")


def killed_before_any_call_of_a_lease_that_is_released():
    return kill_everywhere("release")


def killed_before_any_call_while_it_waits():
    with Bench() as bench:
        holder, said = bench.hold()
        assert said.startswith("granted"), said
        code, said, calls, first = bench.calls("exit", wait="30")
        assert code == 124, said
        points, killed = points_of(calls, first, POINTS), 0
        for name, number in points:
            code, _ = bench.run("exit", "-e", f"inject={name}:signal=KILL:when={number}", wait="30")
            killed += code == -9
        assert bench.let_go(holder) == 0
        bench.must_be_free(f"killed before {killed} calls")
        assert killed >= 0.5 * len(points), f"only {killed} of {len(points)} were killed"
        return f"{killed} of {len(calls) - first} calls"


def wait_for(what, about):
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end, about
        os.sched_yield()


def stopped(bench):
    with open(bench.log, encoding="utf-8", errors="replace") as file:
        match = re.search(r"^(\d+) +--- stopped by SIGSTOP ---", file.read(), re.M)
    return int(match.group(1)) if match else None


def stop_once(bench, name, number):
    """One is stopped at a call, another comes and gets the lease or does not, and the first goes on. Returns
    whether the other was granted."""
    about = f"stopped at {name} {number}"
    with open(bench.log, "w", encoding="utf-8"):
        pass
    traced = subprocess.Popen(["strace", "-f", "-o", bench.log, "-e",
                               f"inject={name}:signal=STOP:when={number}", *bench.words("exit")],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    wait_for(lambda: stopped(bench) or traced.poll() is not None, about)
    assert traced.poll() is None, f"{about}: it never was"
    other, said = bench.hold()
    os.kill(stopped(bench), signal.SIGCONT)
    first = traced.communicate(timeout=60)[0].decode()
    assert traced.returncode in CLEAN, f"{about}: {traced.returncode} {first}"
    code = bench.let_go(other)
    assert code in (0, 75), f"{about}: the other ended with {code}: {said}"
    # The other held until the first was done.
    both = first.startswith("granted") and said.startswith("granted")
    assert not both, f"{about}: both were granted"
    return said.startswith("granted")


def stopped_at_calls_while_somebody_else_comes():
    with Bench() as bench:
        _, _, calls, first = bench.calls("exit")
        # After the last of them, exit_group(), nothing goes on.
        points = points_of(calls[:-1], first, POINTS if HARD else 0)
        points, other = [points[i] for i in spread(0, len(points) - 1, STOPS)], 0
        for name, number in points:
            other += stop_once(bench, name, number)
            bench.must_be_free(f"stopped at {name} {number}")
        assert 0 < other < len(points), f"the other was granted {other} times of {len(points)}"
        return f"{len(points)} calls, the other was granted {other} times"


ERRORS = {
    "openat": ("EMFILE", "EACCES", "ENOSPC", "EINTR"),
    "fcntl": ("ENOLCK", "EINTR", "EACCES"),
    "flock": ("EINTR", "ENOLCK"),
    "write": ("ENOSPC", "EINTR"),
    "linkat": ("ENOSPC", "EACCES"),
    "inotify_init1": ("EMFILE",),
    "inotify_add_watch": ("ENOSPC", "EACCES"),
    "poll": ("EINTR",),
    "ppoll": ("EINTR",),
    "getdents64": ("EIO",),
    "newfstatat": ("EACCES",),
    "fstatfs": ("EIO",),
}


def disturb(bench, call, error, when):
    """Asks for everything; if it is granted in spite of the error, it must really have it."""
    about = f"{call} {error} at {when}"
    traced = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e",
                               f"inject={call}:error={error}:when={when}", *bench.words("hold")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    said = traced.stdout.readline().decode(errors="replace")
    granted = said.startswith("granted")
    if granted:
        other = subprocess.run(bench.words("exit", "1"), stdout=subprocess.PIPE, timeout=60,
                               check=False)
        assert other.returncode == 75, f"{about}: granted, and others too: {other.stdout.decode()}"
    code = bench.let_go(traced)
    assert code in CLEAN, f"{about}: ended with {code}: {said}"
    bench.must_be_free(about)
    return granted


def an_error_at_calls_is_a_clean_refusal_or_a_grant():
    with Bench() as bench:
        _, _, calls, first = bench.calls("release")
        tried = granted = 0
        for call, errors in ERRORS.items():
            before, total = calls[:first].count(call), calls.count(call)
            for error in errors:
                for number in spread(before + 1, total, 5) if total > before else []:
                    # Interrupted once, but short of something for good.
                    for when in [str(number)] + ([] if error == "EINTR" else [f"{number}+"]):
                        tried += 1
                        granted += disturb(bench, call, error, when)
        assert tried > granted > 0, f"{granted} of {tried} were granted"
        return f"{tried} errors, granted all the same {granted} times"


def an_error_while_waiting_is_clean():
    with Bench() as bench:
        holder, said = bench.hold()
        assert said.startswith("granted"), said
        _, _, calls, first = bench.calls("exit", wait="30")
        tried = 0
        for call, errors in ERRORS.items():
            before, total = calls[:first].count(call), calls.count(call)
            for error in errors:
                for number in spread(before + 1, total, 3) if total > before else []:
                    tried += 1
                    code, said = bench.run("exit", "-e",
                                           f"inject={call}:error={error}:when={number}", wait="30")
                    assert code in CLEAN and code != 0, f"{call} {error} {number}: {code} {said}"
        bench.let_go(holder)
        bench.must_be_free("after errors while waiting")
        return f"{tried} errors"


CASES = [killed_before_any_call_of_a_lease_that_exits,
         killed_before_any_call_of_a_lease_that_is_released,
         killed_before_any_call_while_it_waits,
         stopped_at_calls_while_somebody_else_comes,
         an_error_at_calls_is_a_clean_refusal_or_a_grant,
         an_error_while_waiting_is_clean]


def reason_to_skip():
    if not shutil.which("strace"):
        return "no strace"
    done = subprocess.run(["strace", "-e", "inject=getppid:error=EPERM", "-o", "/dev/null", "true"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return f"ptrace is not permitted: {done.stdout.decode()[:100]!r}" if done.returncode else None


def main():
    why = reason_to_skip()
    if why:
        print("1..0 # SKIP", why.replace("\n", " "))
        return 0
    failed = False
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        name = case.__name__.replace("_", " ")
        try:
            print("ok", number, "-", f"{name}: {case()}", flush=True)
        except Skip as reason:
            print("ok", number, "-", name, "# SKIP", reason, flush=True)
        except Exception:  # whatever it was, the other cases are still worth running
            failed = True
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print("not ok", number, "-", name, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
