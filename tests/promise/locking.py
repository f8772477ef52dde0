# SPDX-License-Identifier: Apache-2.0
"""Shared by the promise tests: somebody who locks the ledger by hand, and a command that is stopped just
before it claims."""
import contextlib
import os
import shutil
import signal
import subprocess

from cli import GPUALLOC, Skip
from leasing import PATIENCE, line_of
from people import python

IDS = 1 << 62  # where the ledger has the byte of lease 0
LOCK = r"""
import fcntl, os, struct, sys, ctypes
path, kind, at, dumpable = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
fd = os.open(path, os.O_RDONLY if kind == "read" else os.O_RDWR)
lock = fcntl.F_RDLCK if kind == "read" else fcntl.F_WRLCK
if not dumpable:
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
fcntl.fcntl(fd, 37, struct.pack("hhqqiq", lock, 0, at, 1, 0, 0))
print("locked", flush=True)
sys.stdin.read()
"""


class Anybody:
    """The user who runs the tests, as a person."""

    name = "anybody"

    @staticmethod
    def as_them(**more):
        return more


@contextlib.contextmanager
def locked_id(one, lease, kind, person, env=None, dumpable=True):
    """Somebody has locked the byte of a lease that is not theirs."""
    words = [python(person), "-c", LOCK, os.path.join(one.path, "ledger"), kind,
             str(IDS + int(lease, 16)), str(int(dumpable))]
    child = subprocess.Popen(words, env={**os.environ, **(env or {})}, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, **person.as_them())
    try:
        assert line_of(child) == "locked\n"
        yield child
    finally:
        child.communicate(timeout=PATIENCE)


def ended_lease(one, *words, env=None, **options):
    """The id of a lease whose holder was killed: its record is still there."""
    holder = one.hold(*words, command=["sh", "-c", "echo $GPUALLOC_LEASE; read line"], env=env,
                      **options)
    holder.kill()
    return holder.said


class Stopped:
    """A command that is stopped at its nth call of that name, and makes the call when it goes on. `at` tells
    from its open files whether it has got there."""

    def __init__(self, one, call, nth, at, *words, env=None, **options):
        strace = shutil.which("strace")
        if not strace or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True,
                                        check=False).returncode != 0:
            raise Skip("no strace, or it may not trace")
        stops = ["-e", f"trace={call}", "-e", f"inject={call}:signal=STOP:when={nth}"]
        more = {"ASAN_OPTIONS": "detect_leaks=0", **(env or {})}
        self.at = at
        self.process = subprocess.Popen([strace, "-o", "/dev/null", *stops, GPUALLOC, *words],
                                        env=one.environment(**more), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, **options)
        while not (pid := self.stopped()):
            assert self.process.poll() is None, self.process.communicate()
        self.pid = pid

    def stopped(self):
        me = self.process.pid
        with open(f"/proc/{me}/task/{me}/children", encoding="utf-8") as file:
            children = file.read().split()
        for child in children:
            with contextlib.suppress(OSError):
                with open(f"/proc/{child}/stat", encoding="utf-8") as file:
                    state = file.read().rsplit(")", 1)[1].split()[0]
                # strace itself stops a new child for a moment.
                if state in "Tt" and self.has_come(child):
                    return int(child)
        return None

    def has_come(self, pid):
        return self.at([os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")])

    def go(self):
        os.kill(self.pid, signal.SIGCONT)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


def before_claiming(one, *words, **options):
    """A run that has looked at everything and is stopped where it takes the arbiter."""
    return Stopped(one, "flock", 1, lambda files: any(f.endswith("/arbiter") for f in files), "run",
                   "--machine", one.machine, *words, **options)
