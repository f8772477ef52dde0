#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sick, lost, excluded and used GPUs, XIDs, recovery, and a machine that changes under the agent."""
import contextlib
import os
import tempfile

from cli import main
from parts import needs

try:
    from kubelet import cluster, machine_text, write_machine
except ImportError:
    pass  # the cases are skipped


class Machine:
    """A machine file that changes."""

    def __init__(self, where, name):
        self.path, self.value = os.path.join(where, "machine.json"), machine_text(name)
        self.write()

    def write(self):
        write_machine(self.path, self.value)

    def gpu(self, number, **values):
        self.value["devices"][number].update(values)
        self.write()

    def uuid(self, number):
        return self.value["devices"][number]["uuid"]


@contextlib.contextmanager
def changing(name, *words, **options):
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        machine = Machine(where, name)
        with cluster(machine.path, *words, **options) as (kubelet, agent):
            yield machine, kubelet, agent


class KernelLog:
    """A pipe in place of /dev/kmsg."""

    def __init__(self, where):
        self.path = os.path.join(where, "kmsg")
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDWR)

    def xid(self, pci, number, instance=None, priority=4):
        part = f" GPU-I:{instance:02}" if instance is not None else ""
        self.say(f"{priority},1,2,-;NVRM: Xid (PCI:{pci}{part}): {number}, pid=7, name=x, Ch 1\n")

    def say(self, text):
        os.write(self.fd, text.encode())


@contextlib.contextmanager
def with_kernel_log(name, *words):
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        log = KernelLog(where)
        with cluster(name, "--kernel-log", log.path, *words) as (kubelet, agent):
            yield log, kubelet, agent


@needs
def a_lost_gpu_is_unhealthy_and_healthy_again_when_it_was_well_for_a_while():
    with changing("dgx1-volta", "--recover-after", "300ms") as (machine, kubelet, agent):
        kubelet.wait_healthy(8)
        machine.gpu(3, health="lost")
        kubelet.wait_healthy(7)
        assert machine.uuid(3) not in kubelet.healthy()
        assert len(kubelet.pod("a", 7)) == 7, "one lost GPU hurts others"
        machine.gpu(3, health="ok")
        kubelet.wait_healthy(8)
        assert "is healthy again" in agent.log()


@needs
def it_is_not_healthy_before_that():
    with changing("dgx1-volta", "--recover-after", "1h") as (machine, kubelet, _):
        kubelet.wait_healthy(8)
        machine.gpu(3, health="lost")
        kubelet.wait_healthy(7)
        machine.gpu(3, health="ok")
        machine.gpu(4, health="lost")
        kubelet.wait_healthy(6)


@needs
def a_gpu_that_disappears_stays_in_the_list():
    with changing("rtx8000x4", "--recover-after", "1ms", "--replicas", "2") as (machine, kubelet, _):
        kubelet.wait_healthy(8)
        whole = machine.value
        machine.value = dict(whole, devices=whole["devices"][:3], **{
            key: [row[:3] for row in whole[key][:3]] for key in ("pcie", "nvlink")})
        machine.write()
        kubelet.wait_healthy(6)
        assert len(kubelet.plugins["nvidia.com/gpu"].devices) == 8
        machine.value = whole
        machine.write()
        kubelet.wait_healthy(8)


@needs
def a_driver_that_fails_for_long_makes_all_unhealthy_until_it_answers():
    with changing("rtx8000x4") as (machine, kubelet, agent):
        kubelet.wait_healthy(4)
        os.rename(machine.path, machine.path + ".away")
        kubelet.wait_healthy(0)
        assert "machine.json" in agent.log()
        os.rename(machine.path + ".away", machine.path)
        kubelet.wait_healthy(4)


@needs
def an_xid_makes_all_replicas_of_its_gpu_unhealthy():
    with with_kernel_log("rtx8000x4", "--replicas", "4", "--recover-after", "1h") as (
            log, kubelet, agent):
        kubelet.wait_healthy(16)
        log.xid("0000:5e:00", 79)
        kubelet.wait_healthy(12)
        assert "XID 79" in agent.log()
        log.say("6,1,2,-;something else\nNVRM: Xid (PCI:\n")
        log.xid("0000:86:00", 13)                     # a program's own mistake
        log.xid("0000:86:00", 79, priority=12)        # said by a program
        log.xid("0000:99:00", 79)                     # no GPU of ours
        log.xid("0000:AF:00.0", 48)
        kubelet.wait_healthy(8)


