#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The units that give the store a small file system of its own. A user who fills the ledger and
records/ fills only that, and others lease as before. The file system is mounted here with the
unit's own options, in a mount namespace of our own that ends with us."""
import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import tempfile

import cli
from cli import GPUALLOC, Skip, case, main
from leasing import Store
from people import python, two_people

UNITS = os.environ["UNITS"].split(":")
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18

# All the room, then all the names.
FILL = """
import os, sys
ledger, records = sys.argv[1:]
fd = os.open(ledger, os.O_RDWR)
try:
    while True:
        os.write(fd, bytes(1 << 20))
except OSError as error:
    print("ledger", error.errno)
try:
    for number in range(1 << 20):
        os.close(os.open(records + "/x" + str(number), os.O_CREAT | os.O_WRONLY))
except OSError as error:
    print("records", error.errno)
"""


def unit(name):
    path = next(path for path in UNITS if os.path.basename(path) == name)
    with open(path, encoding="utf-8") as file:
        return file.read()


def value(text, key):
    return re.search(rf"^{key}=(.*)$", text, re.MULTILINE).group(1)


def leave_mounts_of_others():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or \
            libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) != 0:
        raise Skip(f"no mount namespace to be had here: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def store_of_its_own():
    if os.geteuid() != 0:
        raise Skip("only root can mount")
    leave_mounts_of_others()
    where = tempfile.mkdtemp(prefix="gpualloc-test-")
    os.chmod(where, 0o755)
    one = Store(where)
    os.mkdir(one.path)
    options = value(unit("run-gpualloc.mount"), "Options")
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", one.path],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        try:
            cli.ok("setup", env={"GPUALLOC_STATE_DIR": one.path})
            yield one
        finally:
            subprocess.run(["umount", one.path], check=True)
    finally:
        shutil.rmtree(where)


@case
def who_fills_the_store_fills_nothing_else_and_stops_nobody():
    with two_people() as (ada, bob), store_of_its_own() as one:
        around = os.statvfs(one.where)
        before = one.hold("-n", "3", **ada.as_them())
        done = subprocess.run([python(bob), "-c", FILL, f"{one.path}/ledger", f"{one.path}/records"],
                              stdout=subprocess.PIPE, text=True, check=True, **bob.as_them())
        assert done.stdout == "ledger 28\nrecords 28\n", done.stdout  # ENOSPC
        inside = os.statvfs(one.path)
        assert inside.f_bfree == 0 and inside.f_blocks * inside.f_frsize == 16 << 20, inside
        assert os.statvfs(one.where).f_fsid == around.f_fsid != inside.f_fsid
        # Everybody leases, without a record; and what was held is held.
        after = one.hold("-n", "4", **bob.as_them())
        one.refused(75, "-n", "2", "true", **bob.as_them())
        result = one.run("-n", "1", "true", **ada.as_them())
        assert result.code == 0 and "record" in result.err, result
        assert before.end() == 0 and after.end() == 0
        cli.ok("setup", env={"GPUALLOC_STATE_DIR": one.path})
        assert os.stat(f"{one.path}/ledger").st_size == 0


@case
def a_store_that_is_a_mount_is_removed_and_made_again():
    with store_of_its_own() as one:
        for _ in range(2):
            one.ok("-n", "8", "true")
            cli.ok("setup", "--remove", env={"GPUALLOC_STATE_DIR": one.path})
            assert os.path.ismount(one.path) and os.listdir(one.path) == []
            assert cli.run("setup", "--check", env={"GPUALLOC_STATE_DIR": one.path}).code == 77
            cli.ok("setup", env={"GPUALLOC_STATE_DIR": one.path})


@case
def it_is_mounted_at_boot_only_and_before_anybody_leases():
    mount, service = unit("run-gpualloc.mount"), unit("gpualloc-store.service")
    assert value(mount, "Where") == "/run/gpualloc"
    assert value(mount, "ConditionPathExists") == "!/run/gpualloc/ledger"
    assert value(mount, "RefuseManualStart") == value(mount, "RefuseManualStop") == "yes"
    assert {"mode=0755", "nosuid", "nodev", "noexec"} < set(value(mount, "Options").split(","))
    assert value(service, "Requires") == value(service, "After") == "run-gpualloc.mount"
    assert re.fullmatch(r"/\S+/gpualloc setup", value(service, "ExecStart"))


@case
def systemd_finds_no_fault_with_the_units():
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze here")
    with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as where:
        paths = []
        for name in ("run-gpualloc.mount", "gpualloc-store.service", "gpualloc-fence.service"):
            # It looks whether the program is there.
            text = re.sub(r"(Exec(Start|Reload))=\S+", rf"\1={GPUALLOC}", unit(name))
            paths.append(os.path.join(where, name))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0 and "gpualloc" not in done.stdout, done


main()
