#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The device plugin and a kubelet: registration, the list, which GPUs a pod gets, and what its
container is given."""
import os
import random
import signal
import tempfile

from cli import main
from parts import needs

try:
    import grpc
    from kubelet import Agent, cluster, machine_text, write_machine
    from messages import v1beta1
except ImportError:
    pass  # the cases are skipped


def uuids(machine):
    return [device["uuid"] for device in machine_text(machine)["devices"]]


@needs
def the_kubelet_dials_back_before_it_answers_and_gets_the_list():
    with cluster() as (kubelet, agent):
        kubelet.wait_healthy(8)
        request = kubelet.registrations[0]
        assert request.version == "v1beta1" and "/" not in request.endpoint, request
        plugin = kubelet.plugins["nvidia.com/gpu"]
        assert plugin.options.get_preferred_allocation_available
        assert not plugin.options.pre_start_required
        assert list(plugin.devices) == uuids("dgx1-volta")
        assert [device.topology.nodes[0].ID for device in plugin.devices.values()] == [0] * 4 + [1] * 4
        assert os.stat(plugin.path).st_mode & 0o777 == 0o600
        plugin.call("PreStartContainer", v1beta1.PreStartContainerRequest(devices_ids=["x"]),
                    v1beta1.Empty)
        assert agent.end() == 0


@needs
def a_kubelet_that_starts_later_is_found_and_one_that_restarts_again():
    with cluster(start=False) as (kubelet, _):
        kubelet.start()
        kubelet.wait_healthy(8)
        for times in range(2, 5):
            kubelet.restart()
            kubelet.wait_healthy(8)
            assert len(kubelet.registrations) >= times


@needs
def a_lost_stream_is_made_good_by_registering_again():
    with cluster() as (kubelet, _):
        for _ in range(3):
            kubelet.wait_healthy(8)
            before = len(kubelet.registrations)
            kubelet.plugins["nvidia.com/gpu"].stream.cancel()
            kubelet.wait("another registration", lambda: len(kubelet.registrations) > before)
        kubelet.wait_healthy(8)


@needs
def a_socket_that_was_removed_is_made_again():
    with cluster() as (kubelet, _):
        kubelet.wait_healthy(8)
        os.unlink(kubelet.plugins["nvidia.com/gpu"].path)
        kubelet.wait("another registration", lambda: len(kubelet.registrations) > 1)
        kubelet.wait_healthy(8)
        assert os.path.exists(kubelet.plugins["nvidia.com/gpu"].path)


@needs
def an_update_with_two_agents_side_by_side_ends_with_the_younger_one():
    with cluster() as (kubelet, old):
        kubelet.wait_healthy(8)
        first = kubelet.registrations[0].endpoint
        young = Agent(kubelet, "dgx1-volta", "--lease", "no")
        try:
            kubelet.wait("the younger one", lambda: kubelet.registrations[-1].endpoint != first)
            path = os.path.join(kubelet.folder, kubelet.registrations[-1].endpoint)
            assert old.end() == 0
            kubelet.wait_healthy(8)
            assert os.path.exists(path), "the older one took the younger one's socket away"
            assert kubelet.plugins["nvidia.com/gpu"].path == path
        finally:
            assert young.end() == 0


@needs
def the_older_one_takes_over_again_if_the_younger_one_dies():
    with cluster() as (kubelet, old):
        kubelet.wait_healthy(8)
        first = kubelet.plugins["nvidia.com/gpu"].path
        young = Agent(kubelet, "dgx1-volta", "--lease", "no")
        kubelet.wait("the younger one", lambda: kubelet.plugins["nvidia.com/gpu"].path != first)
        kubelet.wait_healthy(8)
        young.end(signal.SIGKILL)
        kubelet.wait("the older one", lambda: kubelet.plugins["nvidia.com/gpu"].path == first)
        kubelet.wait_healthy(8)
        os.unlink(os.path.join(kubelet.folder, next(
            name for name in os.listdir(kubelet.folder)
            if name.startswith("gpualloc-") and not first.endswith(name))))
        assert old.process.poll() is None


@needs
def the_choice_is_the_best_set_whatever_order_the_ids_come_in():
    with cluster("dgx1-volta", "--policy", "bandwidth") as (kubelet, _):
        kubelet.wait_healthy(8)
        ids = kubelet.healthy()
        six = kubelet.prefer(6, ids)
        assert six == [ids[i] for i in (0, 2, 3, 4, 6, 7)], six
        for _ in range(20):
            assert kubelet.prefer(6, ids) == six
        assert kubelet.prefer(8, ids) == ids
        assert kubelet.prefer(1, ids[5:6]) == ids[5:6]


@needs
def what_must_be_included_is_and_no_wish_is_ever_an_error():
    with cluster() as (kubelet, _):
        kubelet.wait_healthy(8)
        ids = kubelet.healthy()
        for _ in range(100):
            available = random.sample(ids, random.randrange(1, 9))
            must = random.sample(available, random.randrange(0, len(available) + 1))
            count = random.randrange(len(must), len(available) + 1)
            chosen = kubelet.prefer(count, available, must)
            assert len(chosen) == len(set(chosen)) == count, (available, must, count, chosen)
            assert set(must) <= set(chosen) <= set(available) or not count, (must, chosen)
        assert kubelet.prefer(3, ["gone", *ids[:2]]) == [*ids[:2], "gone"]
        assert kubelet.prefer(2, ids[:1] * 5 + ids[1:2]) == ids[:2]
        assert kubelet.prefer(9, ids) == ids
        assert kubelet.prefer(0, ids) == []
        assert kubelet.prefer(2, ids[:3], ids[6:7])[-1] == ids[6]


@needs
def four_small_pods_leave_whole_pairs_for_large_ones():
    with cluster("rtx8000x4") as (kubelet, _):
        kubelet.wait_healthy(4)
        ids = kubelet.healthy()
        pairs = [{ids[0], ids[3]}, {ids[1], ids[2]}]
        kubelet.pod("a", 1)
        kubelet.pod("b", 1)
        assert set(kubelet.pod("c", 2)) in pairs


def pairs_of_nvlink(where):
    """Eight GPUs of which each has NVLink to one other: 0 and 4, 1 and 5, 2 and 6, 3 and 7."""
    machine = machine_text("dgx1-volta")
    machine["nvlink"] = [[2 if abs(i - j) == 4 else 0 for j in range(8)] for i in range(8)]
    path = os.path.join(where, "pairs.json")
    write_machine(path, machine)
    return path


@needs
def four_pods_of_one_leave_two_pairs_for_two_pods_of_two():
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        with cluster(pairs_of_nvlink(where)) as (kubelet, _):
            kubelet.wait_healthy(8)
            ids = kubelet.healthy()
            for name in "abcd":
                kubelet.pod(name, 1)
            for name in "ef":
                first, second = kubelet.pod(name, 2)
                assert ids.index(second) - ids.index(first) == 4, kubelet.pods


@needs
def the_choice_follows_links_that_change():
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        path, machine = pairs_of_nvlink(where), machine_text("dgx1-volta")
        with cluster(path) as (kubelet, agent):
            kubelet.wait_healthy(8)
            ids = kubelet.healthy()
            assert kubelet.prefer(2, ids[:5]) == [ids[0], ids[4]]
            machine["nvlink"] = [[2 if abs(i - j) == 3 else 0 for j in range(8)] for i in range(8)]
            write_machine(path, machine)
            while kubelet.prefer(2, [ids[0], *ids[2:5]]) != [ids[0], ids[3]]:
                assert agent.process.poll() is None


def on_a_driver(path, *words, **options):
    """An agent that asks a libnvidia-ml of our own, which notes each call."""
    env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": path, "FAKE_CALLS": path + ".calls"}
    return cluster("nvml", *words, env=env, **options)


@needs
def the_driver_is_not_asked_for_a_pod_and_may_hang():
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        path = os.path.join(where, "machine.json")
        write_machine(path, machine_text("dgx1-volta"))
        with on_a_driver(path, "--interval", "1h", "--poll", "1m", store=True) as (kubelet, _):
            kubelet.wait_healthy(8)
            before = os.path.getsize(path + ".calls")
            assert before > 100
            for number in range(4):
                kubelet.pod(f"pod {number}", 2)
            assert os.path.getsize(path + ".calls") == before
        with on_a_driver(path, store=True) as (kubelet, _):
            kubelet.wait_healthy(8)
            os.mkfifo(path + ".hangs")
            os.rename(path + ".hangs", path)
            with open(path, "wb"):  # the driver reads it, and will have nothing for as long as it is open
                for number in range(4):
                    kubelet.pod(f"pod {number}", 2)


@needs
def a_container_gets_its_devices_in_the_forms_asked_for():
    with cluster("dgx1-volta", "--hand-over", "environment,devices,cdi,annotations", "--cdi-kind",
                 "example.com/card") as (kubelet, _):
        kubelet.wait_healthy(8)
        ids = kubelet.healthy()
        first = kubelet.allocate([ids[1], ids[2]])
        assert [(entry.key, sorted(entry.value.split(","))) for entry in first.envs] == [
            ("NVIDIA_VISIBLE_DEVICES", sorted(ids[1:3]))]
        nodes = [(node.host_path, node.container_path, node.permissions) for node in first.devices]
        for path in ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia1", "/dev/nvidia2"):
            assert (path, path, "rw") in nodes, nodes
        assert sorted(device.name for device in first.cdi_devices) == [
            f"example.com/card={one}" for one in sorted(ids[1:3])]
        assert first.annotations[0].key.startswith("cdi.k8s.io/gpualloc-k8s_")
        for _ in range(10):
            assert kubelet.allocate([ids[1], ids[2]]) == first
        other = kubelet.allocate([ids[3]])
        assert other.annotations[0].key != first.annotations[0].key


@needs
def an_unknown_device_is_refused_with_its_name():
    with cluster() as (kubelet, _):
        kubelet.wait_healthy(8)
        try:
            kubelet.allocate(["GPU-nobody\n"])
            raise AssertionError("it was accepted")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
            assert "GPU-nobody" in error.details(), error


@needs
def replicas_are_packed_or_spread():
    for sharing, want in (("pack", {"0": 3}), ("spread", {"0": 1, "1": 1, "2": 1})):
        with cluster("rtx8000x4", "--replicas", "3", "--sharing", sharing) as (kubelet, _):
            kubelet.wait_healthy(12)
            gpus = uuids("rtx8000x4")
            chosen = kubelet.pod("a", 3)
            count = {}
            for one in chosen:
                uuid, replica = one.split("::")
                assert 0 <= int(replica) < 3
                number = str(gpus.index(uuid))
                count[number] = count.get(number, 0) + 1
            assert count == want, chosen
            # The next small pod: to those that are shared already, or to the empty one.
            left = kubelet.pod("b", 1)[0]
            assert gpus.index(left.split("::")[0]) == (1 if sharing == "pack" else 3), left
            answer = kubelet.allocate(chosen)
            assert len(answer.envs[0].value.split(",")) == len(want)


@needs
def mig_instances_are_a_resource_each_profile():
    with cluster("a100-mig", "--mig", "mixed", "--hand-over", "environment,devices") as (kubelet, _):
        kubelet.wait_healthy(1)
        kubelet.wait_healthy(2, "nvidia.com/mig-2g.10gb")
        kubelet.wait_healthy(3, "nvidia.com/mig-1g.5gb")
        chosen = kubelet.pod("a", 2, "nvidia.com/mig-1g.5gb")
        assert all(one.startswith("MIG-") for one in chosen)
        again = kubelet.allocate(chosen, "nvidia.com/mig-1g.5gb")
        assert again.envs[0].value.count("MIG-") == 2
        assert "/dev/nvidia1" in [node.host_path for node in again.devices]
        try:
            kubelet.allocate(chosen, "nvidia.com/gpu")
            raise AssertionError("an instance as a whole GPU")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error


if __name__ == "__main__":
    main()
