#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc pick: what is chosen, in which format, and how an impossible request is refused."""
import json
import os
import re
import subprocess

from cli import (BUILT_IN, GPUALLOC, case, environment, folder, healthy, machine_file, main, ok,
                 refused, run)

LAB, MIG, ODD = machine_file("lab.json"), machine_file("mig-kinds.json"), machine_file("odd.json")
PCI_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
POLICIES = ["balanced", "bandwidth", "best-effort", "best-fit", "pack", "random", "simple",
            "spread", "static-dgx1-pascal", "static-dgx1-volta", "static-dgx2", "worst-fit"]


def indices(machine, *words, env=None):
    """The chosen devices, as the driver counts; a MIG instance as parent:gi:ci."""
    return ok("pick", "--format", "index", "--machine", machine, *words, env=env).rstrip("\n")


def form(name, machine, *words, env=None):
    return ok("pick", "--format", name, "--machine", machine, *words, env=env)


def no(code, machine, *words, says=(), env=None):
    return refused(code, "pick", "--machine", machine, *words, says=says, env=env)


# ---- what is chosen ----

@case
def one_line_of_uuids_by_default():
    text = ok("pick", "--machine", "dgx1-volta", "-n", "4")
    assert text.count("\n") == 1 and text.endswith("\n"), text
    assert len(set(text.strip().split(","))) == 4, text
    assert all(word.startswith("GPU-") for word in text.split(",")), text
    assert text == form("uuid", "dgx1-volta", "-n", "4")


@case
def every_policy_chooses_as_many_as_asked_on_every_machine_it_is_for():
    for machine in BUILT_IN:
        for policy in POLICIES:
            result = run("pick", "--machine", machine, "-p", policy, "-n", "1", "--format",
                         "index")
            if policy.startswith("static") and result.code == 78:
                assert result.raw == b"" and policy in result.err, result
                continue
            assert result.code == 0 and result.out.strip().isdigit(), (machine, policy, result)


@case
def policies_choose_what_they_are_for():
    for words, chosen in ((["-p", "simple", "-n", "3"], "0,1,2"),
                          (["-p", "static-dgx1-volta", "-n", "2"], "0,3"),
                          (["-p", "static-dgx1-volta", "-n", "2", "--exclude", "0"], "1,2"),
                          (["-p", "best-effort", "-n", "2"], "0,3"),
                          (["-p", "simple", "--only", "6,2,4", "-n", "2"], "6,2"),
                          (["-n", "8"], "0,1,2,3,4,5,6,7")):
        assert indices("dgx1-volta", *words) == chosen, words
    no(78, "dgx1-volta", "-p", "static-dgx1-volta", "-n", "3", says=["1, 2, 4 or 8"])
    no(78, "rtx8000x4", "-p", "static-dgx2", says=["static-dgx2"])
    no(75, "dgx1-volta", "-p", "static-dgx1-volta", "-n", "2", "--only", "0,1",
       says=["none of its sets"])


@case
def required_devices_are_among_the_chosen_with_every_policy():
    for policy in POLICIES:
        if policy.startswith("static"):
            continue
        chosen = indices("dgx1-pascal", "-p", policy, "-n", "3", "--require", "6,1").split(",")
        assert len(chosen) == 3 and {"6", "1"} <= set(chosen), (policy, chosen)
    assert sorted(indices("dgx1-volta", "--require", "5,2").split(",")) == ["2", "5"]


@case
def the_display_comes_last_and_the_least_that_suffices_first():
    assert indices(LAB, "-p", "simple") == "1"
    assert indices(LAB, "-p", "simple", "-n", "2") == "1,0"
    assert indices(LAB, "-m", "30GiB", "-p", "simple") == "3"
    assert indices(LAB, "-p", "simple", "--only", "0,1") == "0", "the order of --only counts"


@case
def models():
    assert indices(LAB, "--model", "a6000") == "3"
    assert indices(LAB, "--model", "rtx 3090", "-n", "2", "-p", "simple") == "1,0"
    assert indices(LAB, "-n", "3", "--mixed", "-p", "simple") == "1,3,0"
    no(75, LAB, "-n", "3", says=["of one model", "--mixed"])
    no(78, LAB, "-n", "4", "--ignore-processes", says=["there are only 3 of one model", "--mixed"])
    no(64, LAB, "--require", "1,3", says=["several models", "--mixed"])
    no(78, LAB, "--model", "H100", says=["0-2: another model: NVIDIA GeForce RTX 3090"])
    no(64, LAB, "--model", "", says=["part of a GPU's name"])


