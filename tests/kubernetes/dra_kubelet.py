# SPDX-License-Identifier: Apache-2.0
"""A kubelet as far as a DRA driver sees it, with an API server beside it: it watches its folder for
sockets, dials each that appears, asks what it is, and tells it whether it was taken; of several agents
it calls the one that came last; when it starts it takes what lies in its folder already."""
import contextlib
import ctypes
import json
import os
import signal
import stat
import struct
import tempfile
import threading
import time
import uuid

import apiserver
import grpc
from kubelet import PATIENCE, Agent, set_up
from messages import dra, health, registration

DRIVER, NODE = "gpu.gpualloc.example", "node-1"
SERVICES = ("v1.DRAPlugin", "v1beta1.DRAPlugin")  # those this kubelet knows
IN_CREATE, IN_DELETE, IN_MOVED = 0x100, 0x200, 0xc0
CLAIMS = "/apis/resource.k8s.io/v1/namespaces/{}/resourceclaims/{}"


def unary(channel, method, answer):
    return channel.unary_unary(method, request_serializer=lambda message: message.SerializeToString(),
                               response_deserializer=answer.FromString)


class Plugin:
    """A socket in the kubelet's folder, registered as the kubelet does it."""

    def __init__(self, path, known):
        self.path, self.error = path, ""
        channel = grpc.insecure_channel("unix:" + path, options=[("grpc.use_local_subchannel_pool", 1)])
        with contextlib.closing(channel):
            self.info = unary(channel, "/pluginregistration.Registration/GetInfo",
                              registration.PluginInfo)(registration.InfoRequest(), timeout=PATIENCE,
                                                       wait_for_ready=True)
            self.service = next((one for one in self.info.supported_versions if one in known), None)
            if self.info.type != "DRAPlugin" or not self.service:
                self.error = "none of its services is supported"
            unary(channel, "/pluginregistration.Registration/NotifyRegistrationStatus",
                  registration.RegistrationStatusResponse)(
                      registration.RegistrationStatus(plugin_registered=not self.error,
                                                      error=self.error), timeout=PATIENCE)
        self.channel = grpc.insecure_channel("unix:" + self.info.endpoint, options=[
            ("grpc.use_local_subchannel_pool", 1)])

    def call(self, method, request, answer, wait=True):
        version = self.service.split(".")[0]
        call = unary(self.channel, f"/k8s.io.kubelet.pkg.apis.dra.{version}.DRAPlugin/{method}", answer)
        return call(request, timeout=PATIENCE) if wait else call.future(request, timeout=PATIENCE)


