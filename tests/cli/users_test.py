#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two real users on one store: the second leases just like the first, and neither can touch what
the other has."""
import contextlib
import json
import os
import subprocess

import cli
from cli import GPUALLOC, Skip, case, main
from leasing import HOLD
from people import ask, python, shared_store, two_people

# What somebody tries with the store and with another's process. It prints what came through.
ATTACK = r"""
import ctypes, fcntl, os, struct, sys
store, pid = sys.argv[1], int(sys.argv[2])
mine = os.path.join(sys.argv[3], "mine")

def attempt(name, path, function):
    try:
        function(path)
        print(name, path[len(store):], flush=True)
    except OSError:
        pass

def opened(flags):
    return lambda path: os.close(os.open(path, flags | os.O_NONBLOCK))

def locked(path):
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(fd, 37, struct.pack("hhqqiq", fcntl.F_WRLCK, 0, 0, 0, 0, 0))

files = [os.path.join(at, name) for at, _, names in os.walk(store) for name in names]
folders = [at for at, _, _ in os.walk(store)]
for path in files:
    attempt("lock", path, locked)
    attempt("chmod", path, lambda p: os.chmod(p, 0))
    attempt("chown", path, lambda p: os.chown(p, os.geteuid(), -1))
    attempt("utime", path, lambda p: os.utime(p, (1, 1)))
    attempt("truncate", path, lambda p: os.truncate(p, 0))
    attempt("write", path, opened(os.O_WRONLY))
    attempt("create", path, opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    attempt("create-new", path, opened(os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    attempt("rename", path, lambda p: os.rename(p, p + "x"))
    attempt("unlink", path, os.unlink)
    open(mine, "w").close()
    attempt("replace", path, lambda p: os.rename(mine, p))
for path in folders:
    attempt("chmod", path, lambda p: os.chmod(p, 0))
    attempt("rename", path, lambda p: os.rename(p, p + "x"))
    attempt("rmdir", path, os.rmdir)
attempt("put", store + "/new", lambda p: os.mkdir(p))
libc = ctypes.CDLL(None, use_errno=True)
def syscall(*words):
    if libc.syscall(*words) < 0:
        raise OSError(ctypes.get_errno(), "")
def take_descriptors(path):
    one = os.pidfd_open(pid)
    for fd in range(500, 600):
        try:
            syscall(438, one, fd, 0)
            return
        except OSError:
            pass
    raise OSError
attempt("kill", store, lambda p: os.kill(pid, 9))
attempt("take", store, take_descriptors)
attempt("look", store, lambda p: os.listdir(f"/proc/{pid}/fd"))
"""

# The ledger is for everybody to open, and what is in it is never read.
HARMLESS = {("truncate", "/ledger"), ("write", "/ledger"), ("create", "/ledger")}


def whose(one, person):
    """Who has what and who waits, as that person sees it."""
    shown = json.loads(ask(one, person, "leases", "--json"))
    return ({(lease["user"], lease["pid"], lease["note"]) for lease in shown["leases"]},
            [(waiter["user"], waiter["pid"]) for waiter in shown["waiting"]])


@contextlib.contextmanager
def waiter(one, person, *words):
    """Somebody in the queue, seen by a third."""
    child = subprocess.Popen([GPUALLOC, "run", "--wait", "--machine", one.machine, *words, *HOLD],
                             env=one.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, **person.as_them())
    try:
        while child.pid not in [waiting["pid"] for waiting in one.leases()["waiting"]]:
            assert child.poll() is None, child.communicate()
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


@case
def the_second_leases_as_well_as_the_first():
    with two_people() as (ada, bob), shared_store() as one:
        first = one.hold("-n", "4", "--note", "hers", **ada.as_them())
        second = one.hold("-n", "4", "--note", "his", **bob.as_them())
        held = sorted((first.said + "," + second.said).split(","))
        assert held == [str(number) for number in range(8)], held
        everybody = {(ada.name, first.process.pid, "hers"), (bob.name, second.process.pid, "his")}
        for person in (ada, bob):
            assert whose(one, person) == (everybody, [])
            one.refused(75, "true", says=["lease"], **person.as_them())
        says = one.refused(75, "--only", first.said, "true", **bob.as_them())
        assert ada.name in says and str(first.process.pid) in says, says
        first.end()
        one.ok("-n", "4", "true", **bob.as_them())
        second.kill()
        for person in (bob, ada, bob):
            one.ok("-n", "8", "true", **person.as_them())
        assert one.is_free()


@case
def waiting_goes_from_one_user_to_the_other():
    with two_people() as (ada, bob), shared_store() as one:
        holder = one.hold("-n", "8", **ada.as_them())
        with waiter(one, bob, "-n", "8") as second, waiter(one, ada, "-n", "8") as third:
            assert whose(one, ada)[1] == [(bob.name, second.pid), (ada.name, third.pid)]
            holder.kill()
            assert second.stdout.readline().count(",") == 7
            second.kill()
            assert third.stdout.readline().count(",") == 7
        assert one.is_free()


@case
def neither_can_touch_what_the_other_has():
    with two_people() as (ada, bob), shared_store() as one:
        holder = one.hold("-n", "8", "--note", "hers", **ada.as_them())
        own = os.path.join(one.where, "own")
        os.mkdir(own)
        os.chown(own, bob.uid, bob.gid)
        with waiter(one, ada, "-n", "1") as waiting:
            before = whose(one, ada), whose(one, bob), one.files()
            words = [python(bob), "-c", ATTACK, one.path, str(holder.process.pid), own]
            done = subprocess.run(words, capture_output=True, text=True, check=False,
                                  **bob.as_them())
            assert done.returncode == 0, done
            came_through = {tuple(line.split(" ", 1)) for line in done.stdout.splitlines()}
            assert came_through <= HARMLESS, came_through - HARMLESS
            assert (whose(one, ada), whose(one, bob), one.files()) == before
            assert before[1] == ({(ada.name, holder.process.pid, "hers")},
                                 [(ada.name, waiting.pid)])
            lease = one.leases()["leases"][0]["id"]
            env = {"GPUALLOC_STATE_DIR": one.path}
            cli.refused(77, "release", lease, env=env, **bob.as_them())
            cli.refused(77, "run", "--in", lease, "true", env=env, **bob.as_them())
            one.refused(75, "true", env={"GPUALLOC_LEASE": lease, "GPUALLOC_FD": "512"},
                        says=["not inside the lease that GPUALLOC_LEASE names"], **bob.as_them())
            one.refused(75, "true", **bob.as_them())
            assert waiting.poll() is None and holder.process.poll() is None
            holder.end()
            assert waiting.stdout.readline().strip()
        assert one.is_free()


@case
def a_hold_is_its_users_own():
    with two_people() as (ada, bob), shared_store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        lease = ask(one, ada, "hold", "--machine", one.machine, "-n", "8", "--for", "1h").strip()
        cli.refused(77, "release", lease, env=env, **bob.as_them())
        cli.refused(77, "run", "--in", lease, "true", env=env, **bob.as_them())
        assert cli.ok("run", "--in", lease, "echo", "in", env=env, **ada.as_them()) == "in\n"
        assert ask(one, ada, "release", lease) == "" and one.is_free()


@case
def files_that_the_kernel_protects_do_no_harm():
    path = "/proc/sys/fs/protected_regular"
    with two_people() as (ada, bob), shared_store() as one:
        try:
            with open(path, encoding="utf-8") as file:
                before = file.read()
            set_to(path, "2")
        except OSError as error:
            raise Skip(f"{path} cannot be set: {error}") from error
        try:
            for person in (ada, bob):
                holder = one.hold("-n", "8", **person.as_them())
                other = bob if person is ada else ada
                with waiter(one, other, "-n", "8") as second:
                    holder.kill()
                    assert second.stdout.readline().count(",") == 7
            assert one.is_free()
        finally:
            set_to(path, before)


def set_to(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


@case
def one_users_dead_leases_do_not_hinder_the_other():
    with two_people() as (ada, bob), shared_store() as one:
        for _ in range(5):
            one.hold("-n", "8", **ada.as_them()).kill()
        assert one.files() != []
        shown = whose(one, bob)
        assert shown == (set(), []), shown
        one.ok("-n", "8", "true", **bob.as_them())
        one.ok("true", **ada.as_them())
        mine = [path for path in one.files() if os.stat(path).st_uid == ada.uid]
        assert len(mine) <= 1, mine  # her next one swept


@case
def an_intruder_is_named():
    with two_people() as (ada, bob), shared_store("nvml") as one:
        machine = os.path.join(one.where, "machine.json")
        env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": machine}
        describe(machine, [])
        holder = one.hold("--only", "0", env=env, **ada.as_them())
        stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE, **bob.as_them())
        try:
            describe(machine, [stranger.pid])
            env["GPUALLOC_STATE_DIR"] = one.path
            device = json.loads(cli.ok("list", "--json", env=env))["devices"][0]
            assert device["state"] == "intruder", device
            text = json.dumps(device)
            for part in (bob.name, str(stranger.pid), ada.name):
                assert part in text, (part, device)
            assert "intruder" in cli.ok("list", env=env, **ada.as_them())
            describe(machine, [holder.process.pid])
            device = json.loads(cli.ok("list", "--json", env=env))["devices"][0]
            assert device["state"] == "leased", device
        finally:
            stranger.communicate()


def describe(path, pids):
    """One GPU with these processes on it; readers find the old one or the new one."""
    processes = [{"pid": pid, "type": "C", "memory": 1 << 30} for pid in pids]
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "name": "one", "source": "nvml", "driver": "580.65.06",
                   "devices": [{"index": 0, "uuid": "GPU-0a0b0000-1111-2222-3333-000000000000",
                                "name": "NVIDIA A40", "pci": "00000000:01:00.0", "minor": 0,
                                "memory": {"total": 48 << 30, "reserved": 0,
                                           "used": len(pids) << 30},
                                "health": "ok", "processes": processes}],
                   "pcie": [["X"]]}, file)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


main()