@case
def memory_is_strict():
    assert indices(LAB, "-m", "24GiB", "--model", "3090") == "1", "the display has some"
    assert indices(LAB, "-m", "25769803776", "-p", "simple") == "1"
    no(75, LAB, "--model", "3090", "-m", "24GiB", "-n", "2",
       says=["0: has 23.5 GiB free, but 24.0 GiB are asked for", "process 4711 of alice (train.py)"])
    no(78, LAB, "--model", "3090", "-m", "25769803777",
       says=["too small: has 25769803776 bytes, but 25769803777 are asked for"])
    no(78, LAB, "-m", "1TiB", says=["too small", "unhealthy"])
    no(78, ODD, "-m", "1B", "--only", "0", says=["its free memory is not known"])


@case
def by_memory_processes_do_not_matter():
    assert indices(LAB, "-p", "best-fit", "-m", "1GiB") == "2"
    assert indices(LAB, "-p", "best-fit", "-m", "17GiB") == "4"
    assert indices(LAB, "-p", "worst-fit", "-m", "1GiB") == "3"
    assert indices(LAB, "-p", "worst-fit", "-n", "2", "--mixed") == "3,1"
    no(75, LAB, "-p", "best-fit", "-m", "48GiB", "-n", "2", "--mixed", says=["free"])


@case
def shares():
    assert indices(LAB, "--share", "-m", "10GiB", "--only", "2,4") in ("2", "4")
    assert indices(LAB, "--share", "-m", "20GiB", "--require", "0") == "0"
    no(64, LAB, "--share", says=["--memory"])
    no(64, LAB, "--share", "-m", "0", says=["--memory"])
    no(64, LAB, "--share", "64", says=['"64"', "--share takes no value"])
    for policy in ("balanced", "bandwidth", "best-effort", "static-dgx2"):
        no(64, LAB, "--share", "-m", "1G", "-p", policy, says=[policy, "pack"])


@case
def processes_are_tolerated_up_to_a_size():
    assert indices(LAB, "--require", "2", "--ignore-processes") == "2"
    assert indices(LAB, "--require", "2", "--ignore-processes=8GiB") == "2"
    no(75, LAB, "--require", "2", "--ignore-processes=1GiB",
       says=["processes use 7.5 GiB, but only 1.0 GiB is tolerated"])
    no(75, MIG, "--only", "0", "--ignore-processes=1G", says=["process 4711"])
    no(64, LAB, "--ignore-processes", "1GiB", says=["did you mean --ignore-processes=1GiB?"])
    no(64, LAB, "--ignore-processes=", says=["--ignore-processes=SIZE"])
    no(64, LAB, "--ignore-processes=some", says=['--ignore-processes: "some" is not a size'])


@case
def chance_can_be_repeated():
    seeded = {indices("nvl72", "-p", "random", "-n", "5", "--seed", "7") for _ in range(5)}
    assert len(seeded) == 1, seeded
    assert indices("nvl72", "-p", "random", "-n", "5", "--seed", "8") not in seeded
    assert len({indices("nvl72", "-p", "random", "-n", "5") for _ in range(8)}) == 8
    drawn = {indices("rtx8000x4", "-p", "random", "--seed", str(i)) for i in range(60)}
    assert drawn == {"0", "1", "2", "3"}, drawn
    for word in ("", "-1", "x", "1.5", "18446744073709551616"):
        no(64, "dgx2", f"--seed={word}", says=["--seed", "whole number"])
    indices("dgx2", "--seed", "18446744073709551615")


# ---- MIG ----

