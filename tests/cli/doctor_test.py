#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc doctor: on this machine, with a driver of our own, and on recorded machines."""
import contextlib
import json
import os
import subprocess

from cli import GPUALLOC, case, environment, folder, machine_file, main, ok, refused, run, widest
from leasing import store

FAKE = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": machine_file("lab.json")}
NO_DRIVER = {"GPUALLOC_NVML": "/nonexistent/nvml", "GPUALLOC_NVIDIA_SMI": "/nonexistent/smi"}
SUBJECTS = ["driver", "MPS", "store", "file system", "kernel", "configuration", "time limits",
            "environment", "tmux", "containers", "cgroups", "user limits"]


def findings(*words, env=None):
    """The exit status, and what is said of each subject: [(verdict, sentence, advice)]."""
    result = run("doctor", "--json", *words, env=env)
    assert result.err == "", result
    said = {}
    for one in json.loads(result.out)["findings"]:
        said.setdefault(one["subject"], []).append((one["verdict"], one["sentence"],
                                                    one["advice"]))
    return result.code, said


def says(said, subject, verdict, part):
    """One of the findings about a subject has this verdict and these words."""
    assert any(found[0] == verdict and part in found[1] for found in said.get(subject, [])), \
        (subject, verdict, part, said.get(subject))


@contextlib.contextmanager
def recorded(files=None):
    """A machine's /proc, /sys and /etc as files: one without any trouble, and what differs."""
    usual = {
        "proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
        "proc/self/mountinfo": "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
                               "23 22 0:21 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,mode=755\n",
        "proc/self/limits": "Limit  Soft Limit  Hard Limit  Units\n"
                            "Max cpu time              unlimited   unlimited   seconds\n"
                            "Max file size             unlimited   unlimited   bytes\n"
                            "Max processes             127000      127000      processes\n"
                            "Max open files            1024        1048576     files\n",
        "proc/self/uid_map": "         0          0 4294967295\n",
        "proc/self/cgroup": "0::/user.slice/user-1000.slice/session-2.scope\n",
        "proc/1/cgroup": "0::/init.scope\n",
        "proc/1/comm": "systemd\n",
        "proc/812/comm": "nvidia-persiste\n",
        "sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope/memory.max": "max\n",
    }
    with folder() as where:
        for path, content in {**usual, **(files or {})}.items():
            os.makedirs(os.path.dirname(os.path.join(where, path)), exist_ok=True)
            with open(os.path.join(where, path), "w", encoding="utf-8") as file:
                file.write(content)
        yield where


def examined(files=None):
    with recorded(files) as where:
        return findings("--root", where, "--machine", "dgx1-volta")


@case
def a_machine_in_order_has_no_fault():
    code, said = examined()
    assert code == 0, said
    assert all(found[0] == "ok" for each in said.values() for found in each), said
    says(said, "persistence", "ok", "process 812")
    says(said, "kernel", "ok", "6.1.0-18-amd64")
    says(said, "file system", "ok", "tmpfs")


@case
def this_machine_gets_a_line_for_each_subject():
    with store() as one:
        one.ok("true")  # makes the store
        env = {"GPUALLOC_STATE_DIR": one.path}
        before = one.files()
        code, said = findings("--machine", "dgx1-volta", env=env)
        assert code == 0, said
        assert [subject for subject in SUBJECTS if subject not in said] == [], said
        says(said, "store", "ok", one.path)
        text = ok("doctor", "--machine", "dgx1-volta", env=env)
        assert widest(text) <= 80 and "nothing is broken" in text, text
        assert one.files() == before


