#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real podman with runc: it takes the CDI file, and its containers keep their leases.

All of it runs in a mount namespace of its own, where /run and /dev are ours: the CDI file lies where
podman looks for it, and the GPUs' files are stand-ins."""
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile

from cli import CASES, GPUALLOC, Skip, main, ok
from leasing import PATIENCE, Store

MACHINE = "a100-mig"
NEEDED = ("podman", "runc", "conmon", "busybox", "unshare", "mount")
GROUPS = "/sys/fs/cgroup"
# Without these, runc may not raise what this process itself has not.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
HERE = ["/bin/sh", "-c", "echo here; exec /bin/busybox sleep 1000"]


def why_not():
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        return f"no {missing[0]} here"
    if os.geteuid() != 0:
        return "needs root, for device files and mounts"
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    return f"no mount namespaces: {done.stderr.strip()}" if done.returncode else None


def mount(*words):
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skip(f"cannot mount: {done.stderr.strip()}")


class Podman:
    def __init__(self, where):
        self.where, self.store = where, Store(where, MACHINE)
        self.engine = ["podman", "--root", where + "/images", "--runroot", where + "/podman",
                       "--tmpdir", where + "/tmp", "--runtime", "runc", "--storage-driver=vfs",
                       "--cgroup-manager=cgroupfs", "--events-backend=none"]
        self.before = set(self.groups())
        self.make_places()
        self.make_files()
        self.try_without()
        self.refused_at_first = self.refused("run", says="--output /var/run/cdi/gpualloc.json")
        assert ok("cdi", "generate", "--machine", MACHINE, "--output", "/run/cdi/gpualloc.json") == ""

    @staticmethod
    def make_places():
        """Device files of the real machine stay reachable, under their names."""
        with tempfile.TemporaryDirectory() as real:
            mount("--rbind", "/dev", real)
            mount("-t", "tmpfs", "gpualloc-test", "/dev")
            for name in ("null", "zero", "full", "random", "urandom", "tty"):
                with open("/dev/" + name, "wb"):
                    pass
                mount("--bind", f"{real}/{name}", "/dev/" + name)
            for name in ("pts", "shm", "mqueue"):
                os.mkdir("/dev/" + name)
            mount("--rbind", real + "/pts", "/dev/pts")
            os.symlink("pts/ptmx", "/dev/ptmx")
            os.symlink("/proc/self/fd", "/dev/fd")
            subprocess.run(["umount", "-l", real], check=True)
        mount("-t", "tmpfs", "gpualloc-test", "/run")

    def make_files(self):
        os.mkdir("/dev/nvidia-caps")
        nodes = {"/dev/nvidiactl", "/dev/nvidia-uvm"}
        for line in ok("cdi", "generate", "--machine", MACHINE).split('"'):
            if line.startswith("/dev/nvidia"):
                nodes.add(line)
        for number, path in enumerate(sorted(nodes)):
            try:
                os.mknod(path, 0o020666, os.makedev(1, 3 if number % 2 else 5))
            except PermissionError as error:
                raise Skip("device files cannot be made here") from error
        os.makedirs(self.where + "/rootfs/bin")
        shutil.copy(shutil.which("busybox"), self.where + "/rootfs/bin/busybox")
        for name in ("sh", "ls", "env"):
            os.symlink("busybox", self.where + "/rootfs/bin/" + name)

    def try_without(self):
        """What needs no GPU has to work by itself."""
        done = subprocess.run([*self.engine, "run", "--rm", "--network=none", *LIMITS, *self.rootfs(),
                               "/bin/busybox", "true"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skip(f"podman cannot start a container here: {done.stderr.strip()}")

    @staticmethod
    def groups():
        for name in os.listdir(GROUPS) if os.path.isdir(GROUPS) else []:
            path = os.path.join(GROUPS, name, "libpod_parent")
            if os.path.isdir(path):
                yield path

    def env(self):
        return self.store.environment(XDG_RUNTIME_DIR=self.where, CONTAINER_HOST=None)

    def words(self, *words, asked=()):
        return [GPUALLOC, "run", "-q", "--container", "--machine", MACHINE, *asked, *self.engine,
                "run", "--network=none", *LIMITS, *words]

    def rootfs(self):
        return ["--rootfs", self.where + "/rootfs"]

    def run(self, *words, asked=()):
        return subprocess.run(self.words(*words, asked=asked), env=self.env(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)

    def refused(self, *words, says):
        done = self.run(*words)
        assert done.returncode == 69 and not done.stdout and says in done.stderr, done
        return done

    def ask(self, *words):
        done = subprocess.run([*self.engine, *words], env=self.env(), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done
        return done.stdout

    def is_leased(self):
        return len(self.store.leases()["leases"]) == 1

    def wait_for_end(self):
        """A newcomer gets the device as soon as the lease has ended."""
        self.store.ok("-n", "1", f"--wait={PATIENCE}s", "true")
        assert not self.is_leased()

    def remove(self):
        self.ask("rm", "--all", "--force")
        self.wait_for_monitors()
        for path in set(self.groups()) - self.before:
            for name in os.listdir(path):
                if os.path.isdir(os.path.join(path, name)):
                    with contextlib.suppress(OSError):  # another test has containers there
                        os.rmdir(os.path.join(path, name))
            with contextlib.suppress(OSError):
                os.rmdir(path)

    def wait_for_monitors(self):
        """podman does not wait for conmon, which ends a moment after its container."""
        for path in set(self.groups()) - self.before:
            with contextlib.suppress(FileNotFoundError):
                with open(path + "/conmon/cgroup.procs", encoding="utf-8") as file:
                    for pid in file.read().split():
                        with contextlib.suppress(ProcessLookupError):
                            monitor = os.pidfd_open(int(pid))
                            select.select([monitor], [], [], PATIENCE)
                            os.close(monitor)


def case(test):
    def run():
        if isinstance(ENGINE, Skip):
            raise ENGINE
        test(ENGINE)
    run.__name__ = test.__name__
    CASES.append(run)
    return run


@case
def a_container_sees_its_device_and_no_other(podman):
    assert "no CDI file tells podman of any GPU" in podman.refused_at_first.stderr
    done = podman.run("--rm", "-e", "CUDA_VISIBLE_DEVICES", "--env-host", *podman.rootfs(), "/bin/sh", "-c",
                      "ls /dev; ls -l /dev/nvidia0; env")
    assert done.returncode == 0, done
    seen = {word for word in done.stdout.split() if word.startswith("nvidia")}
    assert seen == {"nvidia0", "nvidiactl", "nvidia-uvm"}, done
    assert "crw-rw-rw-" in done.stdout and "NVIDIA_VISIBLE_DEVICES=void" in done.stdout, done
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "GPUALLOC_FD", "GPUALLOC_LEASE"):
        assert name + "=" not in done.stdout, done
    assert not podman.is_leased(), "the lease outlives the command"


@case
def a_mig_instance_brings_its_capability_files(podman):
    done = podman.run("--rm", *podman.rootfs(), "/bin/ls", "/dev", "/dev/nvidia-caps", asked=["--mig"])
    assert done.returncode == 0 and done.stdout.count("nvidia-cap") == 4, done
    assert "nvidia1" in done.stdout and "nvidia0" not in done.stdout, done


@case
def the_drivers_libraries_are_where_loaders_look(podman):
    driver = json.loads(ok("snapshot", "--machine", "dgx1-volta"))["driver"]
    folder = "/run/opengl-driver/lib"  # one of those where a driver's libraries may be, and ours to fill
    os.makedirs(folder)
    library = f"libcuda.so.{driver}"
    with open(f"{folder}/{library}", "wb") as file:
        # As much of a library as is looked at.
        file.write(b"\x7fELF\x02" + bytes(13) + (b"\xb7" if os.uname().machine == "aarch64" else b"\x3e")
                   + bytes(40) + b"the driver's")
    os.symlink(library, folder + "/libcuda.so.1")
    ok("cdi", "generate", "--machine", "dgx1-volta", "--root", "/", "--kind", "libraries.test/gpu",
       "--output", "/run/cdi/libraries.json")
    multiarch = "aarch64-linux-gnu" if os.uname().machine == "aarch64" else "x86_64-linux-gnu"
    paths = [f"{where}/{name}" for where in (f"/usr/lib/{multiarch}", "/usr/lib64")
             for name in (library, "libcuda.so.1")]
    shown = podman.ask("run", "--rm", "--network=none", *LIMITS, "--device", "libraries.test/gpu=0",
                       *podman.rootfs(), "/bin/busybox", "grep", "-c", "the driver's", *paths)
    assert shown.split() == [path + ":1" for path in paths], shown


@case
def the_status_is_the_containers(podman):
    done = podman.run("--rm", *podman.rootfs(), "/bin/sh", "-c", "exit 7")
    assert done.returncode == 7, done
    assert not podman.is_leased(), "the lease outlives the command"


@case
def a_detached_container_keeps_the_lease_until_its_process_ends(podman):
    done = podman.run("-d", *podman.rootfs(), *HERE)
    assert done.returncode == 0, done
    container = done.stdout.strip()
    assert podman.is_leased()
    assert podman.run("-d", *podman.rootfs(), *HERE).returncode == 75
    os.kill(int(podman.ask("inspect", "--format", "{{.State.Pid}}", container)), 9)
    podman.wait_for_end()


@case
def a_container_outlives_its_killed_client_with_its_lease(podman):
    client = subprocess.Popen(podman.words(*podman.rootfs(), *HERE), env=podman.env(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert client.stdout.readline() == "here\n", client.communicate()
    for pid in podman.store.ask("leases", "--pids", podman.store.leases()["leases"][0]["id"]).split():
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if file.read().startswith(b"podman"):
                os.kill(int(pid), 9)
    client.wait(timeout=PATIENCE)
    assert client.returncode == -9 and podman.is_leased(), client
    running = podman.ask("ps", "--quiet", "--no-trunc").split()
    assert len(running) == 1, running
    podman.ask("kill", running[0])
    podman.wait_for_end()


REASON = why_not()
if REASON is None and "GPUALLOC_IN_NAMESPACE" not in os.environ:
    os.environ["GPUALLOC_IN_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
WHERE = tempfile.mkdtemp(prefix="gpualloc-test-")
try:
    if REASON:
        raise Skip(REASON)
    ENGINE = Podman(WHERE)
except Skip as reason:
    ENGINE = reason
try:
    main()
finally:
    if isinstance(ENGINE, Podman):
        ENGINE.remove()
    shutil.rmtree(WHERE)