@case
def instances():
    assert indices("a100-mig", "--mig=2g.10gb") == "1:3:0"
    assert indices("a100-mig", "--mig").startswith("1:")
    assert indices("a100-mig") == "0", "a GPU in MIG mode is none that can be given"
    assert indices("a100-mig", "--mig", "--only", "1:13:0") == "1:13:0"
    assert indices("a100-mig", "--mig", "--only", "1:13,1:5", "-p", "simple") == "1:13:0"
    assert indices(MIG, "--mig=2g.20gb") == "1:5:0"
    no(75, MIG, "--mig=1g.10gb+me", says=["process 902"])
    no(64, MIG, "--mig=1g.10gb", says=["1c.3g.40gb, 2g.20gb, 1g.10gb+me, 7g.80gb"])
    no(78, "dgx2", "--mig=1g.5gb", says=["no MIG instance"])
    no(78, "dgx2", "--mig", says=["0-15: a whole GPU, not in MIG mode"])
    no(64, "a100-mig", "--mig", "1g.5gb", says=["did you mean --mig=1g.5gb?"])
    no(64, "a100-mig", "--mig", "1g.5gb", "-n", "2", says=["did you mean --mig=1g.5gb?"])
    no(64, "a100-mig", "--mig=", says=["--mig=PROFILE"])
    no(64, "a100-mig", "--require", "1:3:0", says=["--mig chooses among"])
    no(78, "a100-mig", "--only", "1", says=["in MIG mode", "--mig"])
    for policy in ("balanced", "bandwidth", "best-effort"):
        no(64, "a100-mig", "--mig", "-p", policy, says=[policy, "pack"])


@case
def several_instances_need_a_new_driver_and_one_of_each():
    assert indices("a100-mig", "--mig=1g.5gb", "-n", "3", "-p", "simple") == \
        "1:9:0,1:10:0,1:13:0"
    no(78, machine_file("busy.json"), "--mig", "-n", "2", says=["550.54.15", "570"])
    chosen = indices(MIG, "--mig", "-n", "2", "--ignore-processes", "--only", "1:1,1:5")
    assert sorted(chosen.split(",")) == ["1:1:0", "1:5:0"], chosen
    no(78, MIG, "--mig", "--require", "1:1:0,1:1:1", "--ignore-processes", says=["both"])


# ---- what is refused ----

@case
def counts():
    for word in ("0", "-1", "1x", "", " 1", "+1", "0x2", "1.5", "9223372036854775808",
                 "99999999999999999999999999"):
        no(64, "dgx1-volta", "-n", word, says=["--count", "whole number from 1"])
    no(78, "dgx1-volta", "-n", "10", says=["10 GPUs asked for, this machine has 8"])
    no(78, "dgx1-volta", "-n", "9223372036854775807", says=["this machine has 8"])
    no(64, "dgx1-volta", "-n", "1", "--require", "0,1", says=["2 devices are required"])
    no(64, "dgx1-volta", "-n", says=["--count needs a value"])


@case
def sizes():
    for word in ("8Gigs", "1e30GiB", "", "GiB", "-1", "8 G B", "0x10", "800", "1.5", "99999999TiB"):
        no(64, "dgx1-volta", f"--memory={word}", says=["--memory:", word[:5]])
    no(64, "dgx1-volta", "-m", "8Gigs", says=["8GiB, 800MB or 512M"])
    no(64, "dgx1-volta", "-m", "800", says=["did you mean 800MB?"])
    for word in ("8gib", "8gb", "8 GB", "0", "1B"):
        ok("pick", "--machine", "dgx1-volta", "-m", word)


@case
def unknown_policies_are_refused():
    no(64, "dgx2", "-p", "foo", says=['no policy "foo"', "balanced", "worst-fit"])
    no(64, "dgx2", "-p", "ballanced", says=["did you mean --policy balanced?"])
    no(64, "dgx2", "-p", "", says=["no policy"])


@case
def lists():
    for option in ("--only", "--exclude", "--require"):
        no(64, "dgx1-volta", option, "", says=[option, "the list of devices is empty"])
        no(64, "dgx1-volta", option, "0,,1", says=[option, "the list of devices has an empty entry"])
        no(64, "dgx1-volta", option, "8", says=[option, 'no device "8"', "gpualloc list"])
        no(64, "dgx1-volta", option, "3-1", says=[option, "must go from low to high"])
        no(64, "dgx1-volta", option, "GPU-", says=[option, "start of 8 UUIDs"])
        no(64, "dgx1-volta", option, "GPU-ffff", says=[option, "no device"])
    for word in ("5", "5-5", "GPU-5bb9", "gpu-5BB9ED26", "86:00.0", "0000:86:00.0",
                 "00000000:86:00.0", " 5 "):
        assert indices("dgx1-volta", "--only", word) == "5", word
    no(64, "dgx1-volta", "--require", "3", "--exclude", "2-4",
       says=["device 3 is required, but excluded by the request"])
    no(64, "dgx1-volta", "--require", "3", "--only", "0-2", says=["not one of those asked for"])
    no(78, "dgx1-volta", "--only", "0-3", "-n", "5", says=["only 4", "4-7: not one of those asked for"])
    no(78, "dgx1-volta", "--exclude", "0-7", says=["none can ever be available", "0-7: excluded by"])


