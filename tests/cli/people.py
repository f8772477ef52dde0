# SPDX-License-Identifier: Apache-2.0
"""Two real users, made for a test and removed with it, and the store that root makes for them."""
import contextlib
import fcntl
import itertools
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

import cli
from cli import GPUALLOC, Skip
from leasing import Store


PAIRS = itertools.count()  # several may live at once


class Person:
    """somebody.as_them() are the options of subprocess that make a child theirs."""

    def __init__(self, name, uid, gid, umask):
        self.name, self.uid, self.gid, self.umask = name, uid, gid, umask

    def as_them(self, **more):
        return {"user": self.uid, "group": self.gid, "extra_groups": [], "umask": self.umask,
                "cwd": "/", **more}


def add_user(name):
    done = subprocess.run(["useradd", "--system", "--no-create-home", "--no-user-group", "--shell",
                           "/bin/false", name], capture_output=True, check=False)
    return done.returncode == 0


def free_uid(above):
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(above, above + 100000) if uid not in taken)


@contextlib.contextmanager
def one_at_a_time():
    """Tests run side by side but share one list of users. This file serves as the lock."""
    with open(__file__, encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def can_run(somebody):
    try:
        done = subprocess.run([GPUALLOC, "version"], capture_output=True, check=False,
                              **somebody.as_them())
    except PermissionError:  # a folder above it is closed to them
        return False
    return done.returncode == 0


@contextlib.contextmanager
def two_people():
    """Without useradd, two numbers that nobody has will do."""
    if os.geteuid() != 0:
        raise Skip("only root can be two other users")
    number = f"{os.getpid()}-{next(PAIRS)}"
    names = [f"gpualloc-{word}-{number}" for word in ("ada", "bob")]
    made, people = [], []
    try:
        for name, umask in zip(names, (0o077, 0o022)):
            with one_at_a_time():
                is_made = bool(shutil.which("useradd")) and add_user(name)
            if is_made:
                made.append(name)
                entry = pwd.getpwnam(name)
                people.append(Person(name, entry.pw_uid, entry.pw_gid, umask))
            else:
                uid = free_uid(61000 + 10 * len(people) + os.getpid() % 1000)
                people.append(Person(f"uid {uid}", uid, uid, umask))
        if not can_run(people[0]):
            raise Skip("other users cannot run what was built here")
        yield people
    finally:
        for name in made:
            with one_at_a_time():
                subprocess.run(["userdel", name], capture_output=True, check=False)


@contextlib.contextmanager
def shared_store(machine="dgx1-volta"):
    """Made by `gpualloc setup` as root, with a umask that would shut everybody out."""
    where = tempfile.mkdtemp(prefix="gpualloc-test-")
    os.chmod(where, 0o755)
    one = Store(where, machine)
    try:
        done = subprocess.run([GPUALLOC, "setup"], env=one.environment(), capture_output=True,
                              check=False, umask=0o077)
        assert done.returncode == 0, done
        yield one
    finally:
        one.remove()


def python(person):
    """An interpreter that they may run; the tests' own may lie in a folder of root's."""
    for path in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([path, "-c", "import os; os.pidfd_open"], capture_output=True,
                              check=False, **person.as_them()).returncode == 0:
                return path
        except OSError:
            pass
    raise Skip("other users have no Python here")


def ask(one, person, *words, env=None):
    return cli.ok(*words, env={"GPUALLOC_STATE_DIR": one.path, **(env or {})}, **person.as_them())
