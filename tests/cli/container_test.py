#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc run --container, with a docker of our own whose containers are nobody's children, as a
daemon's are. podman_test.py does it with a real engine."""
import contextlib
import json
import os
import signal
import subprocess

from cli import GPUALLOC, Skip, case, folder, main, run
from leasing import PATIENCE, store

# `docker run` starts its program in a session of its own, which writes its number, and with -d is done; else it
# waits. What `inspect` and `ps` say is in files. Nothing of the lease's is inherited: descriptors are closed.
DOCKER = r"""#!/usr/bin/python3
import json, os, signal, subprocess, sys
HERE = os.path.dirname(os.path.abspath(__file__))
ID = "c" * 64
args = sys.argv[1:]
if "--version" in args and os.path.exists(HERE + "/disguise"):
    sys.exit(print("podman version 4.3.1"))
while args[0].startswith("-"):
    args = args[2:]
with open(HERE + "/calls", "a") as calls:
    calls.write(json.dumps([sys.argv[1:], {name: value for name, value in os.environ.items()
        if name in ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "GPUALLOC_DEVICES",
                    "GPUALLOC_FD", "GPUALLOC_LEASE")}]) + "\n")
def state():
    with open(HERE + "/pid") as file:
        pid = int(file.read())
    try:
        with open(f"/proc/{pid}/stat") as file:
            return pid, file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return pid, False
if args[:2] == ["context", "inspect"]:
    print(open(HERE + "/endpoint").read() if os.path.exists(HERE + "/endpoint") else "unix:///var/run/docker.sock")
elif args[0] == "info":
    print("" if "CDI" in args[-1] else "Debian")
elif args[:2] == ["container", "inspect"]:
    assert args[-1] == ID
    pid, lives = state()
    print(pid if lives else 0, "running" if lives else "exited")
elif args[0] == "ps":
    print(ID[:12])
elif args[0] == "stop":
    os.kill(state()[0], signal.SIGKILL)
elif args[0] == "run":
    if "image-that-is-missing" in args:
        sys.exit("docker: no such image")
    with open(args[args.index("--cidfile") + 1], "w") as file:
        file.write(ID)
    child = subprocess.Popen(["sh", "-c", "echo $$ >$0.new && mv $0.new $0 && exec \"$@\"", HERE + "/pid",
                              *args[args.index("image") + 1:]], start_new_session=True, close_fds=True,
                             stdin=subprocess.DEVNULL, **{name: subprocess.DEVNULL if "-d" in args else None
                                                          for name in ("stdout", "stderr")})
    if "-d" in args:
        print(ID)
    else:
        sys.exit(child.wait())
else:
    sys.exit("docker: what?")
"""


DOCKER_WORD = b"/docker\0run"


