#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc run: what the command finds, what happens to its exit status, and what is
refused before anything is leased."""
import json
import os
import signal
import subprocess
import threading

from cli import GPUALLOC, case, environment, folder, machine_file, main, refused, run
from leasing import PATIENCE, store, variables

OURS = ["CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "GPUALLOC_DEVICES", "GPUALLOC_FD",
        "GPUALLOC_LEASE", "GPUALLOC_MACHINE", "GPUALLOC_MEMORY", "NVIDIA_VISIBLE_DEVICES"]


def job_environment(one, *words, env=None):
    """The variables of ours that a command finds, each at most once."""
    found = [pair for pair in variables(one.ok(*words, "env", "-0", env=env)) if pair[0] in OURS]
    assert len(dict(found)) == len(found), f"a variable is there twice: {found}"
    return dict(found)


# ---- the environment ----

@case
def whole_gpus_are_named_by_number_or_uuid():
    with store() as one:
        found = job_environment(one, "-n", "2", "--only", "3,0")
        assert sorted(found) == [name for name in OURS if name != "GPUALLOC_MEMORY"], found
        assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        assert sorted(found["CUDA_VISIBLE_DEVICES"].split(",")) == ["0", "3"], found
        assert found["GPUALLOC_DEVICES"] == found["NVIDIA_VISIBLE_DEVICES"]
        assert all(word.startswith("GPU-") for word in found["GPUALLOC_DEVICES"].split(","))
        assert int(found["GPUALLOC_FD"]) >= 512 and found["GPUALLOC_LEASE"]
        assert found["GPUALLOC_MACHINE"] == "dgx1-volta"


@case
def uuids_are_used_if_asked_for_or_needed():
    with store() as one:
        found = job_environment(one, "--format", "uuid")
        assert found["CUDA_VISIBLE_DEVICES"] == found["GPUALLOC_DEVICES"], found
    with store("a100-mig") as one:
        assert job_environment(one, "--mig")["CUDA_VISIBLE_DEVICES"].startswith("MIG-")
        # A whole GPU beside one in MIG mode.
        assert job_environment(one)["CUDA_VISIBLE_DEVICES"].startswith("GPU-")
        assert job_environment(one, "--format", "index")["CUDA_VISIBLE_DEVICES"] == "0"
        one.refused(78, "--mig", "--format", "index", "true", says=["--format uuid"])
        assert one.leases()["leases"] == []


@case
def numbers_are_used_only_if_they_are_certain():
    with store(machine_file("nvswitch-lost.json")) as one:
        found = job_environment(one, "-n", "2")
        assert found["CUDA_VISIBLE_DEVICES"] == found["GPUALLOC_DEVICES"], found
        assert found["CUDA_VISIBLE_DEVICES"].startswith("GPU-"), found
        one.refused(78, "--format", "index", "true",
                    says=["GPU 5", "\"lost\"", "--format uuid"])
        assert one.leases()["leases"] == []


@case
def inherited_variables_are_replaced():
    stale = {"CUDA_VISIBLE_DEVICES": "5", "NVIDIA_VISIBLE_DEVICES": "all",
             "CUDA_DEVICE_ORDER": "FASTEST_FIRST", "GPUALLOC_MEMORY": "1",
             "GPUALLOC_DEVICES": "GPU-1"}
    with store() as one:
        found = job_environment(one, "-q", env=stale)
        assert found["CUDA_VISIBLE_DEVICES"] == "5" and "GPUALLOC_MEMORY" not in found, found
        assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID" and found["GPUALLOC_DEVICES"] != "GPU-1"
        assert found["NVIDIA_VISIBLE_DEVICES"] == found["GPUALLOC_DEVICES"]
        found = job_environment(one, "-q", "--ignore-env", "--only", "6", env=stale)
        assert found["CUDA_VISIBLE_DEVICES"] == "6", found


@case
def everything_else_goes_through():
    with store() as one:
        awkward = {"A": "", "B": "x=y", "C": "two\nlines", "CUDA_VISIBLE_DEVICES_2": "mine",
                   "GPUALLOC_LEASES": "mine"}
        found = dict(variables(one.ok("env", "-0", env=awkward)))
        assert all(found[name] == value for name, value in awkward.items()), found


@case
def a_share_says_how_much_memory():
    with store() as one:
        found = job_environment(one, "--share", "-m", "2GiB")
        assert found["GPUALLOC_MEMORY"] == str(2 << 30), found


@case
def a_machine_file_is_named_from_anywhere():
    with store() as one, folder() as where:
        with open(os.path.join(where, "m.json"), "w", encoding="utf-8") as file:
            subprocess.run([GPUALLOC, "snapshot", "--machine", "rtx8000x4"], stdout=file,
                           check=True, env=environment())
        one.machine = "m.json"
        found = job_environment_in(one, where)
        assert found["GPUALLOC_MACHINE"] == os.path.join(os.path.realpath(where), "m.json"), found
        found = dict(variables(run("run", "env", "-0", env={
            "GPUALLOC_MACHINE": "dgx2", "GPUALLOC_STATE_DIR": one.path}).out))
        assert found["GPUALLOC_MACHINE"] == "dgx2", found


def job_environment_in(one, where):
    return dict(variables(one.ok("env", "-0", cwd=where)))


@case
def without_a_lease_it_says_so():
    with store() as one:
        result = one.run("--ignore-leases", "env", "-0")
        found = dict(variables(result.out))
        assert result.code == 0 and "without a lease" in result.err, result
        assert "GPUALLOC_LEASE" not in found and "GPUALLOC_FD" not in found
        assert found["CUDA_VISIBLE_DEVICES"] and found["GPUALLOC_DEVICES"]
        one.hold("-n", "8")
        assert one.run("-q", "--ignore-leases", "true").err == ""


# ---- the command ----

@case
def arguments_go_through_as_they_are():
    with store() as one:
        words = ["-m", "x", "--seed", "3", "--", "", "a b", "*", "-n", "--help"]
        show = ["sh", "-c", 'printf "%s\\0" "$@"', "sh"]
        for dashes in ([], ["--"]):
            assert one.ok(*dashes, *show, *words).split("\0")[:-1] == words
        assert one.ok("printf", "%s", "--json") == "--json"


@case
def exit_statuses_and_signals_are_the_commands():
    with store() as one:
        for extra in ([], ["--supervise"]):
            for status in (0, 1, 64, 75, 124, 255):
                assert one.run(*extra, "sh", "-c", f"exit {status}").code == status
            for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGSEGV):
                result = one.run(*extra, "sh", "-c", f"kill -{int(number)} $$")
                assert result.code == -number, (extra, number, result)


@case
def it_is_the_same_process():
    with store() as one:
        child = subprocess.Popen([GPUALLOC, "run", "--machine", one.machine, "sh", "-c", "echo $$"],
                                 stdout=subprocess.PIPE, env=one.environment())
        assert int(child.communicate()[0]) == child.pid


@case
def a_command_that_cannot_run_is_refused_before_leasing():
    with store() as one, folder() as where:
        script = os.path.join(where, "script")
        with open(script, "w", encoding="utf-8") as file:
            file.write("echo $1")
        one.refused(126, script, says=[script, "Permission denied"])
        os.chmod(script, 0o755)
        # A script without a #! line runs in the shell, as everywhere.
        assert one.ok(script, "read by sh") == "read by sh\n"
        assert one.ok("--supervise", script, "read by sh") == "read by sh\n"
        one.refused(127, "no-such-program", says=["no-such-program"])
        one.refused(127, os.path.join(where, "none"))
        one.refused(127, "")
        one.refused(126, where)
        one.refused(127, "true", env={"PATH": where})
        os.symlink("/bin/true", os.path.join(where, "tool"))
        one.ok("tool", env={"PATH": "/nonexistent:" + where})
        one.ok("tool", env={"PATH": ""}, cwd=where)
        one.hold("-n", "8")
        one.refused(127, "--wait", "no-such-program")


# ---- traps ----

@case
def a_value_without_its_option_is_not_a_command():
    with store() as one:
        for words, meant in ((["--wait", "5m", "true"], "--wait=5m"), (["5m", "true"], "--wait=5m"),
                             (["--mig", "1g.5gb", "true"], "--mig=1g.5gb"),
                             (["2g.10gb+me", "x"], "--mig=2g.10gb+me"),
                             (["--ignore-processes", "500M", "x"], "--ignore-processes=500M")):
            one.refused(64, *words, says=[f"did you mean {meant}?"])
        one.refused(127, "--", "5m", says=["5m"])
        one.refused(64, "--wait=soon", "true", says=["soon", "90s"])
        one.refused(64, "--time-limit", "5", "true", says=["--time-limit"])
        one.refused(64, "--format", "pci", "true", says=["index or uuid"])
        one.refused(64, says=["needs another word"])
        one.refused(64, "--csv", "true", says=["--csv"])


@case
def commands_that_would_lose_the_lease_are_refused_or_get_a_hint():
    with store() as one, folder() as where:
        for name in ("tmux", "screen", "docker", "podman", "ssh", "sudo", "srun", "systemd-run"):
            path = os.path.join(where, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\necho ran\n")
            os.chmod(path, 0o755)
        env = {"PATH": where + ":" + os.environ["PATH"]}
        one.refused(64, "tmux", env=env, says=["tmux new-session gpualloc run -- COMMAND"])
        one.refused(64, where + "/screen", "-dm", "x", env=env, says=["screen gpualloc run"])
        for words in (["docker", "run", "-d", "i"], ["docker", "run", "--rm", "-v", "a:b", "-itd", "i"],
                      ["podman", "container", "run", "--name", "x", "--detach", "i"]):
            one.refused(64, *words, env=env, says=["gpualloc run --container -- "])
        for words in (["docker", "run", "--rm", "i", "grep", "-d"], ["docker", "ps"],
                      ["podman", "run", "-v", "-d", "i"]):
            assert one.ok(*words, env=env) == "ran\n", words
        for name in ("ssh", "sudo", "srun", "systemd-run"):
            result = one.run(name, env=env)
            assert result.code == 0 and result.out == "ran\n", result
            assert result.err.startswith("gpualloc: hint: ") and result.err.count("\n") == 1, result
            assert one.run("-q", name, env=env).err == ""


@case
def impossible_busy_and_no_gpu_differ():
    with store() as one:
        one.refused(78, "-n", "9", "true", says=["8"])
        one.hold("-n", "7")
        one.refused(75, "-n", "2", "true")
        one.refused(78, "-n", "9", "true")
    refused(69, "run", "true", env={"PATH": "/bin:/usr/bin", "GPUALLOC_NVML": "/nonexistent",
                                    "GPUALLOC_NVIDIA_SMI": "/nonexistent"})


def tell_one_by_one(path, contents):
    """Every program that opens the path reads the next content: each time it is another fifo."""
    for content in contents:
        with open(path, "w", encoding="utf-8") as fifo:
            os.mkfifo(path + ".next")
            os.rename(path + ".next", path)
            fifo.write(json.dumps(content))


@case
def a_real_machine_is_looked_at_again_until_the_last_users_have_gone():
    with store() as one:
        with open(machine_file("lab.json"), encoding="utf-8") as file:
            free = json.load(file)
        busy = json.loads(json.dumps(free))
        for device in busy["devices"]:
            device["processes"] = [{"pid": 1, "type": "C", "memory": 1 << 30, "name": "ending"}]
        path = os.path.join(one.where, "machine")
        os.mkfifo(path)
        looks = threading.Thread(target=tell_one_by_one, args=(path, [free, busy, busy, free]),
                                 daemon=True)
        looks.start()
        result = run("run", "true", env={"GPUALLOC_STATE_DIR": one.path, "FAKE_MACHINE": path,
                                         "GPUALLOC_NVML": os.environ["FAKE_NVML"]})
        assert result.code == 0, result
        looks.join(timeout=PATIENCE)
        assert not looks.is_alive(), "it looked less often"


main()
