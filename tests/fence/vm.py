#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel of Debian's in QEMU, without KVM, and runs tests in there as root. The guest's files
are copies of ours, at the same paths, in an initrd: whatever the tests start, with its libraries.

usage: vm.py [--lsm LIST] [--cpus N] [--set NAME=VALUE] KERNEL BUILD TEST..., where KERNEL is a vmlinuz and
TEST a program that prints TAP, as tests/cli/fence_test.py. The exit status is 0 if all passed, 77 if QEMU is
not there."""
import argparse
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading

from furnish import devices, furnish

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = "/usr/bin/python3"
PROGRAMS = ["cat", "chmod", "cp", "env", "echo", "false", "id", "ln", "ls", "mkdir", "mknod", "mount", "mv",
            "printf", "rm", "setpriv", "setsid", "sh", "sleep", "stat", "true", "umount", "uname", "unshare",
            "poweroff"]
# What a program of ours loads when it is needed, as far as it is here.
LOADED = ["libbpf.so.1", "libgcc_s.so.1", "libnss_files.so.2"]
USERS = {"root": 0, "ann": 1001, "bob": 1002, "eve": 1003, "watcher": 1004}
BUILT = ["cli/gpualloc", "compat/create_cudawrap", "compat/cudawrap", "compat/getgpu", "probe/gpualloc-probe",
         "src/api/libgpualloc.so.1", "tests/cli/old_landlock.so", "tests/fakes/libnvidia-ml.so.1",
         "tests/fence/moved", "tests/fence/opens", "tests/fence/rush"]
GROUPS = {**USERS, "gpualloc-probe": 990, "monitoring": 2001}
# Of Python's library, what no test needs and is large.
LEFT_OUT = re.compile("/(__pycache__|test|tests|idlelib|lib2to3|tkinter|turtledemo|ensurepip|pydoc_data|"
                      "distutils|config-3.*|dist-packages|site-packages)(/|$)")
MINUTES = 30

INIT = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t securityfs security /sys/kernel/security; mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm; mount -t devpts -o ptmxmode=666 terminals /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run; mount -t tmpfs -o mode=1777 tmp /tmp
# Nobody looks for the driver of a node that has none: that would start a program each time.
echo >/proc/sys/kernel/modprobe
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
exec {first}
"""

RUN_TESTS = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
echo "# Linux $(uname -r), lsm $(cat /sys/kernel/security/lsm)"
cd /
for test in {tests}; do
  echo "# $test"
  env {environment} {python} "$test" || echo "not ok 0 - exit status $? of $test"
done
echo END OF TESTS
poweroff -f 2>/dev/null || {python} -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
"""


class Initrd:
    """A cpio archive in the form newc."""

    def __init__(self):
        self.out, self.known, self.number = io.BytesIO(), set(), 0
        self.first = "/run-tests"  # the program that all others come from

    def write(self, path, mode, data=b"", device=(0, 0)):
        name = path.lstrip("/").encode() + b"\0"
        self.number += 1
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0]
        self.out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self.out.write(b"\0" * (-self.out.tell() % 4) + data)
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def folder(self, path, mode=0o755):
        if path in ("", "/") or path in self.known:
            return
        self.folder(os.path.dirname(path))
        self.known.add(path)
        self.write(path, stat.S_IFDIR | mode)

    def file(self, path, data, mode=0o755):
        self.folder(os.path.dirname(path))
        self.known.add(path)
        self.write(path, stat.S_IFREG | mode, data)

    def copy(self, path, left_out=re.compile("/__pycache__$")):
        """The file, and if it is a link what it leads to; folders that are links are followed."""
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if path in self.known or left_out.search(path):
            return
        if os.path.islink(path):
            self.folder(os.path.dirname(path))
            self.known.add(path)
            self.write(path, stat.S_IFLNK | 0o777, os.readlink(path).encode())
            self.copy(os.path.join(os.path.dirname(path), os.readlink(path)))
        elif os.path.isdir(path):
            self.folder(path)
            for name in sorted(os.listdir(path)):
                self.copy(os.path.join(path, name), left_out)
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                self.file(path, file.read(), os.stat(path).st_mode & 0o7777)

    def program(self, path):
        """With the libraries that it is linked to."""
        self.copy(path)
        done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            self.copy(library)

    def save(self, path):
        """As it is: what it takes to unpack it in there is more than what it takes to read it."""
        self.write("TRAILER!!!", 0)
        with open(path, "wb") as file:
            file.write(self.out.getvalue())


def probe_path(build):
    """Where this build's command looks for it."""
    with open(os.path.join(build, "meson-info/intro-buildoptions.json"), encoding="utf-8") as file:
        options = {option["name"]: option["value"] for option in json.load(file)}
    return os.path.join(options["prefix"], options["libexecdir"], "gpualloc/gpualloc-probe")


