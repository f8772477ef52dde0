#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One piece of hardware is leased once, however it is described: an instance whose place on its GPU one
source knows and another does not, and a GPU that is a whole one at one moment and cut into instances at
another. Instances known to be separate do not exclude each other because of this."""
import contextlib
import json
import os

import cli
from cli import case, main
from leasing import store

GIB = 1 << 30
GPU = "GPU-4101de38-535a-4255-ac14-a63e072d7a10"
OTHER = "GPU-4101de38-535a-4255-ac14-a63e072d7a11"
MIGS = [f"MIG-d771d93{i}-b556-4f9d-b742-2dd26b864023" for i in range(3)]
PLACES = [(1, 0), (5, 0), (13, 0)]


def gpu(uuid, index, **more):
    return {"index": index, "uuid": uuid, "name": "NVIDIA A100-SXM4-40GB",
            "pci": f"00000000:0{index + 1}:00.0", "minor": index,
            "memory": {"total": 40 * GIB, "reserved": 0, "used": 0}, "health": "ok",
            "processes": [], **more}


def instances(places):
    return [{"uuid": uuid, "profile": "1g.5gb",
             **({"gi": place[0], "ci": place[1]} if place else {}),
             "memory": {"total": 5 * GIB, "reserved": 0, "used": 0}, "processes": []}
            for uuid, place in zip(MIGS, places)]


def describe(one, name, devices):
    path = os.path.join(one.where, name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "name": "cut", "source": "nvml",
                   "driver": "580.65.06", "devices": devices,
                   "pcie": [["X" if i == j else "SYS" for j in range(len(devices))]
                            for i in range(len(devices))]}, file)
    return path


def as_a_list(one):
    """The same as `nvidia-smi -L` shows it, without places."""
    path = os.path.join(one.where, "list.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {GPU})\n")
        for i, uuid in enumerate(MIGS):
            file.write(f"  MIG 1g.5gb      Device  {i}: (UUID: {uuid})\n")
    return path


@contextlib.contextmanager
def described():
    """A store, and the machine as seen with places and without them."""
    with store() as one:
        yield one, describe(one, "places.json", [gpu(GPU, 0, mig=instances(PLACES))]), as_a_list(one)


def seen_as(one, machine):
    one.machine = machine
    return one


def states(one, machine):
    listed = json.loads(cli.ok("list", "--machine", machine, "--json",
                               env={"GPUALLOC_STATE_DIR": one.path}))
    return [mig["state"] for mig in listed["devices"][0]["mig"]]


@case
def an_instance_is_the_same_with_and_without_its_place():
    with described() as (one, places, listed):
        held = seen_as(one, places).hold("--mig", "--only", MIGS[1])
        seen_as(one, listed).refused(75, "--mig", "--only", MIGS[1], "true", says=["leased"])
        held.end()
        held = seen_as(one, listed).hold("--mig", "--only", MIGS[1])
        seen_as(one, places).refused(75, "--mig", "--only", MIGS[1], "true", says=["leased"])
        held.end()
        seen_as(one, places).ok("--mig", "--only", MIGS[1], "true")


@case
def an_instance_without_a_place_takes_all_of_its_gpu():
    with described() as (one, places, listed):
        held = seen_as(one, listed).hold("--mig", "--only", MIGS[0])
        assert states(one, places) == states(one, listed) == ["leased"] * 3
        seen_as(one, places).refused(75, "--mig", "true")
        seen_as(one, listed).refused(75, "--mig", "true")
        held.end()
        assert states(one, listed) == ["free"] * 3


@case
def an_instance_with_a_place_takes_no_more_than_that():
    with described() as (one, places, _):
        for i, uuid in enumerate(MIGS):
            seen_as(one, places).hold("--mig", "--only", uuid)
            assert states(one, places) == ["leased"] * (i + 1) + ["free"] * (2 - i)
        one.refused(75, "--mig", "true")


@case
def half_a_place_takes_all_of_the_gpu_instance():
    """Without CI: the compute instances of that GPU instance, and no others."""
    with described() as (one, places, _):
        halves = describe(one, "halves.json", [gpu(GPU, 0, mig=[
            {key: value for key, value in mig.items() if key != "ci"}
            for mig in instances(PLACES)])])
        seen_as(one, halves).hold("--mig", "--only", MIGS[1])
        assert states(one, places) == states(one, halves) == ["free", "leased", "free"]


@case
def a_share_needs_the_place():
    with described() as (one, places, _):
        unplaced = describe(one, "unplaced.json", [gpu(GPU, 0, mig=instances([None] * 3))])
        share = ["--mig", "--share", "-m", "1GiB"]
        seen_as(one, unplaced).refused(78, *share, "true", says=["GI and CI"])
        cli.refused(78, "pick", "--machine", unplaced, *share,
                    env={"GPUALLOC_STATE_DIR": one.path}, says=["GI and CI"])
        seen_as(one, places).ok(*share, "true")


@case
def nvidia_smi_supplies_the_places():
    """Its list has the UUIDs, its log the places: with both, nobody gets more than one instance."""
    with described() as (one, places, listed):
        env = {"GPUALLOC_NVIDIA_SMI": os.path.join(os.environ["FAKE_DIR"], "nvidia-smi"),
               "FAKE_MACHINE": places}
        held = seen_as(one, "nvidia-smi").hold("--mig", "--only", MIGS[0], env=env)
        assert states(one, places) == ["leased", "free", "free"]
        one.ok("--mig", "--only", MIGS[1], "true", env=env)
        one.refused(75, "--mig", "--only", MIGS[0], "true", env=env, says=["leased"])
        seen_as(one, listed).refused(75, "--mig", "--only", MIGS[1], "true")
        held.end()


@case
def a_budget_and_the_instances_of_its_gpu_exclude_each_other():
    with store() as one:
        whole = describe(one, "whole.json", [gpu(GPU, 0), gpu(OTHER, 1)])
        cut = describe(one, "cut.json", [gpu(GPU, 0, mig=instances(PLACES)), gpu(OTHER, 1)])
        share = ["--only", GPU, "--share", "-m", "2GiB"]
        held = [seen_as(one, whole).hold(*share) for _ in range(2)]
        assert states(one, cut) == ["leased"] * 3
        for uuid in MIGS:
            seen_as(one, cut).refused(75, "--mig", "--only", uuid, "true", says=["leased"])
            one.refused(75, "--mig", "--share", "-m", "1GiB", "--only", uuid, "true")
        for one_of_them in held:
            one_of_them.end()
        for words in ([], ["--share", "-m", "1GiB"]):
            for uuid in MIGS:
                held = seen_as(one, cut).hold("--mig", "--only", uuid, *words)
                seen_as(one, whole).refused(75, *share, "true", says=["leased"])
                one.refused(75, "--only", GPU, "true", says=["leased"])
                cli.refused(75, "pick", "--machine", whole, *share,
                            env={"GPUALLOC_STATE_DIR": one.path})
                held.end()
        seen_as(one, whole).ok(*share, "true")


@case
def so_does_a_budget_that_outlives_the_lease_around_it():
    with store() as one:
        whole = describe(one, "whole.json", [gpu(GPU, 0)])
        cut = describe(one, "cut.json", [gpu(GPU, 0, mig=instances(PLACES))])
        outer = seen_as(one, whole).leave_behind([], "--share", "-m", "1GiB")
        seen_as(one, cut).refused(75, "--mig", "true", says=["leased"])
        outer.end()
        seen_as(one, cut).ok("--mig", "true")


main()
