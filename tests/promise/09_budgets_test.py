#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Free memory can be leased however many pieces it is in, and `pick`, `list` and `run` agree on how much
there is."""
import json
import os
import subprocess

import cli
from cli import case, main
from leasing import PATIENCE, store

GIB = 1 << 30
GPU = "GPU-0a0b0000-1111-2222-3333-000000000009"


def machine(one, total=40 * GIB, used=0):
    one.machine = os.path.join(one.where, "machine.json")
    with open(one.machine, "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "name": "one", "source": "nvml",
                   "driver": "580.65.06", "pcie": [["X"]],
                   "devices": [{"index": 0, "uuid": GPU, "name": "NVIDIA A40",
                                "pci": "00000000:01:00.0", "minor": 0, "health": "ok",
                                "memory": {"total": total, "reserved": 0, "used": used},
                                "processes": []}]}, file)


def share(memory):
    return ["--share", "-m", memory]


def pick(one, memory, **options):
    return cli.run("pick", "--machine", one.machine, *share(memory),
                   env={"GPUALLOC_STATE_DIR": one.path}, **options).code


def both(one, code, memory):
    """run does what pick says, at once and without a second claim."""
    assert pick(one, memory) == code, memory
    if code == 0:
        one.ok(*share(memory), "true")
    else:
        one.refused(code, *share(memory), "true", says=["asked for"])


def comb(one, teeth, width, gap):
    """Budgets with gaps between them: of every two neighbours, one has gone."""
    stay, go = [], []
    for _ in range(teeth):
        stay.append(one.hold(*share(f"{width}MiB")))
        go.append(one.hold(*share(f"{gap}MiB")))
    for holder in go:
        holder.end()
    return stay


@case
def free_memory_in_many_pieces_is_granted():
    with store() as one:
        machine(one)
        teeth = comb(one, 20, 100, 1900)
        # 20 of 100 MiB are held; 38,960 MiB are free, in 20 pieces of which none has 3 GiB
        both(one, 0, "30GiB")
        both(one, 0, "38960MiB")
        both(one, 75, "38961MiB")
        holder = one.hold(*share("38960MiB"))
        both(one, 75, "1MiB")
        lease = next(lease for lease in one.leases()["leases"]
                     if lease["memory"] == 38960 << 20)
        assert [device["uuid"] if isinstance(device, dict) else device
                for device in lease["devices"]] == [GPU], lease
        assert not any("no record" in (lease["note"] or "") for lease in one.leases()["leases"])
        holder.end()
        for tooth in teeth:
            tooth.end()
        both(one, 0, "40GiB")


@case
def a_grant_in_pieces_can_be_shared_out_within():
    with store() as one:
        machine(one)
        comb(one, 20, 100, 1900)
        inner = f"{cli.GPUALLOC} run --machine {one.machine} --share -m"
        outer = one.hold(*share("30GiB"), command=[
            "sh", "-c", f"{inner} 29GiB sh -c 'echo in; read x'; exit 0"])
        assert outer.said == "in"
        outer.end()
        said = one.run(*share("30GiB"), "sh", "-c", f"{inner} 31GiB true; echo $?")
        assert said.out == "78\n" and "has 30.0 GiB, but 31.0 GiB are asked for" in said.err, said
        said = one.run(*share("30GiB"), "sh", "-c",
                       f"{inner} 20GiB sh -c '{inner} 10GiB true && {inner} 20GiB true'; echo $?")
        assert said.out == "0\n", said


@case
def it_waits_even_if_free_memory_is_in_pieces():
    with store() as one:
        machine(one)
        comb(one, 20, 100, 1900)
        last = one.hold(*share("20GiB"))
        process = subprocess.Popen(
            [cli.GPUALLOC, "run", "--machine", one.machine, "--wait=60s", *share("30GiB"),
             "echo", "had"], env=one.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        try:
            last.end()
            out, err = process.communicate(timeout=PATIENCE)
            assert out == "had\n", (out, err)
        finally:
            process.kill()
            process.communicate()


@case
def few_pieces_are_taken_if_possible():
    with store() as one:
        machine(one)
        comb(one, 10, 100, 200)
        holder = one.hold(*share("5GiB"))
        with open(record_of(one, 5 * GIB), encoding="utf-8") as file:
            line = next(line for line in file if line.startswith("device "))
        assert len(line.split()) == 3, line
        holder.end()


def record_of(one, memory):
    lease = next(lease for lease in one.leases()["leases"] if lease["memory"] == memory)
    return os.path.join(one.path, "records", lease["id"])


@case
def an_inner_budget_that_outlives_its_outer_one_leaves_the_rest():
    with store() as one:
        machine(one)
        for outer in (share("10GiB"), []):
            left_over = one.leave_behind(outer, *share("4GiB"))
            both(one, 0, "36GiB")
            both(one, 75, "36865MiB")
            one.refused(75, "true", says=["leased"])
            beside = one.hold(*share("30GiB"))
            both(one, 0, "6GiB")
            both(one, 75, "7GiB")
            beside.end()
            left_over.end()
            both(one, 0, "40GiB")


@case
def a_budget_that_outlives_its_lease_counts_once():
    with store() as one:
        machine(one)
        left_over = one.leave_behind(share("10GiB"))  # all that the outer one had
        both(one, 0, "30GiB")
        both(one, 75, "31GiB")
        left_over.end()


@case
def budgets_are_whole_mebibytes_for_everybody():
    with store() as one:
        machine(one, total=10 * GIB + (1 << 19))
        both(one, 0, "10GiB")
        for code in (pick(one, str(10 * GIB + 1)),
                     one.run(*share(str(10 * GIB + 1)), "true").code):
            assert code == 78, code
        machine(one, total=10 * GIB + (1 << 19), used=1 << 20)
        both(one, 0, "10239MiB")
        for code in (pick(one, str((10239 << 20) + 1)),
                     one.run(*share(str((10239 << 20) + 1)), "true").code):
            assert code == 75, code


main()
