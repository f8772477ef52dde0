#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What somebody new does, on a bare Debian 12: a tree made by debootstrap, into which the sources are put
as a release has them. Root builds and installs; ada and bob use what was installed. Everything happens in
a mount, process and host name namespace of its own, so that nothing of it is left on this machine.

newcomer.py SOURCES [STEP…]; needs root and Debian's archive, so it is no part of `make check`. A TREE in
NEWCOMER_TREE is taken as it is instead of making one; steps are demo, check, wheel, deb, install."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

SOURCES, *WANTED = sys.argv[1:]
MIRROR = os.environ.get("NEWCOMER_MIRROR", "http://deb.debian.org/debian")

# Each step is what a person types, in order; later ones build on earlier ones.
STEPS = {
    "demo": ("root", """
        apt-get -qq install -y --no-install-recommends make >/dev/null
        cd /src && make demo | tee /tmp/demo
        grep -q 'running on GPUs' /tmp/demo
    """),
    "check": ("root", """
        cd /src && make check
    """),
    "wheel": ("root", """
        cd /src && make wheel
        apt-get -qq install -y --no-install-recommends python3-venv >/dev/null
        install -D -t /wheel build-wheel/*x86_64.whl
    """),
    "wheel, as ada": ("ada", """
        python3 -m venv "$HOME/venv"
        "$HOME/venv/bin/pip" install --quiet --no-index /wheel/*.whl
        "$HOME/venv/bin/gpualloc" list --machine dgx1-volta
        "$HOME/venv/bin/python" -c '
import gpualloc
machine = gpualloc.machine("dgx1-volta")
print(len(machine.devices), "GPUs")'
        "$HOME/venv/bin/gpualloc" run --machine dgx1-volta --private -n 2 -- env | grep ^CUDA_VISIBLE_DEVICES=
    """),
    "deb": ("root", """
        cd /src && make deb
        apt-get -qq install -y --no-install-recommends ./build-deb/*.deb >/dev/null
        gpualloc setup
        gpualloc setup --check
    """),
    "deb, as ada": ("ada", """
        gpualloc run --machine dgx1-volta -n 2 -- sh -c 'echo $GPUALLOC_LEASE $CUDA_VISIBLE_DEVICES'
        gpualloc hold -q --machine dgx1-volta -n 6 --for 1h
        man gpualloc >/dev/null 2>&1 || true
    """),
    "deb, as bob": ("bob", """
        gpualloc leases --machine dgx1-volta
        if gpualloc run --machine dgx1-volta -n 4 -- true; then exit 1; fi
        gpualloc run --machine dgx1-volta -n 2 -- true
        python3 -c 'import gpualloc; print(len(gpualloc.machine("hgx-h100").devices))'
    """),
    "deb, removed": ("root", """
        gpualloc release --yes $(gpualloc leases --json | python3 -c 'import json, sys
for one in json.load(sys.stdin)["leases"]: print(one["id"])')
        apt-get -qq purge -y 'gpualloc*' 'libgpualloc*' 'python3-gpualloc' >/dev/null
        [ ! -e /usr/bin/gpualloc ] && [ ! -e /run/gpualloc ]
    """),
    "install": ("root", """
        cd /src && make install SETUP=-Dprefix=/usr/local
        ldconfig
        gpualloc version
        gpualloc setup
        cc -o /tmp/sizes examples/sizes.c $(pkg-config --cflags --libs gpualloc)
        /tmp/sizes dgx1-volta | tail -1
    """),
}


INSIDE = "NEWCOMER_INSIDE"  # set where mounts and processes end with us
# Of the machine's own devices the tree has none.
MOUNTS = """
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run"
mount -t tmpfs tmpfs "$1/dev"
mkdir "$1/dev/pts" "$1/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
ln -s pts/ptmx "$1/dev/ptmx"
ln -s /proc/self/fd "$1/dev/fd"
ln -s /proc/self/fd/0 "$1/dev/stdin"
ln -s /proc/self/fd/1 "$1/dev/stdout"
ln -s /proc/self/fd/2 "$1/dev/stderr"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "$1/dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 666 "$1/dev/tty" c 5 0
"""


class Tree:
    """The bare Debian, and one shell at a time in it."""

    def __init__(self, folder):
        self.folder = folder

    def make(self):
        subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", self.folder,
                        MIRROR], check=True, stdout=subprocess.DEVNULL)

    def prepare(self):
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            if os.path.exists(name):
                shutil.copy(name, self.folder + name)
        # This machine may reach Debian's archive in its own way.
        settings = "/etc/apt/apt.conf.d"
        for name in os.listdir(settings):
            if "proxy" in name or "registry" in name:
                shutil.copy(os.path.join(settings, name), self.folder + settings)
        with open(self.folder + "/etc/apt/sources.list", "w", encoding="ascii") as file:
            file.write(f"deb {MIRROR} bookworm main\n")
        archive = subprocess.run(["git", "-C", SOURCES, "archive", "HEAD"], check=True, stdout=subprocess.PIPE)
        os.makedirs(self.folder + "/src", exist_ok=True)
        subprocess.run(["tar", "-x", "-C", self.folder + "/src"], input=archive.stdout, check=True)
        self.run("root", "apt-get -qq update; for name in ada bob; do id $name >/dev/null 2>&1 || useradd -m $name; done")

    def run(self, user, script):
        inside = ["chroot", self.folder, "/bin/bash", "-euo", "pipefail", "-c", script]
        if user != "root":
            inside = ["chroot", self.folder, "/bin/su", "-", user, "-s", "/bin/bash", "-c",
                      "set -euo pipefail\n" + script]
        return subprocess.run(inside, check=False, env={
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive",
            **{name: value for name, value in os.environ.items()
               if name.lower().endswith("_proxy")}}).returncode


def run_steps(folder):
    tree, failed = Tree(folder), 0
    subprocess.run(["sh", "-euc", MOUNTS, "sh", folder], check=True)
    tree.prepare()
    for number, (name, (user, script)) in enumerate(STEPS.items(), 1):
        if WANTED and name.split(",")[0] not in WANTED:
            continue
        begin = time.monotonic()
        code = tree.run(user, script)
        failed += code != 0
        print("ok" if code == 0 else "not ok", number, "-", name,
              f"({time.monotonic() - begin:.0f} s)", flush=True)
    return 1 if failed else 0


def main():
    if INSIDE in os.environ:
        return run_steps(os.environ[INSIDE])
    if os.getuid() != 0 or not shutil.which("debootstrap"):
        print("newcomer: needs root and debootstrap", file=sys.stderr)
        return 69
    with tempfile.TemporaryDirectory(prefix="gpualloc-newcomer-") as where:
        folder = os.environ.get("NEWCOMER_TREE") or os.path.join(where, "tree")
        if not os.path.exists(folder):
            Tree(folder).make()
        # What is mounted there is never seen from here, where the tree is removed.
        return subprocess.run(["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", sys.executable,
                               *sys.argv], check=False, env={**os.environ, INSIDE: folder}).returncode


sys.exit(main())