@case
def busy_is_75_and_names_who_blocks_and_what_overrides():
    no(75, LAB, "--only", "2", says=["1 GPU asked for, 0 free now",
                                     "2: in use: process 4711 of alice (train.py)",
                                     "--ignore-processes would override"])
    no(75, LAB, "--require", "4", says=["device 4 is required", "process 5000 of bob"])
    no(78, LAB, "--require", "5", says=["device 5 is required", "unhealthy", "lost"])
    no(75, LAB, "-n", "5", "--mixed", says=["5 GPUs asked for, 3 free now", "5: unhealthy"])
    no(78, LAB, "-n", "6", "--mixed", says=["only 5 can ever be available"])


@case
def no_gpu_is_69():
    no(69, machine_file("empty.json"), says=["this machine has no GPU"])
    refused(69, "pick", env={"PATH": "/nonexistent", "GPUALLOC_NVML": "/nonexistent"},
            says=["--machine dgx1-volta"])


@case
def on_failure_a_script_gets_nothing_and_the_status():
    with folder() as where:
        os.symlink(GPUALLOC, os.path.join(where, "gpualloc"))
        done = subprocess.run(
            ["sh", "-c", "ids=$(gpualloc pick --machine dgx2 -n 17) || { echo $? [$ids]; exit; }"],
            env=environment(PATH=where + ":" + os.environ["PATH"]), capture_output=True,
            text=True, check=False)
        assert done.stdout == "78 []\n", done


# ---- the environment ----

@case
def an_inherited_list_restricts():
    for visible, chosen in (("7,5,3", "3,5,7"), ("0", "0"), ("3,3", None), ("", None),
                            ("-1", None), ("NoDevFiles", None), ("1,9,2", "1"),
                            ("GPU-5bb9,GPU-81138013", "2,5"), ("+2,1gpu", "1,2")):
        env = {"CUDA_VISIBLE_DEVICES": visible}
        if chosen is None:
            no(78, "dgx1-volta", env=env, says=["0-7: not in the inherited CUDA_VISIBLE_DEVICES",
                                                "--ignore-env would override"])
            continue
        count = str(chosen.count(",") + 1)
        assert sorted(indices("dgx1-volta", "-n", count, env=env).split(",")) == \
            chosen.split(","), visible
        no(78, "dgx1-volta", "-n", str(int(count) + 1), env=env, says=["CUDA_VISIBLE_DEVICES"])
        assert indices("dgx1-volta", "-n", "8", "--ignore-env", env=env).count(",") == 7
    no(64, "dgx1-volta", "--require", "0", env={"CUDA_VISIBLE_DEVICES": "1"},
       says=["device 0 is required", "CUDA_VISIBLE_DEVICES", "--ignore-env"])


@case
def indices_of_several_models_mean_nothing_without_an_order():
    env = {"CUDA_VISIBLE_DEVICES": "3"}
    no(64, LAB, env=env, says=["CUDA_DEVICE_ORDER=PCI_BUS_ID", "--ignore-env"])
    with folder() as where:
        assert indices(healthy(LAB, where), env={**env, **PCI_ORDER}) == "3"
    assert indices(LAB, env={"CUDA_VISIBLE_DEVICES": "GPU-11aa1111"}) == "1"
    assert indices(LAB, "--ignore-env", env=env) in ("1", "3")
    no(78, LAB, env={"CUDA_VISIBLE_DEVICES": ""}, says=["CUDA_VISIBLE_DEVICES"])
    no(64, LAB, "--format", "torch", says=["CUDA_DEVICE_ORDER=PCI_BUS_ID"])


