#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc run --bind: the command runs near its devices, and only where it could run before. The
machines are built-in ones with the CPUs and nodes of this machine."""
import contextlib
import json
import os
import re
import subprocess

from cli import GPUALLOC, Skip, case, main, ok
from leasing import store

STATUS = ["cat", "/proc/self/status"]
FAR = {"cpus": "60000-60003", "numa": None}


def cpus_of(text):
    """A list of CPUs as the kernel writes it, as a set."""
    found = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def allowed(status):
    return (cpus_of(re.search(r"Cpus_allowed_list:\s*(\S+)", status).group(1)),
            re.search(r"Mems_allowed_list:\s*(\S+)", status).group(1))


HERE = os.sched_getaffinity(0)
NODES = sorted(int(name[4:]) for name in os.listdir("/sys/devices/system/node")
               if re.fullmatch(r"node\d+", name)) if os.path.isdir("/sys/devices/system/node") else []


@contextlib.contextmanager
def near(*places, machine="dgx1-volta"):
    """A store and a machine whose GPUs are near these; the last is for all further GPUs."""
    content = json.loads(ok("snapshot", "--machine", machine))
    for i, device in enumerate(content["devices"]):
        device.update(places[min(i, len(places) - 1)])
        for key in [key for key, value in device.items() if value is None]:
            del device[key]
    with store() as one:
        one.machine = os.path.join(one.where, "machine.json")
        with open(one.machine, "w", encoding="utf-8") as file:
            json.dump(content, file)
        if "without hwloc" in one.run("--bind", "true").err:
            raise Skip("built without hwloc")
        yield one


def bound(one, *words, command=STATUS, **options):
    """What the command printed, and the one message."""
    result = one.run("--bind", *words, *command, **options)
    assert result.code == 0, result
    assert re.fullmatch(r"gpualloc: bound to CPUs \S+, memory (of NUMA node \S+|not bound)\n",
                        result.err), result
    return result.out, result.err


# ---- CPUs ----

@case
def the_command_runs_on_the_cpus_near_its_device():
    for cpu in sorted(HERE)[:4]:
        with near({"cpus": str(cpu), "numa": NODES[0] if NODES else None}) as one:
            status, said = bound(one)
            assert allowed(status)[0] == {cpu} and f"CPUs {cpu}," in said, (status, said)


@case
def with_several_devices_it_gets_the_cpus_of_all():
    if len(HERE) < 2:
        raise Skip("one CPU")
    first, second = sorted(HERE)[:2]
    with near({"cpus": str(first), "numa": None}, {"cpus": f"{second},60000-60003"}) as one:
        assert allowed(bound(one, "--only", "0,1", "-n", "2")[0])[0] == {first, second}
        assert allowed(bound(one, "--only", "1")[0])[0] == {second}


@case
def a_node_stands_for_its_cpus():
    if not NODES:
        raise Skip("no NUMA nodes in /sys")
    with open(f"/sys/devices/system/node/node{NODES[0]}/cpulist", encoding="ascii") as file:
        expected = cpus_of(file.read()) & HERE
    with near({"cpus": None, "numa": NODES[0]}) as one:
        assert allowed(bound(one)[0])[0] == expected


@case
def a_mig_instance_is_near_the_cpus_of_its_gpu():
    cpu = min(HERE)
    with near({"cpus": str(cpu), "numa": None}, machine="a100-mig") as one:
        assert allowed(bound(one, "--mig")[0])[0] == {cpu}


@case
def a_restriction_stays():
    if len(HERE) < 2:
        raise Skip("one CPU")
    one_cpu = {max(HERE)}
    with near({"cpus": ",".join(map(str, sorted(HERE))), "numa": None}) as one:
        status, _ = bound(one, preexec_fn=lambda: os.sched_setaffinity(0, one_cpu))
        assert allowed(status)[0] == one_cpu, status


@case
def a_supervised_command_and_one_without_a_lease_are_bound_too():
    cpu = min(HERE)
    with near({"cpus": str(cpu), "numa": None}) as one:
        assert allowed(bound(one, "--supervise")[0])[0] == {cpu}
        result = one.run("--bind", "-q", "--ignore-leases", *STATUS)
        assert result.code == 0 and result.err == "" and allowed(result.out)[0] == {cpu}, result


@case
def without_the_option_nothing_is_bound():
    with near({"cpus": str(min(HERE)), "numa": None}) as one:
        assert allowed(one.ok(*STATUS))[0] == HERE


# ---- memory ----

@case
def memory_comes_from_the_node():
    if not NODES or not os.path.exists("/proc/self/numa_maps"):
        raise Skip("a kernel without NUMA")
    for place in ({"cpus": str(min(HERE)), "numa": NODES[0]}, {"cpus": None, "numa": NODES[0]}):
        with near(place) as one:
            maps, said = bound(one, command=["cat", "/proc/self/numa_maps"])
            if "not bound" in said:
                raise Skip("the kernel refuses set_mempolicy()")
            assert f"memory of NUMA node {NODES[0]}\n" in said, said
            assert all(re.match(rf"\S+ bind(=static)?:{NODES[0]}( |$)", line)
                       for line in maps.splitlines()), maps
            assert allowed(bound(one)[0])[1] == allowed(open("/proc/self/status").read())[1]


# ---- what is refused ----

@case
def having_no_allowed_cpu_is_refused_before_the_command_runs():
    with near(FAR) as one:
        one.refused(78, "--bind", "echo", "ran",
                    says=["may use none of the CPUs near the devices (60000-60003)"])
        assert one.is_free()
    with near({"cpus": str(min(HERE)), "numa": 4000}) as one:
        one.refused(78, "--bind", "echo", "ran", says=["may use none of the NUMA nodes near the devices (4000)"])
        assert one.is_free()
    with near({"cpus": None, "numa": 4000}) as one:
        one.refused(78, "--bind", "echo", "ran", says=["may use none of"])


@case
def unknown_places_are_refused():
    with near({"cpus": None, "numa": None}) as one:
        one.refused(78, "--bind", "--only", "3", "echo", "ran",
                    says=["which CPUs are near GPU 3 is not known"])
        assert one.is_free()
    for cpus in ("0-", "-", "a", "3-1", "0,,1", "0-99999999999", "1 2", ","):
        with near({"cpus": cpus, "numa": None}) as one:
            one.refused(78, "--bind", "echo", "ran", says=["not given as a list of CPUs"])


@case
def in_a_hold_the_option_goes_inside():
    with near({"cpus": str(min(HERE))}) as one:
        result = subprocess.run([GPUALLOC, "run", "--in", "x", "--bind", "true"],
                                env=one.environment(), capture_output=True, text=True, check=False)
        assert result.returncode == 64 and "gpualloc run --bind ..." in result.stderr, result


@case
def hwloc_is_loaded_only_to_bind():
    with near({"cpus": str(min(HERE))}) as one:
        env = {"LD_DEBUG": "files"}
        assert "libhwloc" not in one.run("true", env=env).err
        assert "libhwloc" in one.run("--bind", "true", env=env).err


@case
def without_hwloc_it_says_so():
    with store() as one:
        result = one.run("--bind", "echo", "ran")
        if "without hwloc" not in result.err:
            raise Skip("built with hwloc")
        assert result.code == 78 and result.raw == b"" and one.is_free(), result


if __name__ == "__main__":
    main()
