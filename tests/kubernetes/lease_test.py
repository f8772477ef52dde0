#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pods have is leased on the node, and what people have is not offered."""
import json
import os
import signal
import subprocess
import tempfile

import cli
from cli import Skip, main
from parts import needs

try:
    import grpc
    from kubelet import PATIENCE, Agent, cluster, machine_text, write_machine
    from people import Person, Waiter, leases, wait_leases
except ImportError:
    pass  # the cases are skipped


@needs
def what_a_pod_gets_is_leased_until_the_pod_is_gone():
    with cluster(store=True) as (kubelet, _):
        kubelet.wait_healthy(8)
        chosen = kubelet.pod("a", 2)
        assert leases(kubelet) == {one: "nvidia.com/gpu" for one in chosen}
        other = kubelet.pod("b", 1)
        assert set(leases(kubelet)) == {*chosen, *other}
        kubelet.wait_asked()
        kubelet.delete("a")
        wait_leases(kubelet, other)
        kubelet.wait_healthy(8)


@needs
def people_and_pods_keep_off_each_other():
    with cluster(store=True) as (kubelet, _):
        kubelet.wait_healthy(8)
        person = Person(kubelet, "-n", "3")
        kubelet.wait_healthy(5)
        kubelet.pod("a", 5)
        kubelet.wait_healthy(5)
        refused = cli.run("run", "--machine", "dgx1-volta", "-n", "1", "true",
                          env={"GPUALLOC_STATE_DIR": os.path.join(kubelet.where, "store")})
        assert refused.code == 75, refused
        assert "root" in refused.err, refused
        person.end()
        kubelet.wait_healthy(8)


@needs
def a_pod_that_lost_the_race_is_refused_and_nothing_is_kept():
    with cluster("dgx1-volta", "--poll", "10m", store=True) as (kubelet, agent):
        kubelet.wait_healthy(8)
        ids = kubelet.healthy()
        agent.process.send_signal(signal.SIGSTOP)
        person = Person(kubelet, "--require", "1")
        agent.process.send_signal(signal.SIGCONT)
        try:
            kubelet.allocate(ids[:2])
            raise AssertionError("somebody else's GPU was given out")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
            assert "leased" in error.details(), error
        kubelet.wait_healthy(7)
        while ids[0] in leases(kubelet):
            assert agent.process.poll() is None
        person.end()


@needs
def what_no_pod_ever_shows_is_given_back():
    with cluster("dgx1-volta", "--pod-wait", "500ms", store=True) as (kubelet, _):
        kubelet.wait_healthy(8)
        # As long as the kubelet does not say which pods there are, nothing is given back.
        kubelet.pod_server.stop(None).wait(PATIENCE)
        kubelet.allocate(kubelet.healthy()[:1])
        assert len(leases(kubelet)) == 1
        kubelet.start_pods()
        wait_leases(kubelet, [])


@needs
def after_a_restart_the_leases_are_those_of_the_pods_that_live():
    with cluster(store=True) as (kubelet, agent):
        kubelet.wait_healthy(8)
        lives = kubelet.pod("lives", 2)
        kubelet.pod("dies", 2)
        kubelet.wait_asked()
        agent.end(signal.SIGKILL)
        assert not leases(kubelet)
        kubelet.delete("dies")
        before = len(kubelet.registrations)
        again = Agent(kubelet, "dgx1-volta", store=os.path.join(kubelet.where, "store"))
        try:
            kubelet.wait("the new agent", lambda: len(kubelet.registrations) > before)
            kubelet.wait_healthy(8)
            wait_leases(kubelet, lives)
        finally:
            assert again.end() == 0


@needs
def replicas_share_one_lease_that_ends_with_the_last():
    with cluster("rtx8000x4", "--replicas", "2", store=True) as (kubelet, _):
        kubelet.wait_healthy(8)
        chosen = kubelet.pod("a", 1) + kubelet.pod("b", 1)
        assert len({one.split("::")[0] for one in chosen}) == 1
        kubelet.wait_asked()
        for name, left in (("a", 1), ("b", 0)):
            kubelet.delete(name)
            wait_leases(kubelet, [one.split("::")[0] for one in chosen[:left]])


@needs
def instances_are_leased_too():
    with cluster("a100-mig", "--mig", "mixed", store=True) as (kubelet, _):
        kubelet.wait_healthy(3, "nvidia.com/mig-1g.5gb")
        chosen = kubelet.pod("a", 2, "nvidia.com/mig-1g.5gb")
        assert set(leases(kubelet)) == set(chosen)
        person = Person(kubelet, "--mig=1g.5gb", machine="a100-mig")
        kubelet.wait_healthy(2, "nvidia.com/mig-1g.5gb")
        person.end()
        kubelet.wait_healthy(3, "nvidia.com/mig-1g.5gb")


@needs
def an_update_does_not_make_the_pods_gpus_unhealthy():
    with cluster(store=True) as (kubelet, old):
        kubelet.wait_healthy(8)
        chosen = kubelet.pod("a", 2)
        first = kubelet.registrations[0].endpoint
        young = Agent(kubelet, "dgx1-volta", store=os.path.join(kubelet.where, "store"))
        try:
            kubelet.wait("the younger one", lambda: kubelet.registrations[-1].endpoint != first)
            kubelet.wait_healthy(8)
            assert old.end() == 0
            kubelet.wait_healthy(8)
            wait_leases(kubelet, chosen)
        finally:
            assert young.end() == 0


def another(kubelet):
    return Agent(kubelet, "dgx1-volta", store=os.path.join(kubelet.where, "store"))


