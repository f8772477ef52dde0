# SPDX-License-Identifier: Apache-2.0
"""Pods get GPUs by the device plugin of gpualloc-k8s."""
import os
import signal

import cli
from agent import RESOURCE, STORE, Agent, Machine
from cases import ROUNDS, need
from claims import is_pair
from cluster import Pod
from place import make_gpus
from programs import CONTROL, NODE

CDI_FILE = "/run/cdi/nvidia.json"
ALL = [*CONTROL, "kube-scheduler", *NODE]


class Site:
    """What the cases share: a node with a machine and an agent."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.need_node()
        make_gpus(8)
        self.machine = Machine(cluster.where)
        cli.ok("setup", env={"GPUALLOC_STATE_DIR": STORE})
        self.agent = self.start()

    def start(self, name="gpualloc-k8s", hand_over="environment,devices"):
        return Agent(self.cluster, self.machine, "--hand-over", hand_over, "--poll", "500ms", name=name)

    def restart(self, hand_over):
        self.agent.leave()
        self.wait_capacity(0)
        self.agent = self.start(hand_over=hand_over)
        self.wait_capacity(8)

    def pod(self, name, count):
        return Pod(self.cluster, name, {RESOURCE: count})

    def wait_capacity(self, count):
        self.cluster.wait_allocatable(RESOURCE, count)


def site(cluster):
    cluster.once("the agent", lambda: setattr(cluster, "site", Site(cluster)))
    if cluster.site.agent.process.poll() is not None:  # a case failed that had ended it
        cluster.site.agent = cluster.site.start()
    return cluster.site


@need(ALL)
def the_node_has_as_many_gpus_as_the_driver_knows(cluster):
    site(cluster).wait_capacity(8)


@need(ALL)
def pods_get_the_best_connected_gpus_and_nothing_else(cluster):
    here = site(cluster)
    here.wait_capacity(8)
    taken, pods = [], []
    try:
        for count in (2, 4, 1):
            expected = here.machine.best(count)
            pod = here.pod(f"takes-{count}", count)
            pods.append(pod)
            assert pod.sees() == expected, (pod.sees(), expected)
            assert sorted(pod.visible()) == sorted(here.machine.uuid(index) for index in expected)
            taken += expected
            assert here.machine.leases() == {index: RESOURCE for index in taken}
    finally:
        for pod in pods:
            pod.delete()
    here.machine.wait_leases([])


@need(ALL)
def four_pods_of_one_gpu_leave_whole_pairs_to_two_others(cluster):
    here = site(cluster)
    pairs = 0
    for _ in range(ROUNDS):
        here.wait_capacity(8)
        pods = [here.pod(f"one-{i}", 1) for i in range(4)]
        for pod in pods:
            pod.sees()
        for i in range(2):
            pods.append(here.pod(f"two-{i}", 2))
            pairs += is_pair(here.machine.path, pods[-1].sees())
        for pod in pods:
            pod.delete()
        here.machine.wait_leases([])
    print(f"# pods that got a pair: {pairs} of {2 * ROUNDS}")
    assert pairs == 2 * ROUNDS


@need(ALL)
def by_names_of_cdi_devices_pods_get_the_same(cluster):
    cluster.programs.need_cdi()
    here = site(cluster)
    here.wait_capacity(8)
    written = here.machine.command("cdi", "generate", "-o", CDI_FILE)
    assert written.returncode == 0, written
    here.restart("cdi")
    expected = here.machine.best(2)
    pod = here.pod("by-cdi", 2)
    assert pod.sees() == expected and pod.visible() == ["void"], (pod.log(), expected)
    pod.delete()
    here.machine.wait_leases([])
    here.restart("environment,devices")
    os.unlink(CDI_FILE)


@need(ALL)
def people_on_the_node_and_pods_keep_off_each_other(cluster):
    here = site(cluster)
    here.wait_capacity(8)
    pod = here.pod("has-5", 5)
    theirs = pod.sees()
    refused = here.machine.command("run", "-n", "4", "true")
    assert refused.returncode == 75, refused
    person = here.machine.hold("-n", "3")
    try:
        assert sorted(here.machine.leases()) == list(range(8))
        here.wait_capacity(5)  # what the person has is not well for pods
        pod.delete()
        late = here.pod("has-5-later", 5)
        assert late.sees() == theirs, (late.sees(), theirs)
        late.delete()
    finally:
        person.communicate()
    here.wait_capacity(8)
    here.machine.wait_leases([])


@need(ALL)
def a_pod_that_ends_by_itself_gives_its_gpus_back(cluster):
    here = site(cluster)
    here.wait_capacity(8)
    pod = Pod(cluster, "ends", {RESOURCE: 2}, script="echo $NVIDIA_VISIBLE_DEVICES; echo said all").wait("Succeeded")
    here.machine.wait_leases([])
    pod.delete()


@need(ALL)
def a_kubelet_that_starts_again_finds_capacity_and_pods_as_they_were(cluster):
    here = site(cluster)
    here.wait_capacity(8)
    pod = here.pod("outlives", 2)
    has = pod.sees()
    log = len(here.agent.end_of_log(10000))
    cluster.restart_kubelet()
    here.agent.wait_registered(after=log)
    here.wait_capacity(8)
    other = here.pod("after", 2)
    assert not set(other.sees()) & set(has), (other.sees(), has)
    assert sorted(here.machine.leases()) == sorted([*has, *other.sees()]), (here.machine.leases(), has, other.sees())
    assert pod.phase() == "Running", pod.why()
    for one in (pod, other):
        one.delete()
    here.machine.wait_leases([])


@need(ALL)
def after_a_crash_of_the_agent_the_leases_are_those_of_the_pods_that_live(cluster):
    here = site(cluster)
    here.wait_capacity(8)
    pod, gone = here.pod("lives", 2), here.pod("dies", 4)
    has = pod.sees()
    gone.sees()
    here.agent.end(signal.SIGKILL)
    here.wait_capacity(0)
    assert not here.machine.leases()
    gone.delete()
    here.agent = here.start()
    here.machine.wait_leases(has)
    here.wait_capacity(8)
    pod.delete()
    here.machine.wait_leases([])


@need(ALL)
def agent_and_kubelet_may_start_again_together(cluster):
    here = site(cluster)
    here.wait_capacity(8)
    pod = here.pod("outlives-both", 2)
    has = pod.sees()
    here.agent.end(signal.SIGKILL)
    here.wait_capacity(0)
    cluster.restart_kubelet()
    here.agent = here.start()
    here.machine.wait_leases(has)
    here.wait_capacity(8)
    assert here.machine.command("run", "-n", "7", "true").returncode == 75
    pod.delete()
    here.machine.wait_leases([])


@need(ALL)
def an_agent_that_takes_over_leaves_no_node_without_gpus(cluster):
    """The kubelet's mistake: the end of the old stream ends the new plugin, too. What the API server says of the
    node is older than that, so that a pod may come too early, and is refused."""
    here = site(cluster)
    here.wait_capacity(8)
    pod = here.pod("surges", 3)
    has = pod.sees()
    new = here.start("gpualloc-k8s-new")
    new.wait_registered()
    log = len(new.end_of_log(10000))
    here.agent.leave()
    here.agent = new
    new.wait_registered(after=log)
    here.machine.wait_leases(has)
    here.wait_capacity(8)
    other = here.pod("after-surge", 4)
    assert not set(other.sees()) & set(has)
    for one in (pod, other):
        one.delete()
    here.machine.wait_leases([])


@need(ALL)
def a_lost_gpu_is_no_capacity_until_it_is_well_again(cluster):
    here = site(cluster)
    here.wait_capacity(8)
    here.machine.set_health(3, "lost")
    here.wait_capacity(7)
    pod = here.pod("takes-7", 7)
    assert pod.sees() == [0, 1, 2, 4, 5, 6, 7]
    pod.delete()
    here.machine.set_health(3, "ok")
    here.wait_capacity(8)


@need(ALL)
def the_agent_ends_and_leaves_nothing(cluster):
    here = site(cluster)
    here.machine.wait_leases([])
    here.agent.leave()
    here.wait_capacity(0)
