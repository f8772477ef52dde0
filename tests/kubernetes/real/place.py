# SPDX-License-Identifier: Apache-2.0
"""A place of its own for a cluster: namespaces (mounts, processes, network, name, control groups), a folder
and a control group. Outside of it nothing changes; what is started in it ends with it."""
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ADDRESS = "192.0.2.1"  # the node's: a kubelet does not take 127.0.0.1. It is on the loopback device all the same
NODE = "node-1"
# A kubelet sets these for the whole machine. In here it writes into copies.
TUNABLES = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
            "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"]
NAMESPACES = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]
UNSHARE = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]


def call(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"


def why_not():
    """Why no such place can be made here; None: it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("unshare", "mount", "ip", "openssl"):
        if not shutil.which(program):
            return f"no {program} here"
    done = subprocess.run([*UNSHARE, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else None


# ---- control groups ----

def hierarchies():
    """(kind, options, where it is mounted, where we are in it)."""
    ours = {}
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _, names, path = line.rstrip("\n").split(":", 2)
            ours[names] = path
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            before, after = line.rstrip("\n").split(" - ", 1)
            kind, _, options = after.split()[:3]
            root, mounted = before.split()[3:5]
            if kind == "cgroup2":
                names = ""
            elif kind == "cgroup":
                known = {name for names in ours for name in names.split(",")}
                names = ",".join(name for name in options.split(",") if name in known)
            else:
                continue
            path = next((path for key, path in ours.items() if set(key.split(",")) == set(names.split(","))), None)
            # From within, what was mounted outside begins above our root.
            if path is not None and (root.startswith("/..") or (path + "/").startswith(root.rstrip("/") + "/")):
                found.append((kind, names, mounted, os.path.relpath(path, root)))
    return found


class Groups:
    """A control group of ours in each hierarchy."""

    def __init__(self, name):
        self.folders = []
        for _, names, mounted, path in hierarchies():
            parent = os.path.normpath(os.path.join(mounted, path))
            folder = os.path.join(parent, name)
            os.mkdir(folder)
            self.folders.append(folder)
            if names == "cpuset":
                for file in ("cpuset.cpus", "cpuset.mems"):
                    with open(os.path.join(parent, file), encoding="utf-8") as source:
                        write(os.path.join(folder, file), source.read())

    def enter(self):
        for folder in self.folders:
            write(os.path.join(folder, "cgroup.procs"), str(os.getpid()))

    def remove(self):
        for folder in self.folders:
            for below, _, _ in os.walk(folder, topdown=False):
                self.remove_one(below)

    @staticmethod
    def remove_one(folder):
        """What was in it may just be ending, if all was killed."""
        end = time.monotonic() + 10
        while True:
            try:
                return os.rmdir(folder)
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > end:
                    return print(f"# {folder} stays: {error.strerror}")
            time.sleep(0.05)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# ---- making it ----

def run_inside(words):
    """Runs this program in a new place with these arguments; returns its exit status."""
    where = tempfile.mkdtemp(prefix="gpualloc-real-", dir="/tmp")
    groups = None
    try:
        groups = Groups(os.path.basename(where))
        return subprocess.run([*UNSHARE, sys.executable, *words, "--inside", where], check=False,
                              stdin=subprocess.DEVNULL, preexec_fn=groups.enter).returncode
    finally:
        if groups:
            groups.remove()
        shutil.rmtree(where, ignore_errors=True)


def settle(where):
    """The rest, from within."""
    mounted = [(kind, names) for kind, names, _, _ in hierarchies()]
    make_groups(mounted)
    make_devices()
    for path in ("/run", "/var/lib", "/var/log"):
        call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
    for name in TUNABLES:
        path, copy = os.path.join("/proc/sys", name), os.path.join(where, name.replace("/", "-"))
        if os.path.exists(path):
            shutil.copyfile(path, copy)
            call("mount", "--bind", copy, path)
    socket.sethostname(NODE)
    call("ip", "link", "set", "lo", "up")
    call("ip", "address", "add", ADDRESS + "/32", "dev", "lo")


def make_groups(mounted):
    top = "/sys/fs/cgroup"
    kinds = {kind for kind, _ in mounted}
    if kinds == {"cgroup2"}:
        call("mount", "-t", "cgroup2", "cgroup2", top)
        os.mkdir(top + "/programs")  # a group with groups below it may have no process
        with open(top + "/cgroup.procs", encoding="utf-8") as file:
            for number in file.read().split():
                write(top + "/programs/cgroup.procs", number)
        with open(top + "/cgroup.controllers", encoding="utf-8") as file:
            write(top + "/cgroup.subtree_control", " ".join("+" + name for name in file.read().split()))
        return
    call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", top)
    for kind, names in mounted:
        folder = os.path.join(top, names.replace("name=", "") or "unified")
        os.mkdir(folder)
        call("mount", "-t", kind, *(["-o", ("none," if names.startswith("name=") else "") + names] if names else []),
             "cgroup", folder)


def make_devices():
    nodes = {name: os.stat("/dev/" + name) for name in ("null", "zero", "full", "random", "urandom", "tty", "kmsg")
             if os.path.exists("/dev/" + name)}
    call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev")
    for name, status in nodes.items():
        make_node("/dev/" + name, status.st_rdev)
    for folder, kind, options in (("pts", "devpts", "newinstance,ptmxmode=0666"), ("shm", "tmpfs", "mode=1777"),
                                  ("mqueue", "mqueue", "rw")):
        os.mkdir("/dev/" + folder)
        call("mount", "-t", kind, "-o", options, kind, "/dev/" + folder)
    os.symlink("pts/ptmx", "/dev/ptmx")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink("/proc/self/fd" + target, "/dev/" + name)


def make_node(path, number):
    os.mknod(path, 0o20666, number)
    os.chmod(path, 0o666)


def make_gpus(count):
    """Device nodes without a driver: opening one gives ENXIO where it is allowed and EPERM where it is not."""
    if os.path.exists("/dev/nvidiactl"):
        return
    for name, minor in [*((f"nvidia{i}", i) for i in range(count)), ("nvidiactl", 255), ("nvidia-modeset", 254)]:
        make_node("/dev/" + name, os.makedev(195, minor))
    for minor, name in enumerate(("nvidia-uvm", "nvidia-uvm-tools")):
        make_node("/dev/" + name, os.makedev(511, minor))