@case
def an_inherited_instance_restricts():
    env = {"CUDA_VISIBLE_DEVICES": "MIG-78dde6c4"}
    assert indices("a100-mig", "--mig", env=env) == "1:5:0"
    assert form("torch", "a100-mig", "--mig", env=env) == "cuda:0\n"
    no(78, "a100-mig", env=env, says=["CUDA_VISIBLE_DEVICES"])


# ---- forms ----

@case
def ids_in_every_format():
    words = ["-p", "simple", "--only", "3,1"]
    both = ["dgx1-volta", *words, "-n", "2"]
    assert form("index", *both) == "3,1\n"
    assert form("pci", *both) == "00000000:0B:00.0,00000000:07:00.0\n"
    assert form("uuid", *both) == ("GPU-1f4af9c4-0000-0000-0000-000003000003,"
                                   "GPU-e2dc0662-0000-0000-0000-000003000001\n")
    assert form("torch", *both) == "cuda:3,cuda:1\n"
    assert form("pci", "a100-mig", "--mig=2g.10gb") == "00000000:81:00.0\n"
    assert form("uuid", "a100-mig", "--mig=2g.10gb") == "MIG-daa66d13-0000-0000-0000-000000000002\n"
    no(64, "dgx2", "--format", "foo", says=['no format "foo"', "uuid, index, pci, env, torch"])
    no(64, "dgx2", "--format", "", says=["no format"])
    no(64, "dgx2", "--format", "uuid", "--json", says=["two formats"])


@case
def torch_counts_what_it_sees():
    for visible, words, name in (("7,5,3", ["--require", "3"], "cuda:2"),
                                 ("GPU-5bb9,GPU-81138013", ["--require", "2"], "cuda:1"),
                                 ("7,5,3", ["--require", "7,5", "-p", "simple"], "cuda:0,cuda:1")):
        env = {"CUDA_VISIBLE_DEVICES": visible}
        for order in ({}, PCI_ORDER, {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}):
            assert form("torch", "dgx1-volta", *words, env={**env, **order}) == name + "\n"
    env = {"CUDA_VISIBLE_DEVICES": "7,5,3"}
    no(78, "dgx1-volta", "--format", "torch", "--ignore-env", "--require", "0", env=env,
       says=["device 0 is not visible", "CUDA_VISIBLE_DEVICES"])
    assert form("torch", "dgx1-volta", "--ignore-env", "--require", "5", env=env) == "cuda:1\n"
    with folder() as where:
        assert form("torch", healthy(LAB, where), "--require", "3", env=PCI_ORDER) == "cuda:3\n"


@case
def an_environment_for_a_program():
    assert form("env", "dgx1-volta", "-p", "simple", "--only", "3,1", "-n", "2",
                env={"CUDA_VISIBLE_DEVICES": "1,3"}) == (
        "CUDA_DEVICE_ORDER=PCI_BUS_ID\nCUDA_VISIBLE_DEVICES=3,1\n"
        "NVIDIA_VISIBLE_DEVICES=GPU-1f4af9c4-0000-0000-0000-000003000003,"
        "GPU-e2dc0662-0000-0000-0000-000003000001\n")
    uuid = "GPU-9e3779b1-0000-0000-0000-000000000000"
    assert form("env", "a100-mig") == (f"CUDA_DEVICE_ORDER=PCI_BUS_ID\nCUDA_VISIBLE_DEVICES={uuid}\n"
                                       f"NVIDIA_VISIBLE_DEVICES={uuid}\n")
    uuid = "MIG-daa66d13-0000-0000-0000-000000000002"
    assert f"\nCUDA_VISIBLE_DEVICES={uuid}\n" in form("env", "a100-mig", "--mig=2g.10gb")


def bare_machine(where, *addresses):
    """GPUs without UUIDs at these PCI addresses, in order of their index."""
    path = os.path.join(where, "bare.json")
    count = len(addresses)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1,
                   "devices": [{"index": i, **({"pci": pci} if pci else {})}
                               for i, pci in enumerate(addresses)],
                   "pcie": [["X" if i == j else "SYS" for j in range(count)]
                            for i in range(count)]}, file)
    return path


