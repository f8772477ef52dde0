# SPDX-License-Identifier: Apache-2.0
"""What the tests of leasing share: their own store, holders that say when they hold and end
when they are told to, and a terminal to read and type on. Nothing here sleeps: all waiting is
reading from a pipe or waiting for a process."""
import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile

import cli
from cli import GPUALLOC, environment

PATIENCE = 60  # seconds after which an expected event counts as hanging
# Short times, to be tried one after the other: on a busy machine what is to happen before the time is up
# may need longer than the first.
TIMES = ("50ms", "250ms", "1250ms", "6s", "30s")


def line_of(process):
    """The first line that it prints."""
    if not select.select([process.stdout], [], [], PATIENCE)[0]:
        raise AssertionError("not a word")
    return process.stdout.readline()


def until_it_is(process, name):
    """Waits until a process has become that program: a shell says something before it does."""
    while True:
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            if file.read().split(b"\0")[0].decode() == name:
                return
        assert process.poll() is None, f"it has ended and never was {name}"


class Holder:
    """A command in a lease. It has said that it runs; end() lets it go, kill() does not ask."""

    def __init__(self, store, words, command, env=None, machine=True, before=(), **options):
        spec = ["--machine", store.machine] if machine else []
        self.process = subprocess.Popen(
            [*before, GPUALLOC, "run", *spec, *words, *command],
            env=store.environment(**(env or {})), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, **options)
        try:
            self.said = line_of(self.process).strip()
        except AssertionError:  # nobody would end it, and it may still write to the store
            self.process.kill()
            self.process.communicate()
            raise
        if not self.said:
            raise AssertionError(f"{words}: {self.process.communicate()[1]}")

    def end(self):
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(timeout=PATIENCE)  # and only then is its input closed
        return self.end()


HOLD = ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES; read line; exit 0"]


# Starts what is named without the lease's descriptor, as Python does, and ends once that runs.
LEAVE_BEHIND = ["python3", "-c", "import subprocess, sys; child = subprocess.Popen(sys.argv[1:], "
                "stdout=subprocess.PIPE, text=True); print(child.stdout.readline(), flush=True)"]


class Store:
    def __init__(self, where, machine="dgx1-volta"):
        self.where, self.machine, self.holders = where, machine, []
        self.path = os.path.join(where, "store")

    def environment(self, **more):
        return environment(**{"GPUALLOC_STATE_DIR": self.path, **more})

    def run(self, *words, env=None, **options):
        return cli.run("run", "--machine", self.machine, *words,
                       env={"GPUALLOC_STATE_DIR": self.path, **(env or {})}, **options)

    def ok(self, *words, **options):
        result = self.run(*words, **options)
        # Whether it has to wait is often a matter of time.
        unexpected = [line for line in result.err.splitlines() if
                      not any(word.startswith("--wait") for word in words) or
                      not line.startswith("gpualloc: waiting")]
        assert result.code == 0 and not unexpected, f"{words}: {result!r}"
        return result.out

    def refused(self, code, *words, says=(), **options):
        result = self.run(*words, **options)
        assert result.code == code and result.raw == b"", f"{words}: not {code}: {result!r}"
        for part in says:
            assert part in result.err, f"{words}: no {part!r} in {result!r}"
        return result.err

    def hold(self, *words, command=HOLD, **options):
        self.holders.append(Holder(self, words, command, **options))
        return self.holders[-1]

    def leave_behind(self, outer, *inner):
        """A lease within a lease that has ended; its holder's end() ends it too."""
        command = [*LEAVE_BEHIND, GPUALLOC, "run", "--machine", self.machine, *inner,
                   "sh", "-c", "echo in; read line; exit 0"]
        holder = self.hold(*outer, command=command)
        assert holder.said == "in" and holder.process.wait(timeout=PATIENCE) == 0, holder.said
        return holder

    def ask(self, *words):
        return cli.ok(*words, env={"GPUALLOC_STATE_DIR": self.path})

    def leases(self):
        return json.loads(self.ask("leases", "--json"))

    def is_free(self):
        """Whether nobody holds or waits for anything, as a newcomer sees it."""
        leases = self.leases()
        return not leases["leases"] and not leases["waiting"] and \
            self.run("-n", "8", "true").code == 0

    def files(self):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.path)
                      for name in names)

    def remove(self):
        """With everybody who still holds something in it."""
        for holder in self.holders:
            if holder.process.poll() is None:
                holder.process.kill()
                holder.process.communicate()
        shutil.rmtree(self.where)


@contextlib.contextmanager
def store(machine="dgx1-volta"):
    where = tempfile.mkdtemp(prefix="gpualloc-test-")
    one = Store(where, machine)
    try:
        yield one
    finally:
        one.remove()


def variables(text):
    """What `env -0` printed, as a list of pairs: a name may wrongly be there twice."""
    return [tuple(entry.split("=", 1)) for entry in text.split("\0") if entry]


class Terminal:
    """A program on its own terminal, as the leader of its session."""

    def __init__(self, *words, env):
        self.shown = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, env)

    def type(self, text):
        os.write(self.master, text.encode())

    def read_part(self):
        if not select.select([self.master], [], [], PATIENCE)[0]:
            raise AssertionError(f"nothing more after {self.shown!r}")
        try:
            part = os.read(self.master, 65536)
        except OSError:  # nobody has the other end any more
            part = b""
        self.shown += part.decode(errors="replace")
        return part

    def until(self, pattern):
        """Reads until the pattern appears; forgets the text before it."""
        while not (found := re.search(pattern, self.shown)):
            if not self.read_part():
                raise AssertionError(f"no {pattern!r} in {self.shown!r}")
        self.shown = self.shown[found.end():]
        return found

    def end(self):
        """Its exit status as a shell sees it, once it has ended by itself."""
        while self.read_part():
            pass
        os.close(self.master)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code if code >= 0 else 128 - code