class Docker:
    """A folder with the engine in it, and a store."""

    def __init__(self, one, where):
        self.store, self.where = one, where
        path = os.path.join(where, "docker")
        with open(path, "w", encoding="utf-8") as file:
            file.write(DOCKER)
        os.chmod(path, 0o755)
        for name in ("nerdctl", "podman"):
            os.symlink("docker", os.path.join(where, name))
        self.env = {"PATH": where + ":" + os.environ["PATH"], "XDG_RUNTIME_DIR": where,
                    "DOCKER_HOST": None}

    def words(self, *words):
        return ["run", "--container", "--machine", self.store.machine, *words]

    def ok(self, *words):
        return self.store.ok("--container", *words, env=self.env)

    def refused(self, code, *words, says):
        return self.store.refused(code, "--container", *words, env=self.env, says=says)

    def start(self, *words, **options):
        return subprocess.Popen([GPUALLOC, *self.words(*words)],
                                env=self.store.environment(**self.env), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def calls(self, verb):
        with open(os.path.join(self.where, "calls"), encoding="utf-8") as file:
            return [call for call in map(json.loads, file) if verb in call[0]]

    def pid(self):
        with open(os.path.join(self.where, "pid"), encoding="utf-8") as file:
            return int(file.read())

    def is_leased(self):
        return len(self.store.leases()["leases"]) == 1

    def wait_for_end(self):
        """Until the lease has ended; then nothing of it is left."""
        self.store.ok("-n", "8", f"--wait={PATIENCE}s", "true")
        assert not [name for name in os.listdir(self.where) if name.startswith("gpualloc-")]

    def ends(self):
        """Kills the container; the lease ends with it."""
        os.kill(self.pid(), signal.SIGKILL)
        self.wait_for_end()


def end_container(where):
    """One that a failed case left."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(os.path.join(where, "pid"), encoding="utf-8") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/environ", "rb") as file:
            if f"XDG_RUNTIME_DIR={where}\0".encode() in file.read():
                os.kill(pid, signal.SIGKILL)


def docker(test):
    """A case with an engine."""
    def run_it():
        if not os.path.exists("/usr/bin/python3"):
            raise Skip("no Python in /usr/bin here")
        with store() as one, folder() as where:
            try:
                test(Docker(one, where))
            finally:
                end_container(where)
    run_it.__name__ = test.__name__
    return case(run_it)


@docker
def the_container_gets_the_devices_and_no_numbers_of_the_hosts(it):
    it.ok("-n", "2", "-q", "docker", "--log-level", "info", "run", "-e", "CUDA_VISIBLE_DEVICES", "image",
          "true")
    (words, environment), = it.calls("run")
    assert words[:3] == ["--log-level", "info", "run"] and words[3] == "--cidfile", words
    assert words[5] == "--gpus" and words[6].startswith('"device=GPU-') and words[6].count(",") == 1, words
    assert words[7:] == ["-e", "CUDA_VISIBLE_DEVICES", "image", "true"], words
    assert environment == {}, environment
    assert not it.is_leased(), "the lease outlives the command"


@docker
def a_detached_container_keeps_the_lease_until_it_ends(it):
    assert it.ok("docker", "run", "-d", "image", "sleep", "1000") == "c" * 64 + "\n"
    assert it.is_leased()
    it.store.refused(75, "-n", "8", "true")
    it.ends()


@docker
def a_container_whose_client_was_killed_keeps_the_lease(it):
    client = it.start("docker", "run", "image", "sh", "-c", "echo here; exec sleep 1000")
    assert client.stdout.readline() == "here\n"
    pids = it.store.ask("leases", "--pids", it.store.leases()["leases"][0]["id"]).split()
    for pid in pids:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if DOCKER_WORD in file.read():
                os.kill(int(pid), signal.SIGKILL)
    client.wait(timeout=PATIENCE)
    assert client.returncode == -signal.SIGKILL and it.is_leased(), client
    it.ends()


@docker
def a_killed_gpualloc_changes_nothing(it):
    client = it.start("docker", "run", "image", "sh", "-c", "echo here; exec sleep 1000")
    assert client.stdout.readline() == "here\n"
    client.kill()
    client.wait(timeout=PATIENCE)
    assert it.is_leased()
    it.ends()


@docker
def release_stops_the_container(it):
    it.ok("docker", "run", "-d", "image", "sleep", "1000")
    lease = it.store.leases()["leases"][0]["id"]
    released = run("release", "--yes", lease, env={"GPUALLOC_STATE_DIR": it.store.path})
    assert released.code == 0 and "will be ended" in released.err, released
    it.wait_for_end()
    assert not os.path.exists(f"/proc/{it.pid()}/exe"), "the container runs on"


@docker
def the_status_is_the_containers(it):
    for status in (0, 3):
        result = it.store.run("--container", "docker", "run", "image", "sh", "-c", f"exit {status}",
                              env=it.env)
        assert result.code == status, result
        assert not it.is_leased(), "the lease outlives the command"
    result = it.store.run("--container", "docker", "run", "image-that-is-missing", env=it.env)
    assert result.code == 1 and "no such image" in result.err, result
    assert not it.is_leased(), "the lease outlives the command"


@docker
def signals_reach_the_client(it):
    client = it.start("docker", "run", "image", "sh", "-c", "echo here; exec sleep 1000")
    assert client.stdout.readline() == "here\n"
    client.send_signal(signal.SIGTERM)
    client.wait(timeout=PATIENCE)
    assert client.returncode == -signal.SIGTERM and it.is_leased(), client
    it.ends()


@docker
def what_cannot_be_done_is_refused_with_a_sentence(it):
    for words, says in (
            (["docker", "start", "x"], "starts a container again"),
            (["docker", "exec", "x", "sh"], "a container that has its devices already"),
            (["docker", "compose", "up"], "run gpualloc hold for them"),
            (["docker", "container", "create", "i"], "use run -d"),
            (["docker", "ps"], "--container is for `docker run`"),
            (["docker"], "--container is for `docker run`"),
            (["docker", "run", "--rm"], "needs an image"),
            (["docker", "run", "--gpus", "all", "i"], "the lease says which"),
            (["docker", "run", "--device=nvidia.com/gpu=0", "i"], "the lease says which"),
            (["docker", "run", "--restart", "always", "i"], "would start again later"),
            (["docker", "run", "-itv", "/a:/b", "--restart", "always", "i"], "would start again later"),
            (["docker", "run", "-dp", "80:80", "--gpus", "all", "i"], "the lease says which"),
            (["docker", "run", "-itv", "/a:/b", "--cidfile", "/dev/null", "i"], "is there already"),
            (["docker", "run", "-ite", "NVIDIA_VISIBLE_DEVICES=all", "i"], "the lease says which"),
            (["docker", "run", "--env=NVIDIA_VISIBLE_DEVICES=0", "i"], "the lease says which"),
            (["docker", "run", "--cidfile=", "i"], "leave it out"),
            (["docker", "run", "-dv", "/a:/b"], "needs an image"),
            (["docker", "-DH", "tcp://far:1", "run", "i"], "tcp://far:1"),
            (["docker", "-H", "tcp://far:1", "run", "i"], "tcp://far:1"),
            (["docker", "--context", "far", "run", "i"], "starts containers elsewhere"),
            (["podman", "--remote", "run", "i"], "starts containers elsewhere"),
            (["nerdctl", "run", "i"], "not for nerdctl"),
            (["env"], "not for env")):
        it.refused(64, *words, says=[says])
    it.refused(127, "/nowhere/docker", "run", "i", says=["/nowhere/docker"])
    for option in ("--supervise", "--time-limit=1h", "--bind", "--fence", "--ignore-leases", "--format=index"):
        it.refused(64, option, "docker", "run", "i", says=["cannot be used with --container"])
    with open(os.path.join(it.where, "endpoint"), "w", encoding="utf-8") as file:
        file.write("ssh://far")
    it.refused(64, "docker", "run", "i", says=["ssh://far", "put gpualloc on that machine"])
    assert not it.calls("run") and not it.is_leased()
    with open(os.path.join(it.where, "disguise"), "w", encoding="utf-8"):
        it.env["CONTAINER_HOST"] = "ssh://far"
    it.refused(64, "docker", "run", "i", says=["CONTAINER_HOST"])


@docker
def the_engine_is_not_behind_a_fence(it):
    path = os.path.join(it.where, "gpualloc.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("fence = job\n")
    os.chmod(path, 0o644)
    it.env["GPUALLOC_CONFIG"] = path
    look = ["grep", "NoNewPrivs", "/proc/self/status"]
    here = subprocess.run(look, capture_output=True, text=True, check=True).stdout
    assert it.ok("docker", "run", "image", *look) == here


main()
