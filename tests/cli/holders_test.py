#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who has a lease, what runs on its devices, and joining it."""
import contextlib
import json
import os
import sys

import cli
from cli import GPUALLOC, Skip, case, main
from hung_file import hung_file
from leasing import Terminal, store
from people import shared_store, two_people

# Says its lease and what it was given, with a child that has the lease too; goes when told.
FAMILY = ["sh", "-c", "exec 3<&0; cat <&3 >/dev/null & "
          "echo $GPUALLOC_LEASE $! $CUDA_VISIBLE_DEVICES; wait"]


def family(one, *words, **options):
    holder = one.hold(*words, command=FAMILY, **options)
    lease, child, visible = holder.said.split()
    return holder, lease, int(child), visible


def pids_of(one, lease, **options):
    env = {"GPUALLOC_STATE_DIR": one.path}
    return [int(line) for line in cli.ok("leases", "--pids", lease, env=env, **options).split()]


@case
def pids_are_those_that_have_the_descriptor():
    with store() as one:
        holder, lease, child, _ = family(one, "-n", "2")
        other, *_ = family(one, "-n", "2")
        assert pids_of(one, lease) == sorted([holder.process.pid, child])
        document = json.loads(one.ask("leases", "--pids", lease, "--json"))
        assert document["lease"] == lease and document["schema"] == 1, document
        assert document["unseen"] == 0, document
        commands = {entry["pid"]: entry["command"] for entry in document["processes"]}
        assert set(commands) == {holder.process.pid, child}, commands
        assert commands[holder.process.pid].startswith("sh -c exec"), commands
        assert holder.end() == 0 and other.end() == 0
        env = {"GPUALLOC_STATE_DIR": one.path}
        for name in (lease, "", "x", "0000000000", "../../etc/passwd"):
            cli.refused(77, "leases", "--pids", name, env=env, says=["no lease is called", "`gpualloc leases`"])
        cli.refused(64, "leases", "--pids", lease, "--watch", env=env)
        cli.refused(77, "leases", "--pids", lease, env={"GPUALLOC_STATE_DIR": one.where + "/none/x"})


@case
def a_file_system_that_does_not_answer_keeps_nobody():
    if os.geteuid() != 0:
        raise Skip("needs root")
    with store() as one, hung_file("ledger") as file:
        holder = one.hold(command=["sh", "-c", "exec 3<&0; echo $GPUALLOC_LEASE; cat <&3 >/dev/null"], pass_fds=[file])
        assert holder.process.pid in pids_of(one, holder.said)
        assert holder.end() == 0


@case
def a_process_that_closed_the_descriptor_is_not_listed():
    with store() as one:
        closes = ["sh", "-c", "eval \"exec $GPUALLOC_FD>&-\"; echo $GPUALLOC_LEASE; read line"]
        closed = [sys.executable, "-c", "import subprocess, os; child = subprocess.Popen("
                  "['cat'], close_fds=True); print(os.environ['GPUALLOC_LEASE'], child.pid, "
                  "flush=True); child.wait()"]
        holder = one.hold(command=closed)
        lease, child = holder.said.split()
        assert pids_of(one, lease) == [holder.process.pid] and int(child) != holder.process.pid
        assert holder.end() == 0
        gone = one.hold("-n", "8", command=["bash", *closes[1:]])
        assert one.leases()["leases"] == []
        one.ok("-n", "8", "true")
        gone.end()


@case
def only_the_owner_and_root_are_told():
    with two_people() as (ada, bob), shared_store() as one:
        holder, lease, child, _ = family(one, "-n", "2", **ada.as_them())
        expected = sorted([holder.process.pid, child])
        assert pids_of(one, lease, **ada.as_them()) == expected == pids_of(one, lease)
        env = {"GPUALLOC_STATE_DIR": one.path}
        cli.refused(77, "leases", "--pids", lease, env=env, says=[ada.name], **bob.as_them())
        # root leases for himself
        for somebody, says in ((bob.as_them(), "is not your lease"), ({}, "you have no lease")):
            cli.refused(77, "run", "--in", lease, "true", env=env, says=[says], **somebody)
        assert holder.end() == 0


