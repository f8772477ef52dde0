#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A kernel without close_range(), or a filter that forbids it: no process that outlives a command, or that
may hang, goes on holding what the command's caller has open. A seccomp filter plays that kernel."""
import contextlib
import ctypes
import fcntl
import os
import shutil
import stat
import struct
import subprocess

import cli
from cli import GPUALLOC, Skip, case, main
from leasing import PATIENCE, store

CLOSE_RANGE, ENOSYS, EPERM = 436, 38, 1  # its number is the same on every machine
LOAD, SKIP_UNLESS, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7fff0000, 0x00050000
NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def without_close_range(error):
    """Run in the child before it becomes a program: from then on the call fails with this error."""
    steps = [(LOAD, 0, 0, 0), (SKIP_UNLESS, 0, 1, CLOSE_RANGE), (RETURN, 0, 0, FAIL | error),
             (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))

    def install():
        if LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or LIBC.prctl(SET_SECCOMP, FILTER, program, 0, 0):
            raise OSError(ctypes.get_errno(), "no seccomp filter")
    install.code = code  # it is alive as long as the function
    return install


def check_filter():
    asks = ["python3", "-c", "import ctypes; raise SystemExit(ctypes.CDLL(None, use_errno=True)."
            f"syscall({CLOSE_RANGE}, 900, 900, 0) == 0)"]
    try:
        done = subprocess.run(asks, preexec_fn=without_close_range(ENOSYS), check=False)
    except subprocess.SubprocessError as error:
        raise Skip("no seccomp filters here") from error
    assert done.returncode == 0, "the filter does nothing"


@contextlib.contextmanager
def inherited(one):
    """The ledger at a high number, as a lease has it, which commands inherit."""
    low = os.open(os.path.join(one.path, "ledger"), os.O_RDWR)
    high = fcntl.fcntl(low, fcntl.F_DUPFD, 700)
    os.close(low)
    try:
        yield high
    finally:
        os.close(high)


def open_files(pid):
    folder = f"/proc/{pid}/fd"
    found = {}
    for name in os.listdir(folder):
        # A keeper may close something between the list and the look.
        with contextlib.suppress(FileNotFoundError):
            found[int(name)] = os.readlink(f"{folder}/{name}")
    return found


def keeper(one):
    lease, = one.leases()["leases"]
    return lease["pid"]


def keeps_nothing(one, fd, words, program, error):
    env = one.environment(GPUALLOC_MACHINE=one.machine, GPUALLOC_HOLD="1h")
    done = subprocess.run(words, env=env, pass_fds=[fd], capture_output=True, text=True,
                          timeout=PATIENCE, check=False, preexec_fn=without_close_range(error))
    assert done.returncode == 0, done
    pid = keeper(one)
    try:
        found = open_files(pid)
        ledgers = [name for name in found.values() if name.endswith("/ledger")]
        assert fd not in found and len(ledgers) == 1, (program, found)
    finally:
        os.kill(pid, 9)
        with contextlib.suppress(ProcessLookupError):
            os.close(os.pidfd_open(pid))
    while one.leases()["leases"]:
        pass


@case
def keepers_hold_nothing_that_their_callers_had_open():
    check_filter()
    with store() as one:
        one.ok("true")
        with inherited(one) as fd:
            for error in (ENOSYS, EPERM):
                hold = [GPUALLOC, "hold", "-q", "--for", "1h"]
                keeps_nothing(one, fd, hold, "hold", error)
                keeps_nothing(one, fd, [os.path.join(os.environ["COMPAT"], "getgpu")], "getgpu",
                              error)


def fake_tool(one):
    """An nvidia-smi that only reports what it has open."""
    folder = os.path.join(one.where, "bin")
    os.mkdir(folder)
    path, told = os.path.join(folder, "nvidia-smi"), os.path.join(one.where, "told")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nls /proc/$$/fd >'{told}'\nexit 9\n")
    os.chmod(path, stat.S_IRWXU)
    return {"PATH": folder + ":" + os.environ["PATH"], "GPUALLOC_STATE_DIR": one.path}, told


@case
def asking_the_driver_holds_nothing():
    check_filter()
    with store() as one:
        one.ok("true")
        env, told = fake_tool(one)
        with inherited(one) as fd:
            cli.run("list", "--machine", "nvidia-smi", env=env, pass_fds=[fd],
                    preexec_fn=without_close_range(ENOSYS))
            with open(told, encoding="utf-8") as file:
                numbers = [int(number) for number in file.read().split()]
            # The shell itself reads its script at a number from 3 on, and may keep it at 10.
            assert fd not in numbers and max(numbers) < 32, numbers


@case
def without_proc_as_well_it_is_refused():
    check_filter()
    if cli.is_sanitized():
        raise Skip("the sanitizer needs /proc itself")
    if not shutil.which("unshare"):
        raise Skip("no unshare")
    private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    cover = [*private, "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "-"]
    if subprocess.run([*cover, "true"], capture_output=True, check=False).returncode != 0:
        raise Skip("no mount namespaces here")
    with store() as one:
        one.ok("true")
        env, told = fake_tool(one)
        env["GPUALLOC_MACHINE"] = one.machine
        for words, status in ((["list", "--machine", "nvidia-smi"], None),
                              (["hold", "--for", "1h"], 74)):
            done = subprocess.run([*cover, GPUALLOC, *words], env=cli.environment(**env),
                                  capture_output=True, text=True, timeout=PATIENCE, check=False,
                                  preexec_fn=without_close_range(ENOSYS))
            assert done.returncode == status or (status is None and done.returncode), done
            assert "close_range()" in done.stderr and done.stdout == "", done
        assert not os.path.exists(told)
        assert one.leases()["leases"] == []


main()
