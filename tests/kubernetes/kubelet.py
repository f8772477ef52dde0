# SPDX-License-Identifier: Apache-2.0
"""A kubelet as far as a device plugin sees it, and the agent under test. What real ones do that is
easily got wrong: it dials back inside Register before it answers, takes the socket's path as
authority (as those before 1.26), sends ids in random order, mixes up two plugins of one resource,
empties its folder when it starts."""
import concurrent.futures
import contextlib
import json
import os
import random
import signal
import subprocess
import tempfile
import threading

import cli
import grpc
from messages import v1, v1beta1

AGENT = os.environ["GPUALLOC_K8S"]
PATIENCE = 60  # seconds after which an expected event counts as hanging


def caller(channel, method, kind, stream=False):
    make = channel.unary_stream if stream else channel.unary_unary
    return make(f"/v1beta1.DevicePlugin/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=kind.FromString)


class Plugin:
    """The kubelet's end of one registration."""

    def __init__(self, kubelet, request):
        self.kubelet, self.resource = kubelet, request.resource_name
        self.path = os.path.join(kubelet.folder, request.endpoint)
        # Each its own connection, as different kubelets would have.
        options = [("grpc.default_authority", self.path), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel("unix:" + self.path, options=options)
        self.options = caller(self.channel, "GetDevicePluginOptions", v1beta1.DevicePluginOptions)(
            v1beta1.Empty(), timeout=10)
        self.devices = {}
        self.is_over = False
        self.stream = None
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        with contextlib.suppress(grpc.RpcError, ValueError):  # ValueError: it was stopped already
            self.stream = caller(self.channel, "ListAndWatch", v1beta1.ListAndWatchResponse,
                                 stream=True)(v1beta1.Empty())
            for response in self.stream:
                with self.kubelet.changed:
                    self.devices = {device.ID: device for device in response.devices}
                    self.kubelet.lists.append(sum(device.health == "Healthy" for device in response.devices))
                    self.kubelet.changed.notify_all()
        self.kubelet.ended(self)

    def stop(self):
        if self.stream:
            self.stream.cancel()
        self.channel.close()

    def call(self, method, request, kind):
        return caller(self.channel, method, kind)(request, timeout=PATIENCE)


class Kubelet:
    def __init__(self, where, mixes_up=True):
        self.where, self.mixes_up = where, mixes_up
        self.folder = os.path.join(where, "device-plugins")
        self.pods_socket = os.path.join(where, "pods", "kubelet.sock")
        os.makedirs(self.folder, exist_ok=True)
        os.makedirs(os.path.dirname(self.pods_socket), exist_ok=True)
        self.changed = threading.Condition()
        self.plugins, self.registrations, self.asked = {}, [], 0
        self.lists = []  # how many were healthy in each list that came
        self.pods = {}  # name: {resource: ids}
        self.server = self.pod_server = None

    def options(self):
        return ["--kubelet-dir", self.folder, "--pod-resources", self.pods_socket, "--poll", "200ms"]

    # ---- its own services ----

    def start(self, pods=True):
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if not os.path.isdir(path) and name != "kubelet_internal_checkpoint":
                os.unlink(path)
        self.server = self.serve("v1beta1.Registration", "Register", self.register,
                                 v1beta1.RegisterRequest, os.path.join(self.folder, "kubelet.sock"))
        if pods and not self.pod_server:
            self.start_pods()

    def start_pods(self):
        self.pod_server = self.serve("v1.PodResourcesLister", "List", self.list_pods,
                                     v1beta1.Empty, self.pods_socket)

    @staticmethod
    def serve(service, method, function, kind, path):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(4),
                             options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_unary_rpc_method_handler(
            function, request_deserializer=kind.FromString,
            response_serializer=lambda message: message.SerializeToString())
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {method: handler})])
        server.add_insecure_port("unix:" + path)
        server.start()
        return server

    def register(self, request, _context):
        assert request.version == "v1beta1", request
        plugin = Plugin(self, request)
        with self.changed:
            self.plugins[request.resource_name] = plugin
            self.registrations.append(request)
            self.changed.notify_all()
        plugin.thread.start()
        return v1beta1.Empty()

    def ended(self, plugin):
        """The mistake of real kubelets: whoever is registered now pays for the end of the old one."""
        with self.changed:
            plugin.is_over, plugin.devices = True, {}
            current = self.plugins.get(plugin.resource)
            self.changed.notify_all()
        if current not in (plugin, None) and self.mixes_up:
            current.stop()

    def list_pods(self, _request, _context):
        response = v1.ListPodResourcesResponse()
        with self.changed:
            for name, resources in self.pods.items():
                container = response.pod_resources.add(name=name, namespace="default").containers.add(
                    name="main")
                for resource, ids in resources.items():
                    container.devices.add(resource_name=resource, device_ids=ids)
            self.asked += 1
            self.changed.notify_all()
        return response

    def stop(self):
        for server in (self.server, self.pod_server):
            if server:
                server.stop(None).wait(PATIENCE)
        for plugin in self.plugins.values():
            plugin.stop()
        self.server = self.pod_server = None

    def restart(self):
        """Forgets its plugins; its pods live on."""
        self.server.stop(None).wait(PATIENCE)
        plugins, self.plugins = self.plugins, {}
        for plugin in plugins.values():
            plugin.stop()
        self.start(pods=False)

    # ---- what a test waits for ----

    def wait(self, what, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"{what}: {self.state()}"

    def state(self):
        return {name: {key: device.health for key, device in plugin.devices.items()}
                for name, plugin in self.plugins.items()}

    def healthy(self, resource="nvidia.com/gpu"):
        plugin = self.plugins.get(resource)
        return [] if not plugin or plugin.is_over else [
            key for key, device in plugin.devices.items() if device.health == "Healthy"]

    def wait_healthy(self, count, resource="nvidia.com/gpu"):
        self.wait(f"{count} healthy {resource}", lambda: len(self.healthy(resource)) == count)

    def wait_asked(self, times=2):
        """The agent has seen the pods as they are now."""
        with self.changed:
            before = self.asked
            assert self.changed.wait_for(lambda: self.asked >= before + times, PATIENCE)

    # ---- pods ----

    def free(self, resource):
        taken = {one for pod in self.pods.values() for one in pod.get(resource, [])}
        return [one for one in self.healthy(resource) if one not in taken]

    def prefer(self, count, available, must=(), resource="nvidia.com/gpu"):
        available, must = list(available), list(must)
        random.shuffle(available)
        random.shuffle(must)
        request = v1beta1.PreferredAllocationRequest()
        request.container_requests.add(available_deviceIDs=available, must_include_deviceIDs=must,
                                       allocation_size=count)
        response = self.plugins[resource].call("GetPreferredAllocation", request,
                                               v1beta1.PreferredAllocationResponse)
        return list(response.container_responses[0].deviceIDs)

    def allocate(self, ids, resource="nvidia.com/gpu"):
        ids = list(ids)
        random.shuffle(ids)
        request = v1beta1.AllocateRequest()
        request.container_requests.add(devices_ids=ids)
        return self.plugins[resource].call("Allocate", request,
                                           v1beta1.AllocateResponse).container_responses[0]

    def pod(self, name, count, resource="nvidia.com/gpu"):
        """Admits a pod; returns the ids it got."""
        free = self.free(resource)
        assert len(free) >= count, (count, free)
        chosen = self.prefer(count, free, resource=resource)
        assert len(chosen) == len(set(chosen)) == count and set(chosen) <= set(free), chosen
        self.allocate(chosen, resource)
        with self.changed:
            self.pods[name] = {resource: chosen}
        return chosen

    def delete(self, name):
        with self.changed:
            del self.pods[name]


class Agent:
    def __init__(self, kubelet, machine, *words, store=None, env=None):
        self.log_path = os.path.join(kubelet.where, f"log-{random.randrange(1 << 30)}")
        lease = ["--lease", "yes", "--store", store] if store else ["--lease", "no"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [AGENT, "--machine", machine, *kubelet.options(), "--kernel-log", "none", "--interval",
                 "200ms", *lease, *words],
                env=cli.environment(**(env or {})), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, number=signal.SIGTERM):
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
        return self.process.returncode


def resident(agent):
    """KiB; with a sanitizer it is no measure."""
    if cli.is_sanitized():
        return 0
    with open(f"/proc/{agent.process.pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


@contextlib.contextmanager
def cluster(machine="dgx1-volta", *words, store=False, start=True, mixes_up=True, env=None):
    """A kubelet and an agent; at the end the agent must have ended well and left no socket."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-k8s-") as where:
        kubelet = Kubelet(where, mixes_up)
        if start:
            kubelet.start()
        place = os.path.join(where, "store")
        if store:
            set_up(place)
        agent = Agent(kubelet, machine, *words, store=place if store else None, env=env)
        try:
            yield kubelet, agent
            assert agent.process.poll() in (None, 0, -9), agent.log()
            assert agent.end() in (0, -9), agent.log()
            left = [name for name in os.listdir(kubelet.folder) if name.startswith("gpualloc-")]
            assert agent.process.returncode == -9 or not left, left
        except BaseException:
            print("# " + agent.log().replace("\n", "\n# "))
            raise
        finally:
            agent.end(signal.SIGKILL)
            kubelet.stop()


def set_up(place):
    cli.ok("setup", env={"GPUALLOC_STATE_DIR": place})


def machine_text(name):
    return json.loads(cli.ok("snapshot", "--machine", name))


def write_machine(path, machine):
    """At once, as the agent may read at any time."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(machine, file)
    os.rename(path + ".new", path)
