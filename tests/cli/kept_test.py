#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No command calls free what run refuses: what is kept for a waiter, what shares leave, what is
being taken out of use, and what a lost GPU cannot say of itself."""
import json
import os
import tempfile

import cli
from cli import case, main
from leasing import store
from waiting import describe, waiters


def devices(one, *words):
    return json.loads(one.ask("list", "--json", "--machine", one.machine, *words))["devices"]


def asked(one, *words):
    return cli.run(*words, "--machine", one.machine, env={"GPUALLOC_STATE_DIR": one.path})


@case
def what_is_kept_for_a_waiter_is_free_for_nobody():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "4")
        waiter = some.start("six", "-n", "6", "--note", "thesis")
        held = sorted(int(word) for word in holder.said.split(","))
        kept = [index for index in range(8) if index not in held]
        states = {device["index"]: device["state"] for device in devices(one)}
        assert states == {**dict.fromkeys(held, "leased"), **dict.fromkeys(kept, "kept")}, states
        device = devices(one)[kept[0]]
        assert str(waiter.pid) in device["reason"] and "waited longer" in device["reason"], device
        assert device["kept_for"]["pid"] == waiter.pid, device
        assert device["memory"]["free"] == 0, device
        says = f"kept for {device['kept_for']['user']} (process {waiter.pid}), who has waited longer"
        for words in (["pick"], ["explain"], ["pick", "-p", "best-fit"], ["pick", "-m", "1GiB"],
                      ["explain", "--only", str(kept[0])]):
            result = asked(one, *words)
            assert result.code == 75 and result.raw == b"" and says in result.err, (words, result)
        # Whether it wants fewer or more than are kept: none of them is free for it.
        for count in range(1, 9):
            one.refused(75, "-n", str(count), "true", says=[says, "asked for, 0 free now"])
        one.refused(124, "--wait=1s", "-n", "3", "true", says=["waited 1 s", says, ", 0 free now"])
        assert " kept " in asked(one, "list").out
        assert one.run("--ignore-leases", "true").code == 0
        assert asked(one, "pick", "--ignore-leases").code == 0
        waiting, = json.loads(one.ask("leases", "--json", "--machine", one.machine))["waiting"]
        assert waiting["note"] == "thesis" and waiting["command"].startswith("sh -c"), waiting
        assert sorted(waiting["keeps"]) == sorted(devices(one)[i]["uuid"] for i in kept), waiting
        holder.end()
        some.end()
        assert {device["state"] for device in devices(one)} == {"free"}


@case
def what_a_waiter_cannot_use_is_free():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "4", "--only", "0-3")
        some.start("five", "-n", "2", "--only", "3,4")
        states = [device["state"] for device in devices(one)]
        assert states == ["leased"] * 4 + ["kept"] + ["free"] * 3, states
        assert asked(one, "pick", "-n", "3", "--format", "index").code == 0
        result = asked(one, "explain", "-n", "3")
        assert "kept for" in result.out, result
        holder.end()
        some.end()


@case
def shares_show_each_lease_and_what_is_left():
    with store() as one:
        first = one.hold("-m", "4GiB", "--share", "--only", "0")
        second = one.hold("-m", "2GiB", "--share", "--only", "0")
        device, other = devices(one)[:2]
        assert device["state"] == "leased", device
        assert [(lease["pid"], lease["memory"]) for lease in device["leases"]] == \
            [(first.process.pid, 4 << 30), (second.process.pid, 2 << 30)], device
        assert device["lease"] == device["leases"][0]["id"], device
        memory = device["memory"]
        left = memory["total"] - memory["reserved"] - (6 << 30)
        assert left - (1 << 20) < memory["free"] <= left, memory
        assert other["leases"] == [] and other["memory"]["free"] == \
            memory["total"] - memory["reserved"], other
        for lease in device["leases"]:
            assert f"(lease {lease['id']})" in device["reason"], device
        assert device["reason"].endswith("MiB left"), device
        picked = json.loads(one.ask("pick", "--json", "--machine", one.machine, "--share", "-m",
                                    "1GiB", "--only", "0"))["devices"][0]
        assert picked["memory_free"] == memory["free"], picked
        one.refused(75, "--share", "-m", "12GiB", "--only", "0", "true", says=[
            "has 9.7 GiB free, but 12.0 GiB are asked for; leased by", "4096 MiB of it"])
        first.end()
        second.end()


@case
def a_waiting_share_leaves_the_rest_to_other_shares():
    with store() as one, waiters(one) as some:
        holder = one.hold("--only", "1")
        some.start("two", "-n", "2", "--share", "-m", "8GiB", "--only", "0,1")
        device = devices(one)[0]
        assert device["state"] == "kept" and "8192 MiB of it" in device["reason"], device
        memory = device["memory"]
        left = memory["total"] - memory["reserved"] - (8 << 30)
        assert left - (1 << 20) < memory["free"] <= left, memory
        assert asked(one, "pick", "--only", "0").code == 75
        assert asked(one, "pick", "--only", "0", "--share", "-m", "9GiB").code == 75
        one.refused(75, "--only", "0", "true", says=["kept for"])
        assert asked(one, "pick", "--only", "0", "--share", "-m", "4GiB").code == 0
        assert one.run("--only", "0", "--share", "-m", "4GiB", "true").code == 0
        holder.end()
        some.end()


@case
def a_lease_inside_one_has_the_same_words():
    with store() as one:
        inner = "gpualloc_list() { \"$GPUALLOC\" list --json --machine dgx1-volta; }; gpualloc_list"
        out = one.ok("-n", "2", "sh", "-c", inner, env={"GPUALLOC": cli.GPUALLOC})
        states = sorted(device["state"] for device in json.loads(out)["devices"])
        assert states == ["excluded"] * 6 + ["free"] * 2, states


@case
def nobody_is_told_to_ignore_the_environment_where_that_does_not_help():
    with store() as one:
        for words in (["pick"], ["run"], ["explain"]):
            inner = f"\"$GPUALLOC\" {words[0]} --machine dgx1-volta -n 3 " \
                f"{'true' if words[0] == 'run' else ''}; test $? = 78 && echo refused"
            result = one.run("-n", "2", "sh", "-c", inner, env={"GPUALLOC": cli.GPUALLOC})
            assert result.out == "refused\n" and "not part of lease" in result.err, result
            assert "--ignore-env" not in result.err, result
        result = asked(one, "pick", "-n", "9")
        assert result.code == 78 and result.err == \
            "gpualloc: 9 GPUs asked for, this machine has 8\n", result


@case
def a_lost_gpu_is_not_another_model():
    where = tempfile.mkdtemp(prefix="gpualloc-test-")
    path = os.path.join(where, "lost.json")
    describe(path, [])
    with open(path, encoding="utf-8") as file:
        machine = json.load(file)
    machine["source"] = "file"
    del machine["devices"][0]["name"]
    machine["devices"][0]["health"] = "lost"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(machine, file)
    result = cli.run("pick", "--machine", path, "-n", "2", "--model", "A40")
    assert result.code == 78 and "another model" not in result.err, result
    assert "0: unhealthy: the driver has lost this GPU" in result.err, result
    assert "another model" not in cli.ok("explain", "--machine", path, "--model", "A40")
    machine["devices"][0]["health"] = "ok"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(machine, file)
    result = cli.run("pick", "--machine", path, "-n", "2", "--model", "A40")
    assert result.code == 78 and "0: its model is not known" in result.err, result
    os.unlink(path)
    os.rmdir(where)


@case
def others_see_when_a_lease_will_end():
    with store() as one:
        name = one.ask("hold", "--machine", one.machine, "--only", "0", "--for", "1h").strip()
        until = one.leases()["leases"][0]
        assert until["until"] == until["since"] + 3600, until
        one.ask("hold", "--extend", name, "--for", "2h")
        later = one.leases()["leases"][0]
        assert 7195 <= later["until"] - until["until"] <= 7201, (until, later)
        assert {key: later[key] for key in later if key != "until"} == \
            {key: until[key] for key in until if key != "until"}, (until, later)
        assert devices(one)[0]["leases"][0]["until"] == later["until"]
        holder = one.hold("--only", "1", "--time-limit", "30m")
        limited, = [lease for lease in one.leases()["leases"] if lease["id"] != name]
        assert limited["until"] == limited["since"] + 1800, limited
        endless = one.hold("--only", "2")
        assert None in [lease["until"] for lease in one.leases()["leases"]]
        holder.end()
        endless.end()
        one.ask("release", name)
        assert one.is_free() and not [name for name in one.files() if ".new" in name]


main()