# ---- joining ----

@case
def a_joined_job_lives_as_long_as_its_joiners():
    with store() as one:
        holder, lease, child, visible = family(one, "-n", "3")
        gate = os.path.join(one.where, "gate")
        os.mkfifo(gate)
        env = {"CUDA_VISIBLE_DEVICES": "6", "GPUALLOC_MEMORY": "5", "MINE": "kept"}
        shows = "echo $GPUALLOC_LEASE $CUDA_VISIBLE_DEVICES $MINE-$GPUALLOC_MEMORY; read line; exit 0"
        joined = one.hold("--in", lease, env=env, command=["sh", "-c", shows], machine=False)
        assert joined.said == f"{lease} {visible} kept-", joined.said
        assert pids_of(one, lease) == sorted([holder.process.pid, child, joined.process.pid])
        assert holder.end() == 0
        assert [entry["id"] for entry in one.leases()["leases"]] == [lease]
        one.refused(75, "-n", "8", "true")
        assert joined.end() == 0 and one.is_free()


@case
def a_supervised_job_is_joined_where_it_runs():
    with store() as one:
        holder, lease, _, visible = family(one, "-n", "2", "--supervise")
        env = {"GPUALLOC_STATE_DIR": one.path}
        shows = ["run", "--in", lease, "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"]
        assert cli.ok(*shows, env=env) == visible + "\n"
        cli.refused(64, "run", "--in", lease, "-n", "2", "true", env=env, says=["put --count inside"])
        inside = ["run", "--in", lease, GPUALLOC, "run", "-n", "1", "sh", "-c",
                  "echo $CUDA_VISIBLE_DEVICES"]
        assert cli.ok(*inside, env=env).strip() in visible.split(",")
        assert holder.end() == 0 and one.is_free()


@case
def a_lease_without_a_program_has_nothing_to_join():
    with store() as one:
        lone = ["sh", "-c", "unset GPUALLOC_LEASE; echo there; exec env -i cat"]
        holder = one.hold(command=lone)
        while b"GPUALLOC_LEASE" in environ_of(holder.process.pid):
            assert holder.process.poll() is None
        lease = one.leases()["leases"][0]["id"]
        env = {"GPUALLOC_STATE_DIR": one.path}
        cli.refused(77, "run", "--in", lease, "true", env=env, says=["nothing to join"])
        assert holder.end() == 0


def environ_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()


# ---- what runs on the devices ----

@contextlib.contextmanager
def machine_with(one, **processes):
    """Two GPUs and these processes on them, as `gpu0=[(pid, user, name, MiB)]`."""
    path = os.path.join(one.where, "machine.json")
    devices = []
    for i in range(2):
        listed = processes.get(f"gpu{i}")
        device = {"index": i, "uuid": f"GPU-0{i}0b0000-1111-2222-3333-00000000000{i}",
                  "name": "NVIDIA A40", "pci": f"00000000:0{i + 1}:00.0", "minor": i,
                  "memory": {"total": 48 << 30, "reserved": 0, "used": 0}, "health": "ok"}
        if listed is not None:
            device["processes"] = [{"pid": pid, "type": kind, "memory": mib << 20, "user": user,
                                    "name": name} for pid, kind, user, name, mib in listed]
        devices.append(device)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "name": "two", "source": "nvml", "driver": "580.65.06",
                   "devices": devices, "pcie": [["X", "PHB"], ["PHB", "X"]]}, file)
    one.machine = path
    yield path


def processes_of(one, lease):
    document = json.loads(one.ask("leases", "--json", "--machine", one.machine))
    return next(entry for entry in document["leases"] if entry["id"] == lease)["processes"]