@case
def faults_end_with_the_status_of_run():
    with folder() as where:
        env = {"GPUALLOC_STATE_DIR": os.path.join(where, "store")}
        code, said = findings(env={**NO_DRIVER, **env})
        assert code == 69, (code, said)
        assert said["driver"][0][0] == "fault" and "install" in said["driver"][0][2], said
        code, said = findings(env={**FAKE, **env})
        assert code == 0 and os.listdir(where) == [], (code, said)
        says(said, "store", "note", "the first lease makes")
        ok("setup", env=env)
        os.chmod(env["GPUALLOC_STATE_DIR"], 0o777)
        code, said = findings(env={**FAKE, **env})
        assert code == 77 and run("run", "true", env={**FAKE, **env}).code == 77, (code, said)
        assert "gpualloc setup" in said["store"][0][2], said
        os.chmod(env["GPUALLOC_STATE_DIR"], 0o755)
        code, said = findings(env={**FAKE, **env})
        assert code == 0, said
        path = os.path.join(where, "gpualloc.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("max-device = 3\nkeep = soon\n")
        os.chmod(path, 0o644)
        code, said = findings(env={**FAKE, **env, "GPUALLOC_CONFIG": path})
        assert code == 78, (code, said)
        says(said, "configuration", "fault", f"{path}:1: ")
        says(said, "configuration", "fault", f"{path}:2: ")
        assert run("run", "true", env={**FAKE, **env, "GPUALLOC_CONFIG": path}).code == 78
        result = run("doctor", env={**FAKE, **env, "GPUALLOC_CONFIG": path})
        assert result.code == 78 and "2 faults" in result.out and result.err == "", result


@case
def sick_gpus_are_named():
    code, said = findings("--machine", machine_file("lab.json"))
    lost = [device for device in json.loads(ok("list", "--json", "--machine",
                                               machine_file("lab.json"), "-q"))["devices"]
            if device["state"] == "unhealthy"]
    assert code == 0 and len(said.get("GPU health", [])) == len(lost), (said, lost)


@case
def a_kernel_without_what_leases_need():
    code, said = examined({"proc/sys/kernel/osrelease": "3.10.0-1160.el7.x86_64\n"})
    assert code == 78, said
    says(said, "kernel", "fault", "3.10.0-1160.el7.x86_64 has no locks")
    code, said = examined({"proc/sys/kernel/osrelease": "5.2.0\n",
                           "proc/sys/kernel/yama/ptrace_scope": "2\n",
                           "proc/sys/fs/protected_hardlinks": "0\n"})
    assert code == 0, said
    for part in ("pidfd", "close_range", "--in", "link"):
        says(said, "kernel", "note", part)


@case
def a_store_on_the_wrong_file_system():
    nfs = "30 23 0:50 / /run/gpualloc rw - nfs4 filer:/gpualloc rw\n"
    mounts = "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    code, said = examined({"proc/self/mountinfo": mounts + nfs})
    assert code == 77, said
    says(said, "file system", "fault", "nfs4")
    code, said = examined({"proc/self/mountinfo": mounts + nfs.replace("gpualloc rw", "gpu rw")})
    says(said, "file system", "ok", "ext4")  # /run/gpu is another folder
    code, said = examined({"proc/self/mountinfo": "22 1 0:1 / / rw - overlay overlay rw\n"})
    assert code == 77 and "-v" in said["file system"][0][2], said
    code, said = examined({"proc/self/mountinfo": "22 1 8:1 / / ro - ext4 /dev/sda1 ro\n"})
    assert code == 77, said
    says(said, "file system", "fault", "only be read")
    code, said = examined({"proc/self/mountinfo": "nonsense\n\n22 1 8:1\n - - - - - -"})
    assert code == 0 and "file system" not in said, said


@case
def limits_of_the_user():
    code, said = examined({"proc/self/limits":
                           "Max cpu time              3600   unlimited   seconds\n"
                           "Max file size             0      0           bytes\n"
                           "Max processes             50     127000      processes\n"
                           "Max open files            256    1048576     files\n"})
    assert code == 0, said
    for part in ("ulimit -n", "ulimit -f", "ulimit -u", "ulimit -t"):
        says(said, "user limits", "note", part)


@case
def containers_and_cgroups():
    for path in (".dockerenv", "run/.containerenv", "run/systemd/container"):
        says(examined({path: ""})[1], "containers", "note", "container")
    says(examined({"proc/1/cgroup": "0::/kubepods/burstable/pod7\n"})[1], "containers", "note",
         "container")
    says(examined({"proc/self/uid_map": "0 1000 1\n"})[1], "containers", "note", "user namespace")
    place = "sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope/"
    said = examined({place + "memory.max": "8589934592\n", place + "pids.max": "64\n"})[1]
    says(said, "cgroups", "note", "8.0 GiB")
    says(said, "cgroups", "note", "64 processes")


@case
def daemons_beside_the_driver():
    with recorded({"proc/900/comm": "nvidia-cuda-mps\n"}) as where:
        os.unlink(os.path.join(where, "proc/812/comm"))
        env = {**FAKE, "GPUALLOC_NVIDIA_SMI": "/nonexistent/smi"}
        _, said = findings("--root", where, env=env)
        says(said, "persistence", "note", "does not run")
        says(said, "MPS", "note", "process 900")


@case
def a_multiplexer_that_keeps_a_lease():
    server = {"proc/77/comm": "tmux: server\n", "proc/77/environ": "TERM=x\0SHELL=/bin/sh\0"}
    says(examined(server)[1], "tmux", "ok", "server")
    server["proc/77/environ"] += "GPUALLOC_LEASE=04f2a9c1d7\0X=1"
    said = examined(server)[1]
    says(said, "tmux", "note", "process 77")
    says(said, "tmux", "note", "lease 04f2a9c1d7")
    server["proc/77/environ"] = "GPUALLOC_LEASE=\x1b[2J\0"
    assert "\x1b" not in json.dumps(examined(server)[1]), "a control character came through"


@case
def a_multiplexer_of_a_lease_that_has_ended():
    # Names itself as tmux does, and says so.
    server = ["python3", "-c", "import sys; open('/proc/self/comm', 'w').write('tmux: server'); "
              "print('named', flush=True); sys.stdin.read()"]
    with store() as one:
        one.ok("true")  # makes the store
        env = {"GPUALLOC_STATE_DIR": one.path}
        with subprocess.Popen(server, env=environment(GPUALLOC_LEASE="04f2a9c1d7"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tmux:
            assert tmux.stdout.readline() == "named\n"
            said = findings("--machine", "dgx1-volta", env=env)[1]
            tmux.stdin.close()
        # Somebody else may run a real one meanwhile.
        if f"process {tmux.pid}," in said["tmux"][0][1]:
            says(said, "tmux", "note", "which has ended")
            assert "keeps that lease" not in said["tmux"][0][1], said


@case
def a_copy_that_is_none_or_has_pipes_in_it():
    refused(64, "doctor", "--root", "/nonexistent", "--machine", "dgx1-volta",
            says=["/nonexistent"])
    pipes = ["proc/self/mountinfo", "proc/77/environ", "etc/systemd/logind.conf",
             "proc/self/limits"]
    with recorded({"proc/77/comm": "tmux: server\n"}) as where:
        for path in pipes:
            os.makedirs(os.path.dirname(os.path.join(where, path)), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(where, path))
            os.mkfifo(os.path.join(where, path))
        assert run("doctor", "--root", where, "--machine", "dgx1-volta").code == 0


@case
def users_that_are_logged_out():
    conf = "[Login]\n#KillUserProcesses=no\n  KillUserProcesses=yes\n"
    says(examined({"etc/systemd/logind.conf": conf})[1], "time limits", "note", "log")
    says(examined({"etc/systemd/logind.conf": conf + "KillUserProcesses=no\n"})[1], "time limits",
         "ok", "none")


@case
def what_the_shell_was_started_with():
    words = ["--machine", "dgx1-volta"]
    with store() as one:
        one.ok("true")
        env = {"GPUALLOC_STATE_DIR": one.path}
        _, said = findings(*words, env={**env, "CUDA_VISIBLE_DEVICES": "0,1"})
        says(said, "environment", "note", "nothing else is ever chosen")
        says(said, "environment", "note", "fastest")
        _, said = findings(*words, env={**env, "CUDA_VISIBLE_DEVICES": ""})
        says(said, "environment", "note", "see no GPU")
        _, said = findings(*words, env={**env, "GPUALLOC_LEASE": "04f2a9c1d7"})
        says(said, "environment", "note", "has ended")
        inside = subprocess.run([GPUALLOC, "run", *words, GPUALLOC, "doctor", "--json", *words],
                                env=environment(**env), capture_output=True, text=True, check=True)
        assert "this shell is in the lease" in inside.stdout, inside
        without = subprocess.run([GPUALLOC, "run", *words, "python3", "-c",
                                  "import subprocess, sys; subprocess.run(sys.argv[1:])",
                                  GPUALLOC, "doctor", "--json", *words],
                                 env=environment(**env), capture_output=True, text=True,
                                 check=True)
        assert "descriptor is not here" in without.stdout, without
    _, said = findings(env={**NO_DRIVER, "GPUALLOC_MACHINE": "dgx2"})
    says(said, "environment", "note", "GPUALLOC_MACHINE is dgx2")


@case
def what_makes_no_sense_is_refused():
    refused(64, "doctor", "now")
    assert run("doctor", "--machine", "/nonexistent").code == 64


main()
