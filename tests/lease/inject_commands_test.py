#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands that lease are refused something: each system call in turn ends with an error, each
allocation in turn. A command then says what is wrong, or still succeeds; nobody gets what another has; and
the store is right afterwards: the next one gets everything, and `setup --check` finds nothing. `make hard`
takes every call, the test an even choice."""
import contextlib
import json
import os
import re
import secrets
import subprocess
import tempfile
import time

import cli
from cli import GPUALLOC, Skip, case, is_sanitized, main
from leasing import PATIENCE, Store, line_of
from tracing import Trace

HARD = bool(os.environ.get("HARD"))
SANITIZED = is_sanitized()
MEMORY = ("madvise", "mmap", "mprotect")
# Of a command, so many calls and allocations; most of the latter read the machine's text.
CHOSEN, ALLOCATIONS = (10 ** 9, 400) if HARD else (8 if SANITIZED else 14, 12)
REPEATED = 60  # more calls of one kind are not tried
GETGPU = os.path.join(os.environ["COMPAT"], "getgpu")
# What a command may end with: done, or a status that says what kind of trouble it was. 64: release asks
# before it ends what it cannot see to be a hold.
TROUBLE = {64, 65, 69, 70, 71, 74, 75, 77, 78, 126, 127}
# It cannot be refused, or what is refused is not the command's: the start and the end of a process, the
# time. A close that fails has closed all the same, and brk() answers with the old place, which strace
# cannot do.
NEVER = {"alarm", "arch_prctl", "brk", "clock_gettime", "close", "execve", "exit", "exit_group", "getegid",
         "geteuid", "getgid", "getpid", "getppid", "gettid", "getuid", "munmap", "restart_syscall",
         "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "set_robust_list",
         "set_tid_address", "umask", "vfork"}
ERRORS = {
    "accept4": ["EMFILE"], "access": ["EACCES"], "bind": ["EADDRINUSE"],
    "clone": ["EAGAIN"], "clone3": ["EAGAIN"], "close_range": ["ENOSYS"], "connect": ["ECONNREFUSED"],
    "dup2": ["EMFILE"], "dup3": ["EMFILE"], "faccessat2": ["EACCES"],
    "fchmod": ["EPERM"], "fcntl": ["ENOLCK", "EINTR"], "flock": ["ENOLCK", "EINTR"],
    "fstatfs": ["EIO"], "getdents64": ["EIO"], "inotify_add_watch": ["ENOSPC"],
    "inotify_init1": ["EMFILE"], "linkat": ["ENOSPC", "EACCES"], "mkdir": ["ENOSPC"],
    "mkdirat": ["ENOSPC"], "mmap": ["ENOMEM"], "mprotect": ["ENOMEM"], "newfstatat": ["EACCES"],
    "openat": ["EMFILE", "EACCES", "ENOSPC"], "pidfd_open": ["EMFILE", "ENOSYS"],
    "pipe2": ["EMFILE"], "poll": ["EINTR"], "ppoll": ["EINTR"], "prctl": ["EINVAL"],
    "read": ["EIO", "EINTR"], "renameat2": ["EACCES"], "rename": ["EACCES"], "setsid": ["EPERM"],
    "socket": ["EMFILE"], "timerfd_create": ["EMFILE"], "unlinkat": ["EACCES"],
    "wait4": ["EINTR"], "write": ["ENOSPC", "EINTR"],
}


class Bench:
    """A store, and commands that are refused something, one at a time."""

    def __init__(self, make=True):
        self.folder = tempfile.TemporaryDirectory(prefix="gpualloc-inject-")
        self.one = Store(self.folder.name, self.machine_of_its_own())
        self.trace = Trace("-y")
        if make:
            self.set_up()

    def machine_of_its_own(self):
        """A keeper ends when who has its device in his environment has ended: nobody else's job may
        have it."""
        text = cli.ok("snapshot", "--machine", "dgx1-volta")
        path = os.path.join(self.folder.name, "machine.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"GPU-.{8}", lambda _: f"GPU-{secrets.token_hex(4)}", text))
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends who still holds something."""
        for holder in self.one.holders:
            if holder.process.poll() is None:
                holder.kill()
        if os.path.exists(self.one.path):
            self.end_keepers()
        self.folder.cleanup()

    def end_keepers(self):
        """As whoever may does, for one without memory may have no record that names its pid."""
        held = [lease["id"] for lease in self.one.leases()["leases"]]
        if held:
            cli.ok("release", "--yes", "--quiet", *held, env=self.one.environment())
        assert not self.one.leases()["leases"], "a keeper does not end"

    def set_up(self):
        cli.ok("setup", env={"GPUALLOC_STATE_DIR": self.one.path})

    def environment(self, **more):
        return self.one.environment(GPUALLOC_MACHINE=self.one.machine, GPUALLOC_HOLD="1h",
                                    **self.trace.environment, **more)

    def must_be_right(self, about):
        """The next one gets everything, and no more is left than what a store has."""
        checked = cli.run("setup", "--check", env={"GPUALLOC_STATE_DIR": self.one.path})
        assert checked.code == 0, f"{about}: {checked!r}"
        result = self.one.run("-n", "8", "true")
        assert result.code == 0 and not result.err, f"{about}: the next one: {result!r}"
        leases = self.one.leases()
        assert not leases["leases"] and not leases["waiting"], f"{about}: {leases}"

    def must_be_busy(self, about):
        result = self.one.run("-n", "8", "true")
        assert result.code == 75, f"{about}: granted, and others got all: {result!r}"