@case
def leases_show_processes_intruders_and_idle_devices():
    with store() as one:
        with machine_with(one, gpu0=[], gpu1=[]):
            holder, lease, *_ = family(one, "-n", "2")
            assert processes_of(one, lease) == []
            assert "nothing is running there" in one.ask("leases", "--machine", one.machine)
            text = " ".join(one.ask("list", "--machine", one.machine).split())
            assert "GPU 0,1 leased by" in text and text.count("; nothing is running on it") == 1, text
        mine = (7001, "C", "root", "train\x1b[31m", 1024)
        with machine_with(one, gpu0=[mine, (7002, "C", "mallory", "miner", 512)],
                          gpu1=[mine, (7003, "G", "mallory", "Xorg", 5)]):
            first, second = processes_of(one, lease)
            assert (first["pid"], first["memory"], first["intruder"]) == (7001, 2048 << 20, False)
            assert second == {"pid": 7002, "user": "mallory", "name": "miner",
                              "memory": 512 << 20, "intruder": True,
                              "device": "GPU-000b0000-1111-2222-3333-000000000000"}, second
            text = one.ask("leases", "--machine", one.machine)
            assert "runs: 7001 train?[31m (2048 MiB)\n" in text, text
            assert "intruders: 7002 of mallory miner (512 MiB)\n" in text, text
            assert "nothing is running" not in text and "Xorg" not in text, text
            text = " ".join(one.ask("list", "--machine", one.machine).split())
            assert "nothing is running" not in text and "intruder" in text, text
        with machine_with(one, gpu0=None, gpu1=[]):  # one GPU's processes are not known
            assert processes_of(one, lease) is None
            assert "nothing is running there" not in one.ask("leases", "--machine", one.machine)
        assert holder.end() == 0


@case
def a_silent_driver_does_not_hold_up_the_list():
    with store() as one:
        holder = one.hold("-n", "2")
        env = {"GPUALLOC_STATE_DIR": one.path, "GPUALLOC_NVML": os.environ["FAKE_NVML"],
               "GPUALLOC_NVIDIA_SMI": "/nonexistent/nvidia-smi", "FAKE_HANG": "nvmlInit_v2",
               "GPUALLOC_MACHINE": None}
        result = cli.run("leases", "--json", "--deadline", "100ms", env=env)
        assert result.code == 0 and "cannot tell what runs on the devices" in result.err, result
        lease, = json.loads(result.out)["leases"]
        assert lease["pid"] == holder.process.pid and lease["processes"] is None, lease
        assert cli.run("leases", "-q", "--deadline", "100ms", env=env).err == ""
        cli.refused(65, "leases", "--machine", "/dev/null", env={"GPUALLOC_STATE_DIR": one.path})
        assert holder.end() == 0


# ---- who waits ----

@case
def devices_kept_for_a_waiter_are_shown():
    with store() as one:
        holder = one.hold("--only", "0")
        waiter = Terminal(GPUALLOC, "run", "--wait", "--machine", one.machine, "--only", "0-2", "-n",
                          "3", "true", env=one.environment())
        waiter.until("waiting")
        text = one.ask("leases", "--machine", one.machine)
        document = json.loads(one.ask("leases", "--machine", one.machine, "--json"))
        waiting, = document["waiting"]
        listed = json.loads(one.ask("list", "--json", "--machine", one.machine))["devices"]
        kept = {listed[1]["uuid"], listed[2]["uuid"]}
        assert set(waiting["keeps"]) == kept and len(waiting["keeps"]) == 2, waiting
        line = next(line for line in text.splitlines() if line.startswith("  kept for it: "))
        assert line[15:] == "1,2", text
        one.refused(75, "--only", "1", "true", says=[str(waiter.pid)])
        assert one.leases()["waiting"][0]["keeps"] is None  # without any machine
        assert holder.end() == 0 and waiter.end() == 0 and one.is_free()


main()
