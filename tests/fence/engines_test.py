#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real container engines behind the administrator's fence: podman with runc and with crun. A container is
given the nodes of GPUs by its engine, and so could open them; the fence asks for a lease. In a virtual machine;
see vm.py."""
import contextlib
import os
import shutil
import subprocess
import sys

from behind import (CAPS_MAJOR, FREE, NODES, PERM, STAGE, build_the_scene, command, configure, down, lease, node,
                    settings, up)
from behind import run as run_cases
from cli import GPUALLOC, case
from puppet import libc

MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18
NEEDED = ("podman", "conmon", "busybox")
WHERE = "/tmp/podman"
ROOTFS = WHERE + "/rootfs"
GROUP = "/sys/fs/cgroup/engine"
PATIENCE = 240
# What each GPU's node that is there says to who opens it.
LOOK = """for i in 0 1 2 3 4 5 6 7; do
  if [ -e /dev/nvidia$i ]; then echo $i; (: <>/dev/nvidia$i) 2>&1; fi
done
true"""


def leave_the_first_root():
    """An engine changes its root with pivot_root(2), which the first root of all, an initrd's, does not let: so
    it is mounted once more on itself."""
    os.mkdir("/again")
    libc("mount", b"/", b"/again", None, MS_BIND | MS_REC, None)
    os.chdir("/again")
    libc("mount", None, b"/", None, MS_PRIVATE | MS_REC, None)
    libc("mount", b"/again", b"/", None, MS_MOVE, None)
    os.chroot(".")


def make_files():
    os.makedirs(ROOTFS + "/bin")
    shutil.copy(shutil.which("busybox"), ROOTFS + "/bin/busybox")
    os.symlink("busybox", ROOTFS + "/bin/sh")
    os.makedirs("/var", exist_ok=True)
    os.symlink("/run", "/var/run")  # where podman looks for CDI files
    node("/dev/nvidia-uvm", CAPS_MAJOR - 1, 0)
    command("cdi", "generate", "--output", "/run/cdi/gpualloc.json")


def looked(said):
    """What LOOK has found: {number: whether it could be opened}."""
    lines, texts = said.splitlines(), {True: os.strerror(FREE), False: os.strerror(PERM)}
    found = {int(number): text.endswith(texts[True]) for number, text in zip(lines[::2], lines[1::2])}
    assert all(text.endswith(tuple(texts.values())) for text in lines[1::2]) and len(lines) == 2 * len(found), said
    return found


def podman(runtime):
    return ["podman", "--root", WHERE + "/images", "--runroot", WHERE + "/run", "--tmpdir", WHERE + "/tmp",
            "--runtime", runtime, "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]


def run(*words, code=0, **more):
    done = subprocess.run(words, env=settings(), capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/",
                          timeout=PATIENCE, check=False, **more)
    assert done.returncode == code, (words, done)
    return done.stdout


def container(*words, runtime="runc", script=LOOK, leased=None):
    """Root's, with GPUs that the engine gives it, or those of a lease; what it can open."""
    before = [] if leased is None else [GPUALLOC, "run", "-q", "--only", str(leased), "--container", "--"]
    said = run(*before, *podman(runtime), "run", "--rm", "--network=none", *words, "--rootfs", ROOTFS, "/bin/sh",
               "-c", script)
    return looked(said)


def given(*gpus):
    return [f"--device={NODES[gpu]}" for gpu in gpus]


@contextlib.contextmanager
def fence(*lines):
    configure(*lines)
    up()
    try:
        yield
    finally:
        STAGE.clear()
        down()
        configure()


def with_each_runtime(function):
    for runtime in ("runc", "crun"):
        def one(runtime=runtime):
            function(runtime)
        one.__name__ = f"{function.__name__} ({runtime})"
        one.__doc__ = function.__doc__
        if shutil.which(runtime):
            case(one)
        else:
            print(f"# no {runtime} here", flush=True)
    return function


@with_each_runtime
def a_container_without_a_lease_opens_nothing(runtime):
    """What its engine gives it does not count."""
    assert container(*given(0, 1), runtime=runtime) == {0: True, 1: True}
    with fence():
        assert container(*given(0, 1), runtime=runtime) == {0: False, 1: False}


@with_each_runtime
def the_container_of_a_lease_opens_its_gpu(runtime):
    """All that podman starts descends from the command that has the lease, whoever it is inside."""
    with fence():
        assert container(runtime=runtime, leased=3) == {3: True}
        assert container("--user=4711", runtime=runtime, leased=4) == {4: True}


@case
def an_exempt_control_group_opens_what_anybody_has_leased():
    """Its engine decides which of these; and what nobody has leased stays closed."""
    os.makedirs(GROUP)
    with fence("fence-exempt = cgroup " + GROUP[len("/sys/fs/cgroup"):]):
        lease(5)
        placed = ["--cgroup-parent=" + GROUP[len("/sys/fs/cgroup"):], *given(5, 6)]
        assert container(*placed) == {5: True, 6: False}
        assert container(*given(5, 6)) == {5: False, 6: False}


@case
def a_privileged_container_has_roots_right():
    with fence():
        assert container("--privileged") == dict.fromkeys(range(8), True)


def start():
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        print(f"1..0 # SKIP no {missing[0]} here")
        sys.exit(0)
    build_the_scene()
    leave_the_first_root()
    make_files()


start()
run_cases()