class Command:
    """One run of a command, maybe with what stays behind of it."""

    def __init__(self, bench, words, *options, env=None, stdin=subprocess.DEVNULL):
        self.bench, self.out, self.err = bench, tempfile.TemporaryFile(), tempfile.TemporaryFile()
        with open(bench.trace.path, "w", encoding="utf-8"):
            pass
        self.process = subprocess.Popen([*bench.trace.words(), *options, *words], stdin=stdin,
                                        stdout=self.out, stderr=self.err,
                                        env=bench.environment(**(env or {})))

    def log(self):
        with open(self.bench.trace.path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def code(self):
        """How the command itself ended, though a keeper of it may go on."""
        end, ended = time.monotonic() + PATIENCE, None
        while not ended:
            log = self.log()
            first = re.match(r"\d+", log)
            ended = first and re.search(
                rf"^{first[0]} +\+\+\+ (exited with (\d+)|killed by (\w+))", log, re.M)
            assert self.process.poll() is None or ended or self.log() != log, f"no end: {log[-300:]}"
            assert time.monotonic() < end, f"it hangs: {log[-300:]}"
            os.sched_yield()
        return int(ended[2]) if ended[2] else ended[3]

    def said(self):
        parts = []
        for file in (self.out, self.err):
            file.seek(0)
            parts.append(file.read().decode(errors="replace"))
        return parts

    def still_there(self):
        """The pids of what was traced and is not over."""
        log = self.log()
        pids = set(re.findall(r"^(\d+) ", log, re.M))
        return [int(pid) for pid in pids - set(re.findall(r"^(\d+) +\+\+\+", log, re.M))
                if self.is_traced(pid)]

    def is_traced(self, pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                return f"TracerPid:\t{self.process.pid}\n" in file.read()
        return False

    def end(self):
        """With whatever stays behind of it."""
        while self.process.poll() is None:
            for pid in self.still_there():
                with contextlib.suppress(OSError):
                    os.kill(pid, 9)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.2)
        self.out.close()
        self.err.close()

    def must_end(self, about):
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{about}: somebody stays behind") from None


def evenly(things, most):
    if len(things) <= most:
        return things
    return [things[i * len(things) // most] for i in range(most)]


def points_of(bench, calls):
    """Each call from the first that touches the store, as name, number and error. A number is one
    among those of that name in its own process, which is how strace counts."""
    counts, over, found, is_touched, start = {}, set(), {}, False, {}
    for pid, line in calls:
        name = re.match(r"\w+(?=\()", line)
        if not name or pid in over:
            continue
        name = name[0]
        # The job is not ours any more.
        if name == "execve" and counts.get((pid, "execve"), 0) and GPUALLOC not in line \
                and "/proc/self/exe" not in line:
            over.add(pid)
            continue
        counts[pid, name] = counts.get((pid, name), 0) + 1
        if not is_touched and bench.one.path in line and name != "execve":
            is_touched, start = True, {one: count for (_, one), count in counts.items()}
        # Without memory the loader crashes, and a sanitizer without anything that it reads: that is
        # not the command's fault.
        if (SANITIZED or name in MEMORY) and counts[pid, name] <= start.get(name, 0) or \
                SANITIZED and name in MEMORY:
            continue
        if is_touched and name not in NEVER:
            errors = ERRORS.get(name, ["EIO"])
            # A pipe is no device: reading from it may be interrupted, and that is all.
            if name == "read" and re.match(r"read\(\d+<(pipe|socket):", line):
                errors = ["EINTR"]
            found.setdefault((name, counts[pid, name]), errors)
    # Calls that a command repeats while it waits are not tried each time.
    return [(name, number, error) for (name, number), errors in found.items() for error in errors
            if number <= REPEATED]


def points_of_command(bench, words, env=None):
    if SANITIZED:
        raise Skip("a sanitizer makes system calls of its own, and gives up if one fails")
    command = Command(bench, words, env=env)
    try:
        code, said = command.code(), command.said()
        assert code == 0, f"{words}: {code} {said}"
        return points_of(bench, bench.trace.calls())
    finally:
        command.end()


def must_be_clear(about, code, out, err, is_deaf=False):
    """Done, or a sentence and nothing on stdout. is_deaf: it was refused a write, maybe of just that
    sentence."""
    assert code == 0 or code in TROUBLE, f"{about}: ended with {code}: {err}"
    if code != 0:
        assert out == "", f"{about}: {code}, and yet {out!r}"
        assert err or is_deaf, f"{about}: ended with {code} and without a word"


def refuse_each(bench, words, judge, env=None, before=lambda: None, points=None):
    """Runs it once for each point and lets judge(about, code, out, err, command) say what else has
    to hold. Returns what a test says of it."""
    points = points or points_of_command(bench, words, env=env)
    chosen, good = evenly(points, CHOSEN), 0
    for name, number, error in chosen:
        about = f"{words[0].rsplit('/', 1)[-1]} {words[1:2]}, {name} {number}: {error}"
        before()
        command = Command(bench, words, "-e", f"inject={name}:error={error}:when={number}", env=env)
        try:
            code = command.code()
            out, err = command.said()
            must_be_clear(about, code, out, err, name == "write")
            judge(about, code, out, err, command)
            good += code == 0
        finally:
            command.end()
    assert good < len(chosen), f"nothing of {chosen} was ever refused"
    return f"{len(chosen)} of {len(points)} errors, {good} without harm"


@case
def run_is_refused_system_calls():
    with Bench() as bench:
        words = [GPUALLOC, "run", "-n", "2", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; read line; exit 0"]
        points, granted = points_of_command(bench, [*words[:-1], "true"]), 0
        chosen = evenly(points, CHOSEN)
        for name, number, error in chosen:
            about = f"run, {name} {number}: {error}"
            process = subprocess.Popen(
                [*bench.trace.words(), "-e", f"inject={name}:error={error}:when={number}", *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=bench.environment(), text=True)
            said = line_of(process).strip()
            if said:
                assert len(said.split(",")) == 2, f"{about}: {said!r}"
                granted += 1
                bench.must_be_busy(about)
            _, err = process.communicate(timeout=PATIENCE)
            assert (process.returncode == 0) == bool(said), f"{about}: {process.returncode} {err}"
            must_be_clear(about, process.returncode, said, err, name == "write")
            bench.must_be_right(about)
        assert 0 < granted < len(chosen), f"{granted} of {len(chosen)} were granted"
        print("#", f"{len(chosen)} of {len(points)} errors, {granted} granted")


@case
def hold_is_refused_system_calls():
    with Bench() as bench:
        words = [GPUALLOC, "hold", "-n", "2", "--for", "1h"]

        def judge(about, code, out, _, command):
            if code == 0:
                bench.must_be_busy(about)
                result = cli.run("release", out.strip(), env=bench.one.environment())
                assert result.code == 0, f"{about}: {result!r}"
            command.must_end(about)
            bench.must_be_right(about)

        print("#", refuse_each(bench, words, judge))


@case
def getgpu_is_refused_system_calls():
    with Bench() as bench:

        def judge(about, code, out, _, command):
            if code == 0:
                assert out.startswith("GPU-"), f"{about}: {out!r}"
                bench.must_be_busy(about)
            else:
                command.must_end(about)
            command.end()
            bench.must_be_right(about)

        print("#", refuse_each(bench, [GETGPU], judge))


@case
def release_is_refused_system_calls():
    with Bench() as bench:
        held = []

        def hold():
            held.append(cli.ok("hold", "-n", "2", "--for", "1h", env=bench.environment()).strip())
            words[-1] = held[-1]

        def release():
            return cli.run("release", held[-1], env=bench.one.environment())

        def judge(about, code, _, __, command):
            command.must_end(about)
            if code != 0:
                again = release()
                # It may have been done, and only the word of it failed.
                assert again.code == 0 or not bench.one.leases()["leases"], f"{about}: {again!r}"
            bench.must_be_right(about)

        words = [GPUALLOC, "release", ""]
        hold()
        points = points_of_command(bench, words)
        print("#", refuse_each(bench, words, judge, before=hold, points=points))


@case
def setup_is_refused_system_calls():
    with Bench(make=False) as bench:

        def judge(about, code, _, __, command):
            command.must_end(about)
            if code != 0:
                bench.set_up()
            bench.must_be_right(about)

        def remove():
            subprocess.run(["rm", "-rf", bench.one.path], check=True)

        print("#", refuse_each(bench, [GPUALLOC, "setup"], judge, before=remove))


@case
def leases_is_refused_system_calls():
    with Bench() as bench:
        holder = bench.one.hold("-n", "2", "--note", "a note")
        whole = bench.one.leases()["leases"][0]

        def judge(about, code, out, _, command):
            command.must_end(about)
            if code == 0:
                shown = json.loads(out)["leases"]
                # A record that cannot be looked at is as good as none.
                assert len(shown) == 1 and shown[0]["id"] == whole["id"], f"{about}: {out}"
                assert len(shown[0]["devices"]) == len(whole["devices"]) or \
                    shown[0]["note"] == "held, no record", f"{about}: {out}"
            bench.must_be_busy(about)

        print("#", refuse_each(bench, [GPUALLOC, "leases", "--json"], judge))
        assert holder.end() == 0
        bench.must_be_right("after the list")


# ---- memory ----

def starve_each(bench, words, judge, before=lambda: None):
    """Each allocation of the program itself fails in turn, until none did."""
    if SANITIZED:
        raise Skip("the sanitizer has allocations of its own")
    count = allocations_of(bench, words, before)
    chosen = evenly(list(range(count)), ALLOCATIONS)
    for number in chosen:
        about = f"{words[0].rsplit('/', 1)[-1]} {words[1:2]}, allocation {number}"
        before()
        code, out, err = starve(bench, words, number)
        must_be_clear(about, code, out, err)
        if code == 71:
            assert "out of memory" in err, f"{about}: {err!r}"
        judge(about, code, out)
    return f"{len(chosen)} of {count} allocations"


def starve(bench, words, number):
    """In files: a keeper would keep a pipe open that was ours."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=PATIENCE, check=False,
            env=bench.environment(LD_PRELOAD=os.environ["FAILING_MALLOC"], FAIL_AT=str(number),
                                  FAIL_IN=os.path.basename(words[0])))
        for file in (out, err):
            file.seek(0)
        return done.returncode, out.read().decode(), err.read().decode()


def allocations_of(bench, words, before):
    """How many the program or one of its children makes: each says so when it ends."""
    path = os.path.join(bench.folder.name, "counted")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before()
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True, timeout=PATIENCE,
                   env=bench.environment(LD_PRELOAD=os.environ["FAILING_MALLOC"], COUNT_INTO=path,
                                         FAIL_IN=os.path.basename(words[0])))
    with open(path, encoding="ascii") as file:
        return max(int(line) for line in file)


@case
def commands_are_refused_memory():
    with Bench() as bench:

        def free(about, *_):
            bench.end_keepers()
            bench.must_be_right(about)

        def held(about, code, _):
            if code == 0:
                bench.must_be_busy(about)
            free(about)

        print("#", "run", starve_each(bench, [GPUALLOC, "run", "-n", "2", "true"], free))
        print("#", "hold", starve_each(bench, [GPUALLOC, "hold", "-n", "2", "--for", "1h"], held))
        print("#", "getgpu", starve_each(bench, [GETGPU], held))
        bench.end_keepers()


@case
def release_setup_and_leases_are_refused_memory():
    with Bench() as bench:
        words = [GPUALLOC, "release", ""]

        def hold():
            bench.end_keepers()
            words[-1] = cli.ok("hold", "-n", "2", "--for", "1h", env=bench.environment()).strip()

        def released(about, code, _):
            left = bench.one.leases()["leases"]
            assert code != 0 or not left, f"{about}: {left}"
            bench.end_keepers()
            bench.must_be_right(about)

        def in_order(about, code, _):
            if code != 0:
                bench.set_up()
            bench.must_be_right(about)

        def listed(about, code, out):
            assert code != 0 or len(json.loads(out)["leases"]) == 1, f"{about}: {out}"

        print("#", "release", starve_each(bench, words, released, before=hold))
        bench.end_keepers()
        print("#", "setup", starve_each(bench, [GPUALLOC, "setup"], in_order, before=lambda: subprocess.run(
            ["rm", "-rf", bench.one.path], check=True)))
        hold()
        print("#", "leases", starve_each(bench, [GPUALLOC, "leases", "--json"], listed))
        bench.end_keepers()
        bench.must_be_right("in the end")


main()