def make_initrd(kernel, build, tests, settings):
    initrd = Initrd()
    # Debian's /bin and /lib are links.
    for name in ("bin", "lib", "lib64", "sbin"):
        if os.path.islink("/" + name):
            initrd.write(name, stat.S_IFLNK | 0o777, os.readlink("/" + name).encode())
            initrd.known.add("/" + name)
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "etc"):
        initrd.folder("/" + name)
    initrd.write("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for name in PROGRAMS:
        found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if found:
            initrd.program(found)
    initrd.program(PYTHON)
    library = subprocess.run([PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
                             check=True, capture_output=True, text=True).stdout.strip()
    initrd.copy(library, LEFT_OUT)
    for name in os.listdir(os.path.join(library, "lib-dynload")):
        if re.match("_(ctypes|json|socket|struct|posixsubprocess|random|sha|bisect|heapq|queue|hashlib)", name):
            initrd.program(os.path.join(library, "lib-dynload", name))
    for name in ("packaging/profile.d", "tests/cli", "tests/fence", "tests/lease", "tests/machines/files",
                 "tests/promise", *tests):
        initrd.copy(os.path.join(ROOT, name))
    for name in BUILT:
        initrd.program(os.path.join(build, name))
    initrd.copy(os.path.join(build, "tests/fakes"))
    initrd.file("/etc/passwd", "".join(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid
                                       in USERS.items()).encode(), 0o644)
    initrd.file("/etc/group", "".join(f"{name}:x:{gid}:\n" for name, gid in GROUPS.items()).encode(), 0o644)
    for name in LOADED:
        path = os.path.join("/lib", sysconfig.get_config_var("MULTIARCH"), name)
        if os.path.exists(path):
            initrd.program(path)
    furnish(initrd, tests, build, kernel)
    environment = {"GPUALLOC": os.path.join(build, "cli/gpualloc"),
                   "LIBGPUALLOC": os.path.join(build, "src/api/libgpualloc.so.1"),
                   "MOVED": os.path.join(build, "tests/fence/moved"),
                   "OPENS": os.path.join(build, "tests/fence/opens"),
                   "PROBE": os.path.join(build, "probe/gpualloc-probe"),
                   "PROBE_PATH": probe_path(build),
                   "RUSH": os.path.join(build, "tests/fence/rush"),
                   "TEST_ROOT": os.path.join(ROOT, "tests"),
                   "PYTHONPATH": os.path.join(ROOT, "tests/cli") + ":" + os.path.join(ROOT, "tests/fence"),
                   "COMPAT": os.path.join(build, "compat"),
                   "FAKE_DIR": os.path.join(build, "tests/fakes"),
                   "FAKE_NVML": os.path.join(build, "tests/fakes/libnvidia-ml.so.1"),
                   "OLD_LANDLOCK": os.path.join(build, "tests/cli/old_landlock.so"), **settings}
    initrd.file("/init", INIT.format(first=initrd.first).encode())
    initrd.file("/run-tests", RUN_TESTS.format(
        tests=" ".join(tests), python=PYTHON,
        environment=" ".join(f"{name}={value}" for name, value in environment.items())).encode())
    return initrd


# With one processor the clock counts instructions: idle time costs nothing, and a slow machine outside
# is not slow inside. Several run side by side, as real ones do.
def how_fast(cpus, shift):
    if cpus == 1:
        return ["-accel", "tcg", "-icount", f"shift={shift},sleep=off"]
    return ["-accel", "tcg,thread=multi", "-smp", str(cpus)]


def boot(kernel, initrd, lsm, cpus, shift, more, hardware):
    """What the guest prints, which is shown while it does."""
    words = ["qemu-system-x86_64", *how_fast(cpus, shift), "-cpu", "max", "-m", "1024", "-no-reboot",
             "-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none", *hardware,
             "-kernel", kernel, "-initrd", initrd, "-append", f"console=ttyS0 {more} panic=-1 lsm={lsm}"]
    shown = []
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as process:
        alarm = threading.Timer(60 * MINUTES, process.kill)
        alarm.start()
        try:
            for line in process.stdout:
                shown.append(line)
                # Before that, the firmware clears screens.
                if shown[0].startswith("# Linux"):
                    print(line, end="", flush=True)
                elif "# Linux" in line:
                    shown = [line[line.index("# Linux"):]]
                    print(shown[0], end="", flush=True)
        finally:
            alarm.cancel()
            process.kill()
    return "".join(shown)


def run(kernel, build, tests, lsm, cpus=1, shift="auto", settings=None, more="quiet"):
    with tempfile.TemporaryDirectory(prefix="gpualloc-vm-") as where:
        initrd = os.path.join(where, "initrd")
        make_initrd(os.path.abspath(kernel), os.path.abspath(build), [os.path.abspath(test) for test in tests],
                    settings or {}).save(initrd)
        return boot(kernel, initrd, lsm, cpus, shift, more, devices(tests))


def is_good(shown):
    return "END OF TESTS" in shown and re.search("^ok ", shown, re.M) and "\nnot ok " not in shown


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lsm", default="landlock,bpf")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--kernel-words", default="quiet")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("kernel")
    parser.add_argument("build")
    parser.add_argument("tests", nargs="+")
    given = parser.parse_args()
    if not shutil.which("qemu-system-x86_64"):
        print("SKIP: no qemu-system-x86_64 here")
        return 77
    settings = dict(word.split("=", 1) for word in given.set)
    shown = run(given.kernel, given.build, given.tests, lsm=given.lsm, cpus=given.cpus, settings=settings,
                more=given.kernel_words)
    return 0 if is_good(shown) else 1


if __name__ == "__main__":
    sys.exit(main())
