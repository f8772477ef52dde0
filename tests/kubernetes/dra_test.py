#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The kubelet's side of DRA: registered as real kubelets do it, claims prepared and unprepared, with
leases and CDI files that are right after every accident."""
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request

import cli
from cli import main
from parts import needs
from ports import free_port

try:
    import grpc
    import kubelet as kubelet_of_plugins
    from apiserver import Refusal
    from dra_kubelet import DRIVER, again, cluster
    from kubelet import PATIENCE
    from messages import dra
    from people import Person, leases, wait_leases
except ImportError:
    pass  # the cases are skipped


HEALTHY, UNHEALTHY = 1, 2


def uuids(*numbers):
    """Of GPUs of dgx1-volta."""
    devices = json.loads(cli.ok("snapshot", "--machine", "dgx1-volta"))["devices"]
    return [devices[number]["uuid"] for number in numbers]


def nodes(*numbers):
    return [f"/dev/nvidia{number}" for number in numbers]


# ---- registration ----

@needs
def the_kubelet_learns_which_services_there_are_and_where():
    with cluster() as (kubelet, agent):
        info = kubelet.plugins[0].info
        assert (info.type, info.name) == ("DRAPlugin", DRIVER), info
        assert list(info.supported_versions) == ["v1.DRAPlugin", "v1beta1.DRAPlugin"], info
        assert os.path.dirname(info.endpoint) == kubelet.folder, info
        for path in (info.endpoint, kubelet.plugins[0].path):
            assert os.stat(path).st_mode & 0o777 == 0o600, path
        while "registered with the kubelet" not in agent.log():
            assert agent.process.poll() is None


@needs
def a_kubelet_that_starts_later_or_again_finds_it():
    with cluster(start=False) as (kubelet, _):
        kubelet.start()
        kubelet.wait_registered()
        claim = kubelet.claim("a", "gpu-0")
        assert kubelet.containers_get(kubelet.prepared(claim)) == nodes(0)
        kubelet.stop()
        kubelet.start()
        kubelet.wait_registered()
        assert kubelet.containers_get(kubelet.prepared(claim)) == nodes(0)


@needs
def a_kubelet_that_knows_only_v1beta1_is_served_and_one_that_knows_none_is_told_of():
    with cluster(start=False) as (kubelet, agent):
        kubelet.known = ("v9.DRAPlugin",)
        kubelet.start()
        kubelet.wait_seen(1)
        while "none of its services is supported" not in agent.log():
            assert agent.process.poll() is None
        kubelet.stop()
        kubelet.known = ("v1beta1.DRAPlugin",)
        kubelet.start()
        kubelet.wait_registered()
        assert kubelet.plugins[0].service == "v1beta1.DRAPlugin"
        claim = kubelet.claim("a", "set-0-3")
        assert kubelet.containers_get(kubelet.prepared(claim)) == nodes(0, 3)
        kubelet.unprepare(claim)
        assert not kubelet.files() and not leases(kubelet)


@needs
def a_socket_that_was_removed_is_made_again_and_only_our_own_are_removed():
    with cluster() as (kubelet, agent):
        stranger = os.path.join(kubelet.registry, "other.example-reg.sock")
        with open(stranger, "w", encoding="utf-8"):
            pass
        for which in (lambda plugin: plugin.path, lambda plugin: plugin.info.endpoint):
            gone = kubelet.plugins[0]
            os.unlink(which(gone))
            kubelet.wait("another", lambda gone=gone: kubelet.plugins and gone not in kubelet.plugins)
        claim = kubelet.claim("a", "gpu-1")
        assert kubelet.prepared(claim)
        first = kubelet.plugins[-1].path
        agent.end(signal.SIGKILL)
        assert os.path.exists(first)
        other = again(kubelet)
        try:
            assert not os.path.exists(first), "what the dead one left is still there"
        finally:
            assert other.end() == 0
        assert os.path.exists(stranger)
        os.unlink(stranger)


@needs
def at_an_update_two_agents_share_the_claims_until_the_older_one_ends():
    with cluster() as (kubelet, old):
        claim, other = kubelet.claim("a", "gpu-0"), kubelet.claim("b", "gpu-1")
        kubelet.prepared(claim)
        kubelet.prepared(other)
        young = again(kubelet)
        try:
            kubelet.wait_registered(2)
            kubelet.unprepare(claim)
            wait_leases(kubelet, uuids(1))
            third = kubelet.claim("c", "gpu-0")
            kubelet.prepared(third)
            assert old.end() == 0
            kubelet.wait_registered(1)
            wait_leases(kubelet, uuids(0, 1))
            kubelet.unprepare(other, third)
            assert not leases(kubelet) and not kubelet.files()
        finally:
            assert young.end() == 0


@needs
def what_an_agent_unprepared_before_it_was_killed_does_not_come_back_by_the_older_one():
    with cluster() as (kubelet, _):
        claim, other = kubelet.claim("a", "gpu-0"), kubelet.claim("b", "gpu-1")
        kubelet.prepared(claim)
        kubelet.prepared(other)
        young = again(kubelet)
        try:
            kubelet.wait_registered(2)
            kubelet.unprepare(other)
            wait_leases(kubelet, uuids(0))  # the older one has seen the younger one
            kubelet.unprepare(claim)
            young.end(signal.SIGKILL)
            os.unlink(kubelet.plugins[-1].path)
            wait_leases(kubelet, [])
            assert not kubelet.files(), kubelet.files()
        finally:
            young.end(signal.SIGKILL)


# ---- claims ----

@needs
def what_a_claim_has_is_leased_and_described_until_it_is_unprepared():
    with cluster() as (kubelet, agent):
        claim = kubelet.claim("a", ("big", "set-0-3", False), ("small/second", "gpu-5", False),
                              namespace="team")
        devices = kubelet.prepared(claim)
        assert [(list(one.request_names), one.device_name) for one in devices] == [
            (["big"], "set-0-3"), (["small"], "gpu-5")], devices
        assert kubelet.containers_get(devices) == nodes(0, 3, 5)
        assert leases(kubelet) == {one: DRIVER + " team/a" for one in uuids(0, 3, 5)}
        with open(kubelet.file(claim), encoding="utf-8") as file:
            assert json.load(file)["kind"] == DRIVER + "/claim"
        # Once more, as a kubelet does that restarts: the same.
        before = os.stat(kubelet.file(claim)).st_size
        assert kubelet.prepared(claim) == devices
        assert os.stat(kubelet.file(claim)).st_size == before and len(leases(kubelet)) == 3
        kubelet.unprepare(claim)
        assert not leases(kubelet) and not kubelet.files()
        kubelet.unprepare(claim, ("default", "never-seen", "11111111-2222-3333-4444-555555555555"))
        assert "team/a" in agent.log()


@needs
def of_many_claims_in_one_call_each_goes_its_own_way():
    with cluster() as (kubelet, agent):
        good = [kubelet.claim(f"good-{i}", f"gpu-{i}") for i in range(4)]
        gone = kubelet.claim("gone", "gpu-7")
        del kubelet.api.objects["/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/gone"]
        unknown = kubelet.claim("unknown", "gpu-6", "gpu-99")
        waiting = kubelet.claim("waiting")
        waiting["status"] = {}
        other = kubelet.claim("other", "gpu-4")
        other["status"]["allocation"]["devices"]["results"][0]["pool"] = "node-2"
        stranger = kubelet.claim("stranger", "gpu-4")
        stranger["status"]["allocation"]["devices"]["results"][0]["driver"] = "gpu.nvidia.com"
        renewed = ("default", "good-0", "11111111-2222-3333-4444-555555555555")
        configured = kubelet.claim("configured", "gpu-4", config=[{"source": "FromClaim", "opaque": {
            "driver": DRIVER, "parameters": {"sharing": "mps"}}}])
        foreign = kubelet.claim("foreign", "gpu-5", config=[{"source": "FromClaim", "opaque": {
            "driver": "gpu.nvidia.com", "parameters": {}}}])
        bad = {"gone": (gone, "not found"), "unknown": (unknown, "gpu-99"),
               "waiting": (waiting, "not allocated"), "other": (other, "node-2"),
               "stranger": (stranger, DRIVER), "configured": (configured, "configuration")}
        answers = kubelet.prepare(*good[:2], *(one for one, _ in bad.values()), renewed, foreign, *good[2:])
        for claim in (*good, foreign):
            assert not answers[claim["metadata"]["uid"]].error, answers
        for claim, part in bad.values():
            assert part in answers[claim["metadata"]["uid"]].error, (part, answers)
        assert "another one" in answers[renewed[2]].error, answers
        assert set(leases(kubelet)) == set(uuids(0, 1, 2, 3, 5)) and len(kubelet.files()) == 5
        assert "default/unknown" in agent.log()
        kubelet.unprepare(*good, foreign, *(one for one, _ in bad.values()), renewed)
        assert not leases(kubelet) and not kubelet.files()


@needs
def people_and_claims_keep_off_each_other():
    with cluster() as (kubelet, agent):
        person = Person(kubelet, "--require", "2")
        claim = kubelet.claim("a", "set-1-2")
        said = kubelet.refused(claim)
        assert "leased by" in said and uuids(2)[0] in said, said
        assert set(leases(kubelet)) == set(uuids(2)) and not kubelet.files()
        assert "which a pod has" not in agent.log()
        person.end()
        kubelet.prepared(claim)
        refused = cli.run("run", "--machine", "dgx1-volta", "-n", "7", "true",
                          env={"GPUALLOC_STATE_DIR": os.path.join(kubelet.where, "store")})
        assert refused.code == 75 and "root" in refused.err, refused
        kubelet.unprepare(claim)


def tainted(kubelet):
    """Names of devices that the published slices taint."""
    with kubelet.api.changed:
        slices = [one for path, one in kubelet.api.objects.items() if "/resourceslices/" in path]
    return {device["name"] for one in slices for device in one["spec"].get("devices", [])
            if device.get("taints")}


def wait_tainted(kubelet, names):
    def is_so():
        return {name for name in tainted(kubelet) if name.startswith("gpu-")} == set(names)
    with kubelet.api.changed:
        assert kubelet.api.changed.wait_for(is_so, PATIENCE), (tainted(kubelet), names)


@needs
def a_device_plugin_beside_it_and_claims_keep_off_each_other():
    with cluster() as (kubelet, _):
        plugins = kubelet_of_plugins.Kubelet(kubelet.where)
        plugins.start()
        other = kubelet_of_plugins.Agent(plugins, "dgx1-volta",
                                         store=os.path.join(kubelet.where, "store"))
        try:
            plugins.wait_healthy(8)
            claim = kubelet.claim("a", "set-0-3")
            kubelet.prepared(claim)
            plugins.wait_healthy(6)
            chosen = plugins.pod("p", 2)
            names = [f"gpu-{number}" for number in range(8) if uuids(number)[0] in chosen]
            wait_tainted(kubelet, names)
            assert "leased" in kubelet.refused(kubelet.claim("b", names[0]))
            kubelet.unprepare(claim)
            plugins.wait_healthy(8)
        finally:
            assert other.end() == 0
            plugins.stop()
        wait_tainted(kubelet, [])


@needs
def the_kubelet_is_told_how_devices_are():
    with tempfile.TemporaryDirectory(prefix="gpualloc-dra-") as where:
        path, machine = os.path.join(where, "machine.json"), kubelet_of_plugins.machine_text("dgx1-volta")
        kubelet_of_plugins.write_machine(path, machine)
        with cluster(path, "--recover-after", "300ms") as (kubelet, _):
            told = kubelet.watch_health()

            def wait(lost):
                return next(now for now in told if "set-0-3" in now and {
                    name for name, (health, _) in now.items() if health != HEALTHY} == {
                        name for name in now if lost in name.split("-")})
            assert len(wait(None)) == 255
            machine["devices"][3]["health"] = "lost"
            kubelet_of_plugins.write_machine(path, machine)
            now = wait("3")
            assert now["gpu-3"] == now["set-0-3"] and now["gpu-3"][0] == UNHEALTHY and now["gpu-3"][1], now
            assert now["gpu-0"] == (HEALTHY, ""), now
            machine["devices"][3]["health"] = "ok"
            kubelet_of_plugins.write_machine(path, machine)
            wait(None)
            told.close()
            others = [kubelet.watch_health() for _ in range(3)]
            assert all(len(next(one)) == 255 for one in others)


@needs
def one_device_has_one_claim_but_admin_access_takes_no_lease():
    with cluster() as (kubelet, _):
        claim, second = kubelet.claim("a", "gpu-0"), kubelet.claim("b", "set-0-1")
        kubelet.prepared(claim)
        assert claim["metadata"]["uid"] in kubelet.refused(second)
        admin = kubelet.claim("watch", ("r", "gpu-0", True), ("r", "gpu-1", True))
        assert kubelet.containers_get(kubelet.prepared(admin)) == nodes(0, 1)
        assert set(leases(kubelet)) == set(uuids(0))
        kubelet.unprepare(claim)
        kubelet.prepared(second)
        kubelet.unprepare(admin)
        assert set(leases(kubelet)) == set(uuids(0, 1))
        kubelet.unprepare(second)


@needs
def a_claim_that_was_given_other_devices_takes_none_of_another_claim():
    with cluster() as (kubelet, _):
        claim, other = kubelet.claim("a", "gpu-0"), kubelet.claim("b", "gpu-1")
        kubelet.prepared(claim)
        kubelet.prepared(other)
        moved = kubelet.claim("a", "gpu-1", uid=claim["metadata"]["uid"])
        assert other["metadata"]["uid"] in kubelet.refused(moved)
        assert set(leases(kubelet)) == set(uuids(0, 1))
        kubelet.unprepare(other)
        assert kubelet.containers_get(kubelet.prepared(moved)) == nodes(1)
        wait_leases(kubelet, uuids(1))
        kubelet.unprepare(claim)
        assert not leases(kubelet) and not kubelet.files()


@needs
def instances_are_prepared_with_their_capability_files():
    with cluster("a100-mig", "--mig", "mixed") as (kubelet, _):
        machine = json.loads(cli.ok("snapshot", "--machine", "a100-mig"))
        gpu = next(one for one in machine["devices"] if one.get("mig"))
        instance = gpu["mig"][0]
        name = f"gpu-{gpu['index']}-mig-{instance['gi']}-{instance['ci']}"
        claim = kubelet.claim("a", name)
        paths = kubelet.containers_get(kubelet.prepared(claim))
        assert len(paths) == 3 and all("nvidia-cap" in path for path in paths[1:]), paths
        assert list(leases(kubelet)) == [instance["uuid"]]
        kubelet.unprepare(claim)
        assert not leases(kubelet)


@needs
def without_leases_only_files_are_written():
    with cluster("dgx1-volta", store=False) as (kubelet, _):
        claim = kubelet.claim("a", "gpu-0")
        assert kubelet.containers_get(kubelet.prepared(claim)) == nodes(0)
        kubelet.unprepare(claim)
        assert not kubelet.files()


@needs
def a_file_that_somebody_removes_is_written_again():
    with cluster() as (kubelet, agent):
        claim = kubelet.claim("a", "set-0-3")
        devices = kubelet.prepared(claim)
        for _ in range(2):
            before = kubelet.containers_get(devices)
            os.unlink(kubelet.file(claim))
            while not os.path.exists(kubelet.file(claim)):
                assert agent.process.poll() is None
            assert kubelet.containers_get(devices) == before == nodes(0, 3)
            wait_leases(kubelet, uuids(0, 3))
            with killed(kubelet, agent):
                pass
        kubelet.unprepare(claim)


@needs
def the_drivers_libraries_are_those_of_the_node():
    with tempfile.TemporaryDirectory(prefix="gpualloc-host-") as where:
        path, root = os.path.join(where, "machine.json"), os.path.join(where, "root")
        machine = json.loads(cli.ok("snapshot", "--machine", "dgx1-volta"))
        library = f"/usr/lib/x86_64-linux-gnu/libcuda.so.{machine['driver']}"
        os.makedirs(os.path.dirname(root + library))
        shutil.copy(cli.GPUALLOC, root + library)  # it must be for this processor
        os.symlink(os.path.basename(library), os.path.join(os.path.dirname(root + library),
                                                           "libcuda.so.1"))
        with open(path, "w", encoding="utf-8") as file:
            json.dump(machine, file)
        env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": path}
        with cluster("nvml", "--host-root", root + "/", env=env) as (kubelet, _):
            claim = kubelet.claim("a", "gpu-2")
            assert kubelet.containers_get(kubelet.prepared(claim)) == nodes(2)
            with open(kubelet.file(claim), encoding="utf-8") as file:
                mounts = json.load(file)["containerEdits"]["mounts"]
            assert library in [mount["hostPath"] for mount in mounts], mounts
            kubelet.unprepare(claim)


@needs
def what_the_kubelet_asked_is_counted():
    port = free_port()
    with cluster("dgx1-volta", "--metrics", str(port)) as (kubelet, _):
        claim = kubelet.claim("a", "gpu-0")
        kubelet.prepare(claim, kubelet.claim("b", "gpu-99"))
        kubelet.unprepare(claim)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        for line in ('gpualloc_call_duration_seconds_count{method="NodePrepareResources"} 1',
                     'gpualloc_calls_failed_total{method="NodePrepareResources"} 1',
                     'gpualloc_call_duration_seconds_count{method="NodeUnprepareResources"} 1',
                     'gpualloc_calls_failed_total{method="NodeUnprepareResources"} 0',
                     "gpualloc_registrations_total 1"):
            assert line in lines, (line, lines)


# ---- accidents ----

def intercept(api, function):
    """Calls it before the next request for a claim is answered."""
    usual = api.check_identity

    def check(handler):
        if "/resourceclaims/" in handler.path:
            api.check_identity = usual
            function()
        usual(handler)
    api.check_identity = check


class Gate:
    """Holds a request for a claim until it is opened."""

    def __init__(self, api):
        self.asked, self.opened = threading.Event(), threading.Event()
        intercept(api, self.hold)

    def hold(self):
        self.asked.set()
        self.opened.wait(PATIENCE)

    def wait(self):
        assert self.asked.wait(PATIENCE)


@needs
def a_claim_that_is_unprepared_while_it_is_being_prepared_leaves_nothing():
    with cluster() as (kubelet, _):
        claim = kubelet.claim("a", "gpu-0")
        gate = Gate(kubelet.api)
        running = kubelet.call("NodePrepareResources", [claim], wait=False)
        gate.wait()
        kubelet.unprepare(claim)
        gate.opened.set()
        answer = running.result(PATIENCE).claims[0].value
        assert "unprepared meanwhile" in answer.error, answer
        assert not leases(kubelet) and not kubelet.files()
        kubelet.prepared(claim)
        kubelet.unprepare(claim)


@needs
def for_a_call_that_was_given_up_the_api_server_is_asked_no_more():
    with cluster() as (kubelet, agent):
        claims = [kubelet.claim(name, f"gpu-{number}") for number, name in enumerate("abc")]
        gate = Gate(kubelet.api)
        running = kubelet.call("NodePrepareResources", claims, wait=False)
        gate.wait()
        running.cancel()
        kubelet.unprepare(("default", "served-meanwhile", "11111111-2222-3333-4444-555555555555"))
        gate.opened.set()
        while agent.log().count("does not wait for it any more") < 2:
            assert agent.process.poll() is None
        asked = [path for _, path in kubelet.api.requests if "/resourceclaims/" in path]
        assert len(asked) == 1, asked
        kubelet.unprepare(*claims)
        assert not leases(kubelet) and not kubelet.files()


@needs
def two_calls_for_one_claim_at_once_both_succeed():
    with cluster() as (kubelet, _):
        claim = kubelet.claim("a", "gpu-0")
        both = [kubelet.call("NodePrepareResources", [claim, claim], wait=False) for _ in range(2)]
        for one in both:
            assert not any(entry.value.error for entry in one.result(PATIENCE).claims)
        assert list(leases(kubelet)) == uuids(0)
        kubelet.unprepare(claim)
        assert not leases(kubelet)


@needs
def an_api_server_that_is_away_costs_a_sentence_and_nothing_else():
    with cluster() as (kubelet, _):
        claim, other = kubelet.claim("a", "gpu-0"), kubelet.claim("b", "gpu-1")
        kubelet.prepared(other)

        def forbid():
            raise Refusal(403, "Forbidden", "not for you")

        intercept(kubelet.api, forbid)
        assert "not for you" in kubelet.refused(claim)
        kubelet.unprepare(other)
        kubelet.prepared(claim)
        kubelet.unprepare(claim)
        assert not leases(kubelet)


@contextlib.contextmanager
def killed(kubelet, agent):
    """After the block the agent is killed, and another one is there."""
    yield
    agent.end(signal.SIGKILL)
    other = again(kubelet)
    agent.process = other.process  # so that whoever made it ends this one


def finish(kubelet, agent, claim, expected):
    """Whether the kubelet tries again or gives up, all is as it should be."""
    assert kubelet.containers_get(kubelet.prepared(claim)) == nodes(*expected)
    wait_leases(kubelet, uuids(*expected))
    kubelet.unprepare(claim)
    assert not leases(kubelet) and not kubelet.files(), kubelet.files()
    assert agent.process.poll() is None


@needs
def killed_while_it_asks_the_api_server_it_leaves_nothing():
    with cluster() as (kubelet, agent):
        claim = kubelet.claim("a", "set-0-3")
        gate = Gate(kubelet.api)
        with killed(kubelet, agent):
            kubelet.call("NodePrepareResources", [claim], wait=False)
            gate.wait()
        gate.opened.set()
        assert not leases(kubelet) and not kubelet.files()
        finish(kubelet, agent, claim, [0, 3])


@needs
def killed_between_the_lease_and_the_file_it_leaves_nothing():
    for tries_again in (True, False):
        with cluster() as (kubelet, agent):
            claim = kubelet.claim("a", "set-0-3")
            os.makedirs(kubelet.cdi, exist_ok=True)
            folder, name = os.path.split(kubelet.file(claim))
            with open(os.path.join(folder, f".{name}.new"), "w", encoding="utf-8") as turn:
                os.chmod(turn.fileno(), 0o600)
                fcntl.flock(turn, fcntl.LOCK_EX)
                with killed(kubelet, agent):
                    kubelet.call("NodePrepareResources", [claim], wait=False)
                    wait_leases(kubelet, uuids(0, 3))
                    assert not os.path.exists(kubelet.file(claim))
            assert not leases(kubelet)
            if tries_again:
                finish(kubelet, agent, claim, [0, 3])
            kubelet.unprepare(claim)
            assert not leases(kubelet) and not kubelet.files(), kubelet.files()


@needs
def killed_after_the_file_was_written_the_claim_stays_prepared():
    for tries_again in (True, False):
        with cluster() as (kubelet, agent):
            claim = kubelet.claim("a", "set-0-3")
            with killed(kubelet, agent):
                kubelet.call("NodePrepareResources", [claim], wait=False)
                while not os.path.exists(kubelet.file(claim)):
                    assert agent.process.poll() is None
            wait_leases(kubelet, uuids(0, 3))
            if tries_again:
                finish(kubelet, agent, claim, [0, 3])
            kubelet.unprepare(claim)
            assert not leases(kubelet) and not kubelet.files()


@needs
def killed_after_all_was_done_the_pod_keeps_its_devices():
    with cluster() as (kubelet, agent):
        claim = kubelet.claim("a", "set-0-3", ("watch", "gpu-5", True))
        devices = kubelet.prepared(claim)
        with killed(kubelet, agent):
            pass
        assert kubelet.containers_get(devices) == nodes(0, 3, 5)
        wait_leases(kubelet, uuids(0, 3))
        assert "gpu-3" in kubelet.refused(kubelet.claim("b", "gpu-3"))
        kubelet.unprepare(claim)
        assert not leases(kubelet) and not kubelet.files()


@needs
def killed_while_it_unprepares_the_rest_is_done_by_the_next():
    with cluster() as (kubelet, agent):
        claim = kubelet.claim("a", "set-0-3")
        kubelet.prepared(claim)
        with killed(kubelet, agent):
            kubelet.call("NodeUnprepareResources", [claim], wait=False)
            while os.path.exists(kubelet.file(claim)):
                assert agent.process.poll() is None
        kubelet.unprepare(claim)
        assert not leases(kubelet) and not kubelet.files()


@needs
def what_lies_in_the_folder_and_is_none_of_ours_is_left_alone():
    with cluster() as (kubelet, agent):
        agent.end()
        os.makedirs(kubelet.cdi, exist_ok=True)
        ours = f"{DRIVER}-claim_11111111-2222-3333-4444-55555555555{{}}.json"
        texts = {"nvidia.yaml": "x", ours.format(1): "no json", ours.format(2): "[]",
                 ours.format(3): json.dumps({"devices": [{"name": "../../etc"}]}),
                 f"{DRIVER}-claim_..json": "{}", f"{DRIVER}-claim_.json": "{}"}
        for name, text in texts.items():
            with open(os.path.join(kubelet.cdi, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.mkfifo(os.path.join(kubelet.cdi, ours.format(4)))
        other = again(kubelet)
        try:
            claim = kubelet.claim("a", "gpu-0")
            kubelet.prepared(claim)
            kubelet.unprepare(claim)
            assert not leases(kubelet)
            assert set(texts) <= set(kubelet.files())
            assert other.log().count("what this claim has is not leased") == 4, other.log()
        finally:
            assert other.end() == 0


# ---- nonsense ----

@needs
def calls_that_make_no_sense_get_a_status_or_a_sentence():
    with cluster() as (kubelet, agent):
        plugin = kubelet.plugins[0]
        for version in ("v1", "v1beta1"):
            for method in ("NodePrepareResources", "NodeUnprepareResources"):
                call = plugin.channel.unary_unary(
                    f"/k8s.io.kubelet.pkg.apis.dra.{version}.DRAPlugin/{method}")
                assert call(b"", timeout=PATIENCE) == b""
                for payload, code in ((b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
                                      (b"\x0a\x7f", grpc.StatusCode.INVALID_ARGUMENT),
                                      (b"\x0a\x00" * 2000, grpc.StatusCode.RESOURCE_EXHAUSTED)):
                    try:
                        call(payload, timeout=PATIENCE)
                        raise AssertionError("it was accepted")
                    except grpc.RpcError as error:
                        assert error.code() == code, error
        for one in (("default", "a", "../../x"), ("default", "a", "u" * 500), ("../..", "a", "1"),
                    ("default", "a/b?c", "1"), ("", "", ""), ("default", "a\n\x1b[2J", "1")):
            request = dra.Claims()
            request.claims.add(namespace=one[0], name=one[1], uid=one[2])
            for method in ("NodePrepareResources", "NodeUnprepareResources"):
                kind = dra.PrepareResponse if "Un" not in method else dra.UnprepareResponse
                assert "not valid" in plugin.call(method, request, kind).claims[0].value.error
        assert "\x1b" not in agent.log() and not kubelet.files()
        assert not [path for _, path in kubelet.api.requests if "default" in path], kubelet.api.requests


@needs
def a_sentence_that_is_cut_in_a_letter_does_not_spoil_the_other_answers():
    with cluster() as (kubelet, _):
        good, odd = kubelet.claim("a", "gpu-0"), kubelet.claim("b", "é" * 60)
        answer = kubelet.prepare(good, odd)
        assert "has no device" in answer[odd["metadata"]["uid"]].error, answer
        assert answer[good["metadata"]["uid"]].devices, answer
        kubelet.unprepare(good, odd)


@needs
def every_mistake_of_dra_is_named_at_once():
    done = subprocess.run(
        [os.environ["GPUALLOC_K8S"], "--api", "dra", "--driver", "GPU_x", "--node", "a..b",
         "--replicas", "2", "--cdi-dir", "here", "--kubelet-root", "/" + "k" * 100],
        env=cli.environment(), capture_output=True, text=True, timeout=PATIENCE, check=False,
        stdin=subprocess.DEVNULL)
    assert done.returncode == 64 and done.stdout == "", done
    for part in ("--driver", "--node", "--replicas: it is only for `--api device-plugin`", "--cdi-dir",
                 "too long together", "nothing was started"):
        assert part in done.stderr, (part, done.stderr)
    for words in (["--api", "dra", "--driver", "9.example.com"], ["--cdi-kind", "9.com/gpu"],
                  ["--cdi-kind", "a.com/9"]):
        done = subprocess.run([os.environ["GPUALLOC_K8S"], *words], env=cli.environment(), capture_output=True,
                              text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 64 and words[-2] in done.stderr, done


if __name__ == "__main__":
    main(at_once=3)