class Kubelet:
    def __init__(self, where, api):
        self.where, self.api, self.known = where, api, SERVICES
        self.root, self.cdi = os.path.join(where, "kubelet"), os.path.join(where, "cdi")
        self.registry = os.path.join(self.root, "plugins_registry")
        self.folder = os.path.join(self.root, "plugins", DRIVER)
        os.makedirs(self.registry)
        os.makedirs(os.path.join(self.root, "plugins"))
        self.changed = threading.Condition()
        self.plugins, self.seen = [], 0
        self.running = []  # calls that nobody waits for would be cancelled
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.watch, self.thread = -1, None

    def options(self):
        return ["--api", "dra", "--kubelet-root", self.root, "--cdi-dir", self.cdi, "--kubeconfig",
                self.api.kubeconfig(), "--node", NODE]

    # ---- plugins ----

    def start(self):
        self.watch = self.libc.inotify_init1(os.O_CLOEXEC)
        self.libc.inotify_add_watch(self.watch, self.registry.encode(), IN_CREATE | IN_DELETE | IN_MOVED)
        for name in sorted(os.listdir(self.registry)):
            self.found(name)
        self.thread = threading.Thread(target=self.follow, args=(self.watch,), daemon=True)
        self.thread.start()

    def follow(self, watch):
        with contextlib.suppress(OSError):
            while data := os.read(watch, 65536):
                while data:
                    _, mask, _, size = struct.unpack("iIII", data[:16])
                    name, data = data[16:16 + size].rstrip(b"\0").decode(), data[16 + size:]
                    if mask & IN_DELETE:
                        self.gone(name)
                    elif name:
                        self.found(name)
                    if watch != self.watch:
                        return

    def found(self, name):
        path = os.path.join(self.registry, name)
        try:
            if name.startswith(".") or not stat.S_ISSOCK(os.stat(path).st_mode):
                return
            plugin = Plugin(path, self.known)
        except (OSError, grpc.RpcError):
            return
        with self.changed:
            if not plugin.error:
                self.plugins.append(plugin)
            self.seen += 1
            self.changed.notify_all()

    def gone(self, name):
        with self.changed:
            for plugin in self.plugins:
                if os.path.basename(plugin.path) == name:
                    plugin.channel.close()
            self.plugins = [one for one in self.plugins if os.path.basename(one.path) != name]
            self.changed.notify_all()

    def stop(self):
        with self.changed:
            watch, self.watch, plugins, self.plugins = self.watch, -1, self.plugins, []
        with contextlib.suppress(OSError):
            open(os.path.join(self.registry, ".wake"), "w", encoding="utf-8").close()
        self.thread.join(PATIENCE)
        os.close(watch)
        for plugin in plugins:
            plugin.channel.close()

    def wait(self, what, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), what

    def wait_registered(self, count=1):
        self.wait(f"{count} plugins", lambda: len(self.plugins) == count)

    def wait_seen(self, count):
        self.wait(f"{count} registrations", lambda: self.seen >= count)

    # ---- claims ----

    def claim(self, name, *devices, namespace="default", uid=None, **more):
        """A claim that the scheduler gave devices: names, or (request, device, True for admin)."""
        results = []
        for i, device in enumerate(devices):
            request, device, admin = device if isinstance(device, tuple) else (f"r{i}", device, False)
            results.append({"request": request, "driver": DRIVER, "pool": NODE, "device": device,
                            **({"adminAccess": True} if admin else {})})
        claim = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
                 "metadata": {"namespace": namespace, "name": name, "uid": uid or str(uuid.uuid4())},
                 "status": {"allocation": {"devices": {"results": results, **more}},
                            "reservedFor": [{"resource": "pods", "name": "a", "uid": "1"}]}}
        with self.api.changed:
            self.api.objects[CLAIMS.format(namespace, name)] = claim
        return claim

    def call(self, method, claims, wait=True):
        request = dra.Claims()
        for claim in claims:
            meta = claim["metadata"] if isinstance(claim, dict) else dict(
                zip(("namespace", "name", "uid"), claim))
            request.claims.add(namespace=meta["namespace"], uid=meta["uid"], name=meta["name"])
        answer = dra.PrepareResponse if method == "NodePrepareResources" else dra.UnprepareResponse
        plugin = self.plugins[-1]
        if not wait:
            self.running.append(plugin.call(method, request, answer, wait=False))
            return self.running[-1]
        response = {one.key: one.value for one in plugin.call(method, request, answer).claims}
        assert set(response) == {one.uid for one in request.claims}, response
        return response

    def prepare(self, *claims):
        """{uid: Prepared}"""
        return self.call("NodePrepareResources", claims)

    def prepared(self, claim):
        """The devices of one, which must succeed."""
        answer = self.prepare(claim)[claim["metadata"]["uid"]]
        assert not answer.error and answer.devices, answer
        return answer.devices

    def refused(self, claim):
        """The sentence of one that must fail."""
        answer = self.prepare(claim)[claim["metadata"]["uid"]]
        assert answer.error and not answer.devices, answer
        return answer.error

    def unprepare(self, *claims):
        for uid, answer in self.call("NodeUnprepareResources", claims).items():
            assert not answer.error, (uid, answer)

    def watch_health(self):
        """{device: (health, message)}, again and again."""
        call = self.plugins[-1].channel.unary_stream(
            "/v1alpha1.DRAResourceHealth/NodeWatchResources",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=health.Devices.FromString)
        for answer in call(health.Empty(), timeout=PATIENCE):
            assert all(one.device.pool_name == NODE for one in answer.devices), answer
            assert all(abs(one.last_updated_time - time.time()) < 30 for one in answer.devices), answer
            yield {one.device.device_name: (one.health, one.message) for one in answer.devices}

    # ---- what lies on the node ----

    def file(self, claim):
        return os.path.join(self.cdi, f"{DRIVER}-claim_{claim['metadata']['uid']}.json")

    def files(self):
        return sorted(os.listdir(self.cdi)) if os.path.isdir(self.cdi) else []

    def containers_get(self, devices):
        """The device files that a container engine makes of CDI ids, as it reads them now."""
        paths = []
        for device in devices:
            assert device.pool_name == NODE, device
            for name in device.cdi_device_ids:
                kind, _, name = name.partition("=")
                found = []
                for file in self.files():
                    with open(os.path.join(self.cdi, file), encoding="utf-8") as text:
                        spec = json.load(text)
                    if spec["kind"] == kind:
                        found += [one for one in spec["devices"] if one["name"] == name]
                assert len(found) == 1, (name, found)
                paths += [node["path"] for node in found[0]["containerEdits"]["deviceNodes"]]
        return paths


@contextlib.contextmanager
def cluster(machine="dgx1-volta", *words, store=True, start=True, env=None):
    """A kubelet, an API server and an agent; at the end the agent must have left no socket."""
    with tempfile.TemporaryDirectory(prefix="gpualloc-dra-") as where, apiserver.running() as api:
        kubelet = Kubelet(where, api)
        place = os.path.join(where, "store")
        if start:
            kubelet.start()
        if store:
            set_up(place)
        agent = Agent(kubelet, machine, *words, store=place if store else None, env=env)
        try:
            if start:
                kubelet.wait_registered()
            yield kubelet, agent
            assert agent.process.poll() in (None, 0, -9), agent.log()
            assert agent.end() in (0, -9), agent.process.returncode
            left = [name for name in os.listdir(kubelet.registry) if not name.startswith(".")]
            assert agent.process.returncode == -9 or not left, left
        except BaseException:
            print("# " + agent.log().replace("\n", "\n# "))
            raise
        finally:
            agent.end(signal.SIGKILL)
            if kubelet.thread:
                kubelet.stop()


def again(kubelet, machine="dgx1-volta", *words):
    """Another agent of the same node, and the kubelet has seen it."""
    with kubelet.changed:
        before = kubelet.seen
    agent = Agent(kubelet, machine, *words, store=os.path.join(kubelet.where, "store"))
    kubelet.wait_seen(before + 1)
    return agent