def wait_log(agent, text):
    while text not in agent.log():
        assert agent.process.poll() is None, agent.log()


def forget_the_killed(kubelet, living=None):
    """Their sockets stay behind."""
    for name in os.listdir(kubelet.folder):
        if name.startswith("gpualloc-") and name != living:
            os.unlink(os.path.join(kubelet.folder, name))


@needs
def at_an_update_nobody_gets_between_two_agents():
    with cluster(store=True) as (kubelet, old):
        kubelet.wait_healthy(8)
        all_of_them = kubelet.pod("a", 8)
        waiter = Waiter(kubelet)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                before, registrations = leases(kubelet), len(kubelet.registrations)
                young = another(kubelet)
                wait_log(young, "shares 8 leases")
                old.end(number)
                assert leases(kubelet) == before and set(before) == set(all_of_them)
                old = young
                kubelet.wait("it", lambda: len(kubelet.registrations) > registrations)
                assert set(leases(kubelet)) == set(all_of_them) and not waiter.has_got()
            kubelet.delete("a")
            wait_leases(kubelet, [])
            waiter.process.wait(PATIENCE)
            assert len(waiter.end().split()) == 1
        finally:
            waiter.end()
            old.end()
            forget_the_killed(kubelet)


@needs
def a_share_in_a_lease_is_none_when_the_pod_has_gone():
    with cluster(store=True) as (kubelet, old):
        kubelet.wait_healthy(8)
        gone, stays = kubelet.pod("gone", 1), kubelet.pod("stays", 1)
        kubelet.wait_asked()
        first = kubelet.registrations[0].endpoint
        young = another(kubelet)
        try:
            wait_log(young, "shares 2 leases")
            kubelet.wait("the younger one", lambda: kubelet.registrations[-1].endpoint != first)
            kubelet.wait_healthy(8)
            kubelet.delete("gone")
            wait_leases(kubelet, stays)
            kubelet.allocate(gone)
            assert set(leases(kubelet)) == {*gone, *stays}
            old.end()
            assert set(leases(kubelet)) == {*gone, *stays}
        finally:
            young.end()


@needs
def an_agent_killed_at_any_step_of_an_update_takes_no_lease_with_it():
    with cluster(store=True) as (kubelet, old):
        kubelet.wait_healthy(8)
        chosen = kubelet.pod("a", 2)
        for step in ("", "", "shares", "shares", "devices are healthy", "registered"):
            young = another(kubelet)
            wait_log(young, step)
            young.end(signal.SIGKILL)
            assert set(leases(kubelet)) == set(chosen), step
        assert old.process.poll() is None
        forget_the_killed(kubelet, kubelet.registrations[0].endpoint)


@needs
def programs_in_pods_are_no_intruders_on_what_pods_have():
    if os.geteuid() != 0:
        raise Skip("needs root, whose agent is believed")
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        machine, path = machine_text("rtx8000x4"), os.path.join(where, "machine.json")
        process = {"pid": 4711, "type": "C", "memory": 1 << 30, "user": "1001", "name": "train"}
        machine["devices"][0]["processes"] = [{**process, "pod": True}]
        machine["devices"][1]["processes"] = [process]
        write_machine(path, machine)
        with cluster(path, "--in-use", "offer", store=True) as (kubelet, _):
            kubelet.wait_healthy(4)
            kubelet.allocate(kubelet.healthy()[:2])
            env = {"GPUALLOC_STATE_DIR": os.path.join(kubelet.where, "store")}
            states = [device["state"] for device in json.loads(cli.ok(
                "list", "--json", "--machine", path, env=env))["devices"]]
            assert states[:2] == ["leased", "intruder"], states
            said = json.loads(cli.ok("leases", "--json", "--machine", path, env=env))
            assert sorted(one["intruder"] for lease in said["leases"] for one in lease["processes"]) == [
                False, True], said


@needs
def a_kubelet_that_starts_again_may_not_know_its_pods_yet():
    with cluster(store=True) as (kubelet, _):
        kubelet.wait_healthy(8)
        chosen = kubelet.pod("a", 2)
        kubelet.wait_asked()
        kubelet.pod_server.stop(None).wait(PATIENCE)
        pods, kubelet.pods = kubelet.pods, {}
        kubelet.start_pods()
        kubelet.wait_asked(3)
        assert set(leases(kubelet)) == set(chosen)
        kubelet.pods = pods
        kubelet.wait_asked(3)
        kubelet.delete("a")
        wait_leases(kubelet, [])


@needs
def a_kubelet_that_does_not_say_which_pods_there_are_is_no_reason_to_give_back():
    with cluster("dgx1-volta", "--pod-wait", "500ms", store=True) as (kubelet, agent):
        kubelet.wait_healthy(8)
        chosen = kubelet.pod("a", 2)
        kubelet.wait_asked()
        kubelet.pod_server.stop(None).wait(PATIENCE)
        while "does not say" not in agent.log():
            assert agent.process.poll() is None
        assert set(leases(kubelet)) == set(chosen)
        kubelet.delete("a")
        kubelet.start_pods()
        wait_leases(kubelet, [])


@needs
def without_a_store_it_says_what_to_do():
    done = subprocess.run([os.environ["GPUALLOC_K8S"], "--machine", "dgx1-volta", "--store",
                           "/nonexistent/store"], env=cli.environment(), capture_output=True,
                          text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    assert done.returncode == 77, done
    assert "gpualloc setup" in done.stderr and "--lease no" in done.stderr, done


if __name__ == "__main__":
    main()