@needs
def after_an_xid_a_gpu_recovers():
    with with_kernel_log("rtx8000x4", "--recover-after", "400ms") as (log, kubelet, _):
        kubelet.wait_healthy(4)
        log.xid("0000:5e:00", 79)
        kubelet.wait("three for a moment, then four", lambda: 3 in kubelet.lists and kubelet.lists[-1] == 4)


@needs
def an_xid_of_an_instance_is_about_that_instance():
    with with_kernel_log("a100-mig", "--mig", "mixed", "--recover-after", "1h") as (log, kubelet, _):
        kubelet.wait_healthy(3, "nvidia.com/mig-1g.5gb")
        pci = machine_text("a100-mig")["devices"][1]["pci"]
        log.xid(pci[4:-2], 94, instance=10)
        kubelet.wait_healthy(2, "nvidia.com/mig-1g.5gb")
        kubelet.wait_healthy(2, "nvidia.com/mig-2g.10gb")
        log.xid(pci[4:-2], 79)
        kubelet.wait_healthy(0, "nvidia.com/mig-1g.5gb")
        kubelet.wait_healthy(0, "nvidia.com/mig-2g.10gb")
        kubelet.wait_healthy(1)


@needs
def mig_that_changes_is_noticed_without_a_restart():
    with changing("a100-mig", "--mig", "mixed") as (machine, kubelet, _):
        kubelet.wait_healthy(3, "nvidia.com/mig-1g.5gb")
        instances = machine.value["devices"][1]["mig"]
        taken = instances.pop()
        instances[-1]["profile"] = "3g.20gb+me"
        machine.write()
        kubelet.wait_healthy(1, "nvidia.com/mig-3g.20gb.me")
        kubelet.wait_healthy(1, "nvidia.com/mig-1g.5gb")
        assert len(kubelet.plugins["nvidia.com/mig-1g.5gb"].devices) == 1
        instances.append(taken)
        machine.write()
        kubelet.wait_healthy(2, "nvidia.com/mig-1g.5gb")


@needs
def single_offers_instances_that_are_all_alike():
    with changing("a100-mig", "--mig", "single") as (machine, kubelet, agent):
        kubelet.wait_healthy(1)
        assert "one profile" in agent.log()
        gpu = machine.value["devices"][1]
        machine.value["devices"] = [dict(gpu, index=0)]
        for key in {"pcie", "nvlink", "p2p"} & set(machine.value):
            machine.value[key] = [machine.value[key][1][1:2]]
        gpu = machine.value["devices"][0]
        gpu["mig"] = [one for one in gpu["mig"] if one["profile"] == "1g.5gb"]
        machine.write()
        kubelet.wait("three instances", lambda: len(
            [one for one in kubelet.healthy() if one.startswith("MIG-")]) == 3)
        chosen = kubelet.prefer(2, [one for one in kubelet.healthy() if one.startswith("MIG-")])
        assert len(chosen) == 2


@needs
def a_gpu_that_somebody_uses_without_a_lease_is_withheld_unless_one_says_otherwise():
    busy = [{"pid": 4711, "type": "C", "memory": 1 << 30, "user": "alice", "name": "python"}]
    with changing("rtx8000x4") as (machine, kubelet, agent):
        kubelet.wait_healthy(4)
        machine.gpu(2, processes=busy)
        kubelet.wait_healthy(3)
        assert "alice" in agent.log()
        machine.gpu(2, processes=[])
        kubelet.wait_healthy(4)
        chosen = kubelet.pod("a", 1)[0]
        number = [device["uuid"] for device in machine.value["devices"]].index(chosen)
        kubelet.wait_asked()
        machine.gpu(number, processes=busy)        # by the pod itself
        machine.gpu((number + 1) % 4, processes=busy)
        kubelet.wait_healthy(3)
        assert chosen in kubelet.healthy()
    with changing("rtx8000x4", "--in-use", "offer") as (machine, kubelet, _):
        kubelet.wait_healthy(4)
        machine.gpu(1, processes=busy)
        machine.gpu(0, health="lost")
        kubelet.wait_healthy(3)


@needs
def what_the_administrator_excludes_is_not_offered():
    with tempfile.NamedTemporaryFile("w", prefix="gpualloc-k8s-") as rules:
        rules.write("exclude = 1  # fan dead\n")
        rules.flush()
        with cluster("rtx8000x4", env={"GPUALLOC_CONFIG": rules.name}) as (kubelet, agent):
            kubelet.wait_healthy(3)
            assert "fan dead" in agent.log()


if __name__ == "__main__":
    main()
