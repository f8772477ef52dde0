#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Anybody who may lease may also write to the ledger, because the kernel requires it for locking. What they
write harms no lease, delays nobody, is reported and is emptied. Nothing else in the store that belongs to
root can be written to or renamed by users."""
import os
import subprocess
import sys

import cli
from cli import Skip, case, main
from people import python, shared_store, two_people

WRITE = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for number in range(16):
    os.write(fd, bytes(1 << 16))
"""

TAMPER = """
import os, sys
for path in sys.argv[2:]:
    for name, attempt in (("write", lambda: os.close(os.open(path, os.O_WRONLY))),
                          ("truncate", lambda: os.truncate(path, 0)),
                          ("link", lambda: os.link(path, sys.argv[1] + "/" + os.path.basename(path)))):
        try:
            attempt()
            print(name, os.path.basename(path))
        except OSError:
            pass
"""

# A write that the kernel cannot finish: the page it is to copy never comes.
STUCK = """
import ctypes, fcntl, mmap, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
faults = libc.syscall(323, os.O_CLOEXEC)
if faults < 0:
    sys.exit("no userfaultfd")
fcntl.ioctl(faults, 0xc018aa3f, struct.pack("QQQ", 0xaa, 0, 0))
page = libc.mmap(None, 4096, 3, 0x22, -1, 0)
fcntl.ioctl(faults, 0xc020aa00, struct.pack("QQQQ", page, 4096, 1, 0))
fd = os.open(sys.argv[1], os.O_RDWR)
print("writes", flush=True)
libc.write(fd, page, 4096)
"""


def check(one):
    return cli.run("setup", "--check", env={"GPUALLOC_STATE_DIR": one.path})


@case
def writing_is_reported_and_emptied_and_harms_no_lease():
    with two_people() as (ada, bob), shared_store() as one:
        ledger = os.path.join(one.path, "ledger")
        holder = one.hold("-n", "4", **ada.as_them())
        subprocess.run([python(bob), "-c", WRITE, ledger], check=True, **bob.as_them())
        assert os.stat(ledger).st_size == 1 << 20
        result = check(one)
        assert result.code == 77 and "1048576 bytes" in result.err, result
        one.ok("-n", "4", "true", **bob.as_them())
        cli.ok("setup", env={"GPUALLOC_STATE_DIR": one.path})
        assert os.stat(ledger).st_size == 0
        assert check(one).code == 0
        one.refused(75, "-n", "5", "true", **bob.as_them())  # the lease is where it was
        assert holder.end() == 0 and one.is_free()


@case
def nothing_else_that_root_owns_can_be_written_to_or_linked():
    with open("/proc/sys/fs/protected_hardlinks", encoding="ascii") as file:
        is_protected = file.read().strip() == "1"
    with two_people() as (_, bob), shared_store() as one:
        paths = [os.path.join(one.path, name) for name in sorted(os.listdir(one.path))
                 if name not in ("ledger", "records", "queue")]
        assert paths == [os.path.join(one.path, "arbiter")], paths
        done = subprocess.run([python(bob), "-c", TAMPER, os.path.join(one.path, "records"), *paths],
                              check=True, capture_output=True, text=True, **bob.as_them())
        allowed = [] if is_protected else ["link arbiter"]
        assert done.stdout.splitlines() == allowed, done.stdout


@case
def a_write_that_never_ends_holds_up_nobody():
    """Where it would hold them up: a FIFO, whose every open and close waits for the same mutex."""
    if os.geteuid() != 0 or os.uname().machine != "x86_64":
        raise Skip("only root has a userfaultfd, and its number is that of x86-64")
    with two_people() as (ada, _), shared_store() as one:
        held = one.hold("-n", "1", **ada.as_them())
        child = subprocess.Popen([sys.executable, "-c", STUCK, os.path.join(one.path, "ledger")],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if child.stdout.readline() != "writes\n":
                raise Skip(child.communicate()[1].strip()[-100:])
            while not is_writing(child):
                assert child.poll() is None, child.communicate()
            one.ok("-n", "7", "true", **ada.as_them())
            assert held.end() == 0
            one.ok("-n", "8", "true", **ada.as_them())
            assert is_writing(child)
        finally:
            child.kill()
            child.communicate()


def is_writing(child):
    with open(f"/proc/{child.pid}/syscall", encoding="ascii") as file:
        return file.read().split()[0] == "1"


main()
