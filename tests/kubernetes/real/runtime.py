# SPDX-License-Identifier: Apache-2.0
"""A real container runtime without a kubelet: what gpualloc-k8s answers or prepares is what a container gets."""
import contextlib
import os
import sys

from agent import Machine
from api import until
from cases import need
from cli import Skip
from cluster import CONTAINERD, Pod, lines_of, sees, visible
from place import make_gpus
from programs import RUNTIME

SERVICE = "/runtime.v1.RuntimeService/"
CDI = "/run/cdi"
NODE_NETWORK = 2
CRI = {
    "Ids": ["s id 1"], "Image": ["s image 1"], "PullImageRequest": ["Image image 1"],
    "Metadata": ["s name 1", "s uid 2", "s namespace 3", "i attempt 4"],
    "ContainerMetadata": ["s name 1", "i attempt 2"],
    "Namespaces": ["i network 1", "i pid 2", "i ipc 3"], "Security": ["Namespaces namespace_options 1"],
    "LinuxPod": ["s cgroup_parent 1", "Security security_context 2"],
    "PodConfig": ["Metadata metadata 1", "s hostname 2", "s log_directory 3", "LinuxPod linux 8"],
    "RunPodSandboxRequest": ["PodConfig config 1"],
    "Variable": ["s key 1", "s value 2"], "Device": ["s container_path 1", "s host_path 2", "s permissions 3"],
    "CDIDevice": ["s name 1"],
    "ContainerConfig": ["ContainerMetadata metadata 1", "Image image 2", "s* command 3", "Variable* envs 6",
                        "Device* devices 8", "s log_path 11", "CDIDevice* CDI_devices 17"],
    "CreateContainerRequest": ["s pod_sandbox_id 1", "ContainerConfig config 2", "PodConfig sandbox_config 3"],
}


def parts():
    """What needs python3-grpcio: (grpc, messages, kubelets in Python for device plugins and for DRA)."""
    sys.path.append(os.path.join(os.environ["TEST_ROOT"], "kubernetes"))
    try:
        import grpc
        import dra_kubelet
        import kubelet
        import messages
    except ImportError as error:
        raise Skip(f"{sys.executable}: {error}") from None
    return grpc, messages, kubelet, dra_kubelet


class Runtime:
    """containerd, called as the kubelet calls it."""

    def __init__(self, cluster, grpc, messages):
        self.cluster, self.cri = cluster, messages.package("cri", CRI)
        self.channel = grpc.insecure_channel("unix:" + CONTAINERD)
        self.logs = os.path.join(cluster.where, "container-logs")
        self.call("/runtime.v1.ImageService/PullImage", self.cri.PullImageRequest(
            image=self.cri.Image(image=cluster.registry.image)))
        self.config = self.cri.PodConfig(
            metadata=self.cri.Metadata(name="pod", uid="1", namespace="default"), log_directory=self.logs,
            linux=self.cri.LinuxPod(security_context=self.cri.Security(
                namespace_options=self.cri.Namespaces(network=NODE_NETWORK))))
        self.pod = self.call(SERVICE + "RunPodSandbox", self.cri.RunPodSandboxRequest(config=self.config))

    def call(self, method, request):
        """The one string that the answers used here begin with."""
        call = self.channel.unary_unary(method, request_serializer=lambda message: message.SerializeToString(),
                                        response_deserializer=self.cri.Ids.FromString)
        return call(request, timeout=60).id

    def container(self, name, cdi=(), response=None):
        """Starts one with these CDI devices, or with what a device plugin answered; what it said."""
        config = self.cri.ContainerConfig(
            metadata=self.cri.ContainerMetadata(name=name), image=self.cri.Image(image=self.cluster.registry.image),
            command=["sh", "-c", Pod.SCRIPT], log_path=name + ".log",
            CDI_devices=[self.cri.CDIDevice(name=one) for one in cdi])
        if response:
            for one in response.envs:
                config.envs.add(key=one.key, value=one.value)
            for one in response.devices:
                config.devices.add(container_path=one.container_path, host_path=one.host_path,
                                   permissions=one.permissions)
        made = self.call(SERVICE + "CreateContainer", self.cri.CreateContainerRequest(
            pod_sandbox_id=self.pod, config=config, sandbox_config=self.config))
        self.call(SERVICE + "StartContainer", self.cri.Ids(id=made))
        log = os.path.join(self.logs, name + ".log")
        until(f"{name} speaks", lambda: "said all" in lines_of(log), state=lambda: str(lines_of(log)))
        return lines_of(log)

    def end(self):
        self.call(SERVICE + "StopPodSandbox", self.cri.Ids(id=self.pod))
        self.call(SERVICE + "RemovePodSandbox", self.cri.Ids(id=self.pod))
        self.channel.close()


@contextlib.contextmanager
def runtime(cluster, grpc, messages):
    cluster.need_containerd()
    make_gpus(8)
    made = Runtime(cluster, grpc, messages)
    try:
        yield made
    finally:
        made.end()


@need(RUNTIME)
def a_container_gets_what_the_device_plugin_answers_and_no_other_gpu(cluster):
    grpc, messages, kubelets, _ = parts()
    machine = Machine(cluster.where)
    with runtime(cluster, grpc, messages) as engine, kubelets.cluster(
            "nvml", "--hand-over", "environment,devices", env=machine.env) as (kubelet, _):
        kubelet.wait_healthy(8)
        ids = kubelet.pod("a", 2)
        lines = engine.container("has-two", response=kubelet.allocate(ids))
        assert sees(lines) == sorted(machine.index(one) for one in ids), (lines, ids)
        assert sorted(visible(lines)) == sorted(ids), lines


@need(RUNTIME)
def a_container_gets_the_gpus_of_its_claim_and_no_other(cluster):
    cluster.programs.need_cdi()
    grpc, messages, _, kubelets = parts()
    machine = Machine(cluster.where)
    with runtime(cluster, grpc, messages) as engine, kubelets.cluster(
            "nvml", "--cdi-dir", CDI, env=machine.env) as (kubelet, _):
        claim, other = kubelet.claim("a", "set-0-3"), kubelet.claim("b", "gpu-5")
        names = [name for one in kubelet.prepared(claim) for name in one.cdi_device_ids]
        kubelet.prepared(other)
        lines = engine.container("has-a-set", names)
        assert sees(lines) == [0, 3], lines
        assert visible(lines) == ["void"], lines
        kubelet.unprepare(claim, other)
        assert not os.listdir(CDI), os.listdir(CDI)
        try:
            engine.container("too-late", names)
            raise AssertionError("a claim that was taken back is still of use")
        except grpc.RpcError as error:
            assert "CDI" in error.details(), error
