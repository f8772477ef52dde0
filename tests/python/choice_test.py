#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looking at machines and choosing in Python: the answers are those of the command."""
import json
import os
import pickle
import sys
import threading

from cli import BUILT_IN, case, environment, folder, main, ok
from package import PACKAGES

sys.path.insert(0, PACKAGES)
import gpualloc  # noqa: E402

for name in set(os.environ) - set(environment()):
    del os.environ[name]
os.environ["GPUALLOC_CONFIG"] = "/nonexistent/gpualloc.conf"
os.environ["GPUALLOC_STATE_DIR"] = "/nonexistent/store"  # what others lease is nobody's answer


def raises(kind, function, *words, **named):
    try:
        function(*words, **named)
    except kind as problem:
        return problem
    raise AssertionError(f"no {kind.__name__}")


@case
def machines_are_as_the_command_lists_them():
    for name in BUILT_IN:
        listed = json.loads(ok("list", "--json", "--machine", name))
        machine = gpualloc.machine(name)
        assert machine.name == listed["machine"]["name"] and machine.is_simulated, machine
        assert not machine.is_here and machine.source == listed["machine"]["source"]
        assert len(machine) == len(listed["devices"]) > 0
        for device, row in zip(machine, listed["devices"]):
            seen = (device.index, device.uuid, device.name, device.state, device.reason,
                    device.memory_total, device.memory_free, len(device.mig))
            assert seen == (row["index"], row["uuid"], row["name"], row["state"],
                            row["reason"] or "", row["memory"]["total"], row["memory"]["free"],
                            len(row["mig"] or [])), (seen, row)


@case
def instances_know_their_gpu():
    machine = gpualloc.machine("a100-mig")
    cut = [device for device in machine if device.mig_enabled][0]
    instance = cut.mig[0]
    assert instance.parent == cut and instance.profile and instance.uuid.startswith("MIG-")
    assert instance.name == cut.name and cut.parent is None and cut.profile is None
    assert gpualloc.pick(mig=instance.profile, machine=machine)[0].profile == instance.profile
    assert gpualloc.pick(mig=True, only=[instance], machine=machine)[0] == instance
    assert gpualloc.pick(only=instance.id, mig=True, machine=machine).devices == (instance,)


@case
def what_is_unknown_is_none():
    device = gpualloc.machine("dgx1-volta")[0]
    assert device.serial is None and device.lease is None and device.profile is None
    assert device.minor is None or device.minor >= 0
    assert gpualloc.pick(machine="dgx1-volta").bandwidth is None


@case
def links_and_scores():
    machine = gpualloc.machine("dgx1-volta")
    link = machine.link(machine[0], 3)
    assert (link.level, link.kind, link.count) == ("PHB", "NVLink", 2), link
    assert machine.score([machine[0], machine[3]]).pairs == 230
    assert gpualloc.machine("rtx8000x4").link(0, 1).p2p in (None, "ok", "no")
    assert "not a GPU of this machine" in str(raises(gpualloc.BadRequest, machine.link, 0, 8))
    other = gpualloc.machine("dgx2")
    raises(gpualloc.BadRequest, machine.link, 0, other[1])


@case
def choices_are_those_of_the_command():
    for words, named in (([], {}), (["-n", "3"], {"count": 3}),
                         (["-n", "2", "--only", "1,5,7"], {"count": 2, "only": [1, 5, 7]}),
                         (["-n", "4", "--policy", "bandwidth"], {"count": 4, "policy": "bandwidth"}),
                         (["-n", "2", "--require", "6"], {"count": 2, "require": "6"}),
                         (["-n", "2", "--exclude", "0-4"], {"count": 2, "exclude": "0-4"}),
                         (["--policy", "random", "--seed", "7"], {"policy": "random", "seed": 7}),
                         (["--memory", "8GiB", "--policy", "best-fit"],
                          {"memory": "8GiB", "policy": "best-fit"})):
        told = json.loads(ok("explain", "--json", "--machine", "dgx1-volta", *words))
        for function in (gpualloc.pick, gpualloc.explain):
            choice = function(machine="dgx1-volta", **named)
            assert list(choice.ids) == [row["id"] for row in told["devices"]], (words, choice)
            assert choice.policy == told["policy"] and choice.proven == told["proven"]
            assert (choice.value, choice.bound) == (told["value"], told["bound"])
        assert [list(other.ids) for other in choice.alternatives] == \
            [row["devices"] for row in told["alternatives"]]
        assert [row.device.id for row in choice.rejections] == \
            [row["device"] for row in told["rejected"]]
        assert not gpualloc.pick(machine="dgx1-volta", **named).alternatives


@case
def environments_show_the_chosen_only():
    choice = gpualloc.pick(2, machine="dgx1-volta", require=[0, 3])
    assert choice.env == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(choice.ids),
        "NVIDIA_VISIBLE_DEVICES": ",".join(choice.uuids), "GPUALLOC_MACHINE": "dgx1-volta",
        "GPUALLOC_DEVICES": ",".join(choice.uuids)}, choice.env
    assert choice.env_as("uuid")["CUDA_VISIBLE_DEVICES"] == ",".join(choice.uuids)
    raises(gpualloc.BadRequest, choice.env_as, "number")


