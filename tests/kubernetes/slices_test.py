#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ResourceSlices as --print-slices writes them: what Kubernetes accepts, and what its scheduler, who
takes the first device that fits, gives out with them."""
import itertools
import json
import os
import random
import re
import subprocess
import tempfile
import textwrap

import cli
from cli import BUILT_IN, case, main
from slices import Scheduler, attribute, check_pool, check_slice, consumption, of_size

AGENT = os.environ["GPUALLOC_K8S"]


def printed(machine, *words, node="n1"):
    done = subprocess.run([AGENT, "--print-slices", "--machine", machine, "--node", node, *words],
                          env=cli.environment(), timeout=120, capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == b"", done
    return done.stdout


def slices_of(machine, *words, **more):
    found = json.loads(printed(machine, *words, **more))
    assert (found["apiVersion"], found["kind"]) == ("v1", "List"), found
    for one in found["items"]:
        check_slice(one)
    return check_pool(found["items"])


def devices_of(slices):
    return {device["name"]: device for one in slices for device in one["spec"].get("devices", [])}


def members(name):
    return {int(number) for number in name.split("-")[1:]}


def take(*numbers):
    return lambda device: device["name"] in {f"gpu-{number}" for number in numbers}


@case
def kubernetes_accepts_those_of_every_machine():
    for machine in BUILT_IN:
        first = printed(machine, "--mig", "mixed")
        assert first == printed(machine, "--mig", "mixed"), f"{machine}: not the same each time"
        slices = slices_of(machine, "--mig", "mixed")
        assert {one["spec"]["driver"] for one in slices} == {"gpu.gpualloc.example"}
        assert {one["spec"]["pool"]["name"] for one in slices} == {"n1"}
        # What the classes select by; a device without it would make claims fail.
        assert all({"gpus", "type"} <= set(device["attributes"]) for device in devices_of(slices).values())


@case
def names_of_nodes_may_be_long():
    node = ".".join(["a" * 60] * 4)
    names = [one["metadata"]["name"] for one in slices_of("dgx1-volta", node=node)]
    other = [one["metadata"]["name"] for one in slices_of("dgx1-volta", node=node[:-1] + "b")]
    assert names == sorted(names) and not set(names) & set(other), names


@case
def the_first_set_that_fits_is_the_best_connected():
    slices = slices_of("dgx1-volta")
    assert members(*Scheduler().claim(slices, of_size(6))) == {0, 2, 3, 4, 6, 7}
    scheduler = Scheduler()
    scheduler.claim(slices, take(1))
    assert members(*scheduler.claim(slices, of_size(4))) == {4, 5, 6, 7}
    assert members(*Scheduler().claim(slices, of_size(8))) == set(range(8))
    # Whatever is taken, it is as fast as the best that is left.
    draw = random.Random(1)
    bandwidth = {name: attribute(device, "bandwidth") for name, device in devices_of(slices).items()}
    for _ in range(40):
        taken = draw.sample(range(8), draw.randint(0, 6))
        size = draw.randint(2, 8 - len(taken))
        scheduler = Scheduler()
        scheduler.claim(slices, take(*taken), count=len(taken))
        found, = scheduler.claim(slices, of_size(size))
        best = max(bandwidth["set-" + "-".join(map(str, some))] for some in
                   itertools.combinations(sorted(set(range(8)) - set(taken)), size))
        assert bandwidth[found] == best, (taken, found)


def pairs_of_nvlink(where, order):
    """Eight GPUs, of which two and two have NVLink, whatever their numbers."""
    machine = json.loads(cli.ok("snapshot", "--machine", "dgx1-volta"))
    machine["nvlink"] = [[0] * 8 for _ in range(8)]
    for a, b in zip(order[::2], order[1::2]):
        machine["nvlink"][a][b] = machine["nvlink"][b][a] = 2
    path = os.path.join(where, "pairs.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(machine, file)
    return path


@case
def four_claims_of_one_leave_two_pairs_for_two_claims_of_two():
    draw, got = random.Random(2), 0
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        for _ in range(8):
            order = draw.sample(range(8), 8)
            slices = slices_of(pairs_of_nvlink(where, order))
            scheduler = Scheduler()
            for _ in range(4):
                assert scheduler.claim(slices, of_size(1))
            pairs = [set(pair) for pair in zip(order[::2], order[1::2])]
            got += sum(members(*scheduler.claim(slices, of_size(2))) in pairs for _ in range(2))
    assert got == 16, got


@case
def where_all_sets_are_equal_there_are_none():
    for machine in ("dgx2", "dgx-a100", "hgx-h100", "nvl72"):
        slices = slices_of(machine)
        gpus = [device for device in devices_of(slices).values() if attribute(device, "gpus") == 1]
        assert len(gpus) == len(devices_of(slices)) >= 8, machine
        assert len(Scheduler().claim(slices, of_size(1), count=4)) == 4


@case
def of_sixteen_gpus_a_bounded_number_of_sets_is_there():
    slices = slices_of("pcie16")
    sets = [device for device in devices_of(slices).values() if attribute(device, "type") == "set"]
    assert 200 <= len(sets) <= 512
    assert {attribute(device, "gpus") for device in sets} == set(range(2, 17))
    for size in range(2, 17):
        assert Scheduler().claim(slices, of_size(size)), size


@case
def nothing_is_given_out_twice():
    draw = random.Random(3)
    for machine in ("dgx1-volta", "pcie16", "a100-mig", "nvl72"):
        slices = slices_of(machine, "--mig", "mixed")
        devices, scheduler, held, got = devices_of(slices), Scheduler(), [], 0
        for _ in range(60):
            if held and draw.random() < .4:
                scheduler.give_back(*held.pop(draw.randrange(len(held))))
            size = draw.choice((1, 1, 2, 3, 4, 8))
            wanted = draw.choice((of_size(size), lambda device: attribute(device, "type") == "mig"))
            found = scheduler.claim(slices, wanted)
            held += [found] if found else []
            got += len(found)
            uuids = [value["string"] for names in held for name in names
                     for key, value in devices[name]["attributes"].items() if key.startswith("uuid")]
            assert len(set(uuids)) == len(uuids), held
        assert got > 10, (machine, got)


@case
def instances_of_mig_consume_their_gpu():
    slices = slices_of("a100-mig", "--mig", "mixed")
    instances = {name: device for name, device in devices_of(slices).items()
                 if attribute(device, "type") == "mig"}
    used = {}
    for name, device in instances.items():
        assert attribute(device, "profile") and attribute(device, "parentUUID"), device
        (counter, value), = consumption(device)
        assert name.startswith(counter[1] + "-mig-"), name
        used[counter] = used.get(counter, 0) + value
    assert instances and all(value <= 8 for value in used.values()), used
    assert len(Scheduler().claim(slices, lambda device: device["name"] in instances,
                                 count=len(instances))) == len(instances)
    # Who does not want them offered gets whole GPUs only.
    assert "mig" not in {attribute(device, "type") for device in devices_of(slices_of("a100-mig")).values()}


@case
def what_must_not_be_given_out_is_tainted_in_every_set():
    machine = json.loads(cli.ok("snapshot", "--machine", "dgx1-volta"))
    machine["devices"][3]["health"] = "lost"
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        path = os.path.join(where, "lost.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(machine, file)
        slices = slices_of(path)
    for name, device in devices_of(slices).items():
        assert (3 in members(name)) == bool(device.get("taints")), name
        if device.get("taints"):
            assert device["taints"] == [{"key": "gpu.gpualloc.example/unavailable", "value": "unhealthy",
                                         "effect": "NoSchedule"}], device
    assert 3 not in members(*Scheduler().claim(slices, of_size(4)))


@case
def attributes_say_what_selects_a_device():
    slices = slices_of("dgx1-volta", "--driver", "gpu.example.com")
    device, pair = devices_of(slices)["gpu-4"], devices_of(slices)["set-4-7"]
    machine = json.loads(cli.ok("snapshot", "--machine", "dgx1-volta"))["devices"]
    assert attribute(device, "uuid") == machine[4]["uuid"]
    assert [attribute(pair, "uuid0"), attribute(pair, "uuid1")] == [machine[n]["uuid"] for n in (4, 7)]
    for one in (device, pair):
        assert attribute(one, "productName") == machine[4]["name"]
        assert attribute(one, "numaNode") == 1
    assert attribute(device, "resource.kubernetes.io/pciBusID").count(":") == 2
    assert attribute(pair, "bandwidth") == 40000
    assert device["capacity"] == {"memory": {"value": "16Gi"}}, device
    assert pair["capacity"] == {"memory": {"value": "32Gi"}}, pair


def manifest(name):
    with open(os.path.join(cli.ROOT, "../engines/kubernetes/manifests", name), encoding="utf-8") as file:
        return file.read()


@case
def the_manifests_say_what_the_agent_understands():
    text = manifest("dra.yaml")
    settings = re.search(r"^  gpualloc-k8s\.conf: \|\n((?:    .*\n)+)", text, re.MULTILINE)[1]
    variables = {name: "n1" for name in re.findall(r"GPUALLOC_K8S_\w+", text)}
    with tempfile.NamedTemporaryFile("w", prefix="gpualloc-k8s-", suffix=".conf") as file:
        file.write(textwrap.dedent(settings))
        file.flush()
        done = subprocess.run([AGENT, "--check", "--config", file.name], env=cli.environment(**variables),
                              timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "api = dra" in done.stdout and "node = n1" in done.stdout, done
    named = set(re.findall(r'driver == "([^"]+)"', text + manifest("deviceclasses.yaml")))
    assert named == {"gpu.gpualloc.example"}, named


@case
def each_class_selects_the_devices_that_its_name_says():
    classes = manifest("deviceclasses.yaml").split("\n---\n")
    devices = {**devices_of(slices_of("dgx1-volta")), **devices_of(slices_of("a100-mig", "--mig", "mixed"))}
    seen = set()
    for one in classes:
        name = re.search(r"^  name: (\S+)", one, re.MULTILINE)[1]
        driver, domain, what, wanted = re.search(
            r'device\.driver == "(\S+)" && device\.attributes\["(\S+)"\]\.(\w+) == (\S+)', one).groups()
        found = [device for device in devices.values() if attribute(device, what) == json.loads(wanted)]
        assert driver == domain and found, one
        size = {"gpu": 1, "gpu-mig": 0}.get(name) if "set" not in name else int(name.rsplit("-", 1)[1])
        assert {attribute(device, "gpus") for device in found} == {size}, name
        seen.add(size)
    assert {0, 1, 2, 4, 8} <= seen, seen


@case
def what_cannot_be_published_is_a_sentence():
    done = subprocess.run([AGENT, "--print-slices", "--machine", cli.machine_file("empty.json")],
                          env=cli.environment(), timeout=60, capture_output=True, text=True,
                          check=False)
    assert done.returncode != 0 and done.stdout == "" and "no device" in done.stderr, done
    for words in (["--node", "UPPER"], ["--driver", "a..b"], ["--driver", "d" * 64]):
        done = subprocess.run([AGENT, "--print-slices", "--machine", "dgx2", *words],
                              env=cli.environment(), timeout=60, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 64 and done.stdout == "", done


if __name__ == "__main__":
    main()