@case
def a_gpu_without_uuid_is_picked_by_index():
    with folder() as where:
        path = bare_machine(where, "00000000:0B:00.0", "00000000:07:00.0", "00000000:09:00.0")
        no(78, path, "--require", "0", says=["the UUID of device 0 is not known", "--format index"])
        assert indices(path, "--require", "0") == "0"
        assert form("pci", path, "--require", "0") == "00000000:0B:00.0\n"
        assert form("torch", path, "--require", "0", env=PCI_ORDER) == "cuda:2\n"
        # In PCI order, and without variables whose values are not known.
        assert form("env", path, "--require", "0") == \
            "CUDA_DEVICE_ORDER=PCI_BUS_ID\nCUDA_VISIBLE_DEVICES=2\n"
        path = bare_machine(where, None)
        assert form("env", path).endswith("=0\n")
        path = bare_machine(where, None, None)
        no(78, path, "--format", "env", says=["PCI address of GPU 0 is not known"])
        no(78, path, "--format", "pci", says=["PCI address", "--format index"])


@case
def a_number_that_is_not_certain_is_not_given_away():
    lost = machine_file("nvswitch-lost.json")
    assert re.search(r"\nCUDA_VISIBLE_DEVICES=(GPU-[^,]+,?){2}\nNVIDIA", form("env", lost, "-n", "2"))
    no(78, lost, "--format", "torch", env=PCI_ORDER, says=["GPU 5", "\"lost\""])
    no(64, lost, env={"CUDA_VISIBLE_DEVICES": "0,1", **PCI_ORDER},
       says=["CUDA_VISIBLE_DEVICES has indices", "GPU 5", "\"lost\"", "--ignore-env"])
    assert indices(lost, env={"CUDA_VISIBLE_DEVICES": "GPU-a1010101"}) == "1"
    with folder() as where:
        path = bare_machine(where, "00000000:08:00.0", None, "00000000:07:00.0")
        no(78, path, "--format", "env", "-n", "3", says=["PCI address of GPU 1 is not known"])


@case
def json_has_every_key():
    document = json.loads(form("json", "dgx1-volta", "-n", "2", "-p", "best-effort"))
    assert document == json.loads(ok("pick", "--machine", "dgx1-volta", "-n", "2", "-p",
                                     "best-effort", "--json"))
    assert document == {
        "schema": 1, "command": "pick",
        "machine": {"name": "dgx1-volta", "source": "builtin", "driver": "535.183.06",
                    "simulated": True},
        "devices": [
            {"id": index, "index": int(index), "uuid": uuid, "name": "Tesla V100-SXM2-16GB",
             "pci": pci, "memory_free": 16937648128}
            for index, uuid, pci in (
                ("0", "GPU-44a48cb1-0000-0000-0000-000003000000", "00000000:06:00.0"),
                ("3", "GPU-1f4af9c4-0000-0000-0000-000003000003", "00000000:0B:00.0"))],
        "policy": "best-effort", "value": 920, "bound": 920, "proven": True, "score": 230,
        "bandwidth": 40000, "left": 6}
    instance = json.loads(form("json", "a100-mig", "--mig=2g.10gb"))
    assert instance["devices"] == [
        {"id": "1:3:0", "index": 1, "uuid": "MIG-daa66d13-0000-0000-0000-000000000002",
         "name": "NVIDIA A100-PCIE-40GB", "pci": "00000000:81:00.0", "profile": "2g.10gb",
         "gi": 3, "ci": 0, "memory_free": 10334765056}]
    assert instance["policy"] == "pack" and instance["proven"] is False
    assert [instance[key] for key in ("value", "bound", "score", "bandwidth")] == [None] * 4
    assert json.loads(form("json", ODD, "--only", "0"))["devices"] == [
        {"id": "0", "index": 0, "uuid": None, "name": None, "pci": None, "memory_free": None}]


@case
def nothing_from_outside_reaches_the_terminal():
    for words in (["--only", "\033[31m"], ["-p", "\033[31m"], ["-m", "\033"], ["-n", "\033"],
                  ["--mig=\033[2J"], ["--format", "\033"], ["--model", "\033[31m"]):
        result = run("pick", "--machine", "a100-mig", *words)
        assert result.code in (64, 78) and "\033" not in result.err, result


main()