def with_variables(**variables):
    for key, value in variables.items():
        os.environ.pop(key, None)
        if value is not None:
            os.environ[key] = value


@case
def torch_devices_are_right_under_what_was_inherited():
    machine = gpualloc.machine("dgx1-volta")
    with_variables(CUDA_VISIBLE_DEVICES="5,2", CUDA_DEVICE_ORDER="PCI_BUS_ID")
    try:
        assert machine[5].torch_device == "cuda:0" and machine[2].torch_device == "cuda:1"
        raises(gpualloc.Impossible, lambda: machine[3].torch_device)
        choice = gpualloc.pick(2, machine="dgx1-volta")
        assert set(choice.ids) == {"2", "5"} and set(choice.torch_devices) == {"cuda:0", "cuda:1"}
        free = gpualloc.pick(8, machine="dgx1-volta", ignore_environment=True)
        assert len(free) == 8
    finally:
        with_variables(CUDA_VISIBLE_DEVICES=None, CUDA_DEVICE_ORDER=None)


@case
def refusals_are_exceptions_by_kind_with_the_sentence():
    asked = {"machine": "dgx1-volta"}
    problem = raises(gpualloc.Impossible, gpualloc.pick, 9, **asked)
    assert str(problem) == "9 GPUs asked for, this machine has 8" and problem.exit_status == 78
    problem = raises(gpualloc.NoDriver, gpualloc.machine, "nvml")
    assert "NVML" in str(problem) and problem.exit_status == 69
    problem = raises(gpualloc.BadRequest, gpualloc.pick, policy="bets-fit", **asked)
    assert "best-fit" in str(problem) and isinstance(problem, ValueError)
    raises(gpualloc.BadRequest, gpualloc.pick, memory="8Gigs", **asked)
    raises(gpualloc.BadRequest, gpualloc.machine, "/nowhere/at/all")
    with folder() as where:
        path = os.path.join(where, "broken.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"gpualloc_machine": 1, "devices": 3}')
        raises(gpualloc.BadData, gpualloc.machine, path)
    for kind in (gpualloc.Busy, gpualloc.TimedOut, gpualloc.NotPermitted, gpualloc.OutOfMemory,
                 gpualloc.ReadWriteFailed, gpualloc.ProgramNotFound, gpualloc.ProgramNotRunnable):
        assert issubclass(kind, gpualloc.Error), kind
    # Pickled as exceptions of workers are.
    again = pickle.loads(pickle.dumps(problem))
    assert str(again) == str(problem) and type(again) is type(problem)


@case
def statuses_and_exit_statuses_are_the_librarys():
    from gpualloc import _errors, _library
    for status, kind in _errors.KINDS.items():
        assert _library.lib.gpualloc_exit_status(status) == kind.exit_status, kind


@case
def values_that_would_be_cut_are_refused():
    asked = {"machine": "dgx1-volta"}
    for named in ({"count": 0}, {"count": -1}, {"count": 1 << 64}, {"count": 1.5}, {"count": "2"},
                  {"seed": -1}, {"seed": 1 << 64}, {"memory": -1}, {"memory": 1 << 63},
                  {"only": "0\0,1"}, {"model": ""}, {"model": "V100\0"}, {"policy": "simple\0"},
                  {"deadline": -1}, {"deadline": float("nan")}, {"deadline": 1e300}):
        raises(gpualloc.BadRequest, gpualloc.pick, **asked, **named)
    raises(gpualloc.BadRequest, gpualloc.machine, "dgx1-volta\0")


@case
def objects_cannot_be_pickled_but_say_what_can():
    machine = gpualloc.machine("dgx1-volta")
    for one in (machine, machine[0], gpualloc.pick(machine=machine)):
        problem = raises(TypeError, pickle.dumps, one)
        assert "pass on UUIDs" in str(problem), problem


@case
def devices_outlive_what_they_came_from():
    device = gpualloc.pick(machine=gpualloc.machine("dgx1-volta")).devices[0]
    instances = gpualloc.machine("a100-mig")[1].mig
    for _ in range(200):
        gpualloc.machine("dgx2")
    assert device.name == "Tesla V100-SXM2-16GB" and device.torch_device.startswith("cuda:")
    assert all(instance.uuid.startswith("MIG-") for instance in instances)
    machine, again = gpualloc.machine("dgx1-volta"), gpualloc.machine("dgx1-volta")
    assert machine[2] == again[2] != machine[3] and len({*machine, *again}) == 8


@case
def threads_share_a_machine():
    machine, problems = gpualloc.machine("dgx2"), []

    def work(count):
        try:
            for _ in range(30):
                assert len(gpualloc.pick(count, machine=machine)) == count
                assert len(gpualloc.machine("dgx1-volta")) == 8
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(count,)) for count in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems


@case
def availability():
    assert gpualloc.available("dgx1-volta") is True
    os.environ.update(GPUALLOC_NVML="/nonexistent", GPUALLOC_NVIDIA_SMI="/nonexistent")
    assert gpualloc.available() is False
    assert "dgx1-volta" in str(raises(gpualloc.NoDriver, gpualloc.machine))
    del os.environ["GPUALLOC_NVML"], os.environ["GPUALLOC_NVIDIA_SMI"]


main()
