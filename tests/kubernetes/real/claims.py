# SPDX-License-Identifier: Apache-2.0
"""ResourceClaims, ResourceSlices and what gpualloc says of sets of GPUs."""
import json
import os
import subprocess

import cli
from api import Refused, until
from cluster import DEFAULT
from manifests import documents, field

GROUP = "/apis/resource.k8s.io/v1"
DRIVER = "gpu.gpualloc.example"
AGENT = os.environ["GPUALLOC_K8S"]


def need_group(cluster):
    if not cluster.api.is_there(GROUP):
        raise cli.Skip("kube-apiserver has no resource.k8s.io/v1, which came with 1.34")


def printed_slices(machine, node, *words):
    """What gpualloc-k8s --print-slices writes for that machine."""
    done = subprocess.run([AGENT, "--api", "dra", "--print-slices", "--machine", machine, "--node", node, *words],
                          env=cli.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["items"]


def publish(api, slices):
    """Makes these; they must be as valid as a strict server wants them."""
    for one in slices:
        try:
            api.make(GROUP + "/resourceslices?fieldValidation=Strict", one)
        except Refused as refused:
            raise AssertionError(f"{one['metadata']}: {refused}") from None


def withdraw(api, node):
    for one in api.list(f"{GROUP}/resourceslices"):
        if one["spec"].get("nodeName") == node:
            api.delete(f"{GROUP}/resourceslices/{one['metadata']['name']}")


def indices(devices):
    """The GPUs that devices of these names stand for."""
    found = []
    for name in devices:
        kind, rest = name.split("-", 1)
        assert kind in ("gpu", "set"), name
        found += [bit for bit in range(64) if int(rest[1:], 16) >> bit & 1] if rest.startswith("x") \
            else [int(one) for one in rest.split("-")]
    return sorted(found)


def bandwidth(machine, count, *words):
    """The predicted bandwidth of the best set of so many."""
    words = ["pick", "--machine", machine, "--policy", "bandwidth", "-n", str(count), "--json", *words]
    return json.loads(cli.ok(*words))["bandwidth"]


def is_best(machine, chosen, taken):
    """Whether no better set is free where these are taken."""
    best = bandwidth(machine, len(chosen), *(["--exclude", ",".join(map(str, taken))] if taken else []))
    return bandwidth(machine, len(chosen), "--only", ",".join(map(str, chosen))) == best


def is_pair(machine, chosen):
    """Whether the idle machine has no better pair."""
    return bandwidth(machine, 2, "--only", ",".join(map(str, chosen))) == bandwidth(machine, 2)


def request(class_name, **more):
    """The spec of a claim for one device of that class."""
    return {"devices": {"requests": [{"name": "gpus", "exactly": {"deviceClassName": class_name, **more}}]}}


class Claim:
    """For one device of that class."""

    def __init__(self, cluster, name, class_name, **more):
        self.api, self.name = cluster.api, name
        self.path = f"{GROUP}/namespaces/default/resourceclaims/{name}"
        self.api.make(f"{GROUP}/namespaces/default/resourceclaims", {
            "metadata": {"name": name}, "spec": request(class_name, **more)})

    def results(self):
        status = self.api.get(self.path).get("status", {})
        return [one["device"] for one in status.get("allocation", {}).get("devices", {}).get("results", [])]

    def indices(self, state):
        return indices(until(f"{self.name} is allocated", self.results, state=state))

    def release(self):
        """As the controller does it when no pod is left; it may not be there."""
        for path, part in ((self.path + "/status", {"status": {"allocation": None, "reservedFor": None}}),
                           (self.path, {"metadata": {"finalizers": None}})):
            try:
                self.api.change(path, part)
            except Refused as refused:
                if refused.code != 404:
                    raise
        self.api.delete(self.path)
        until(f"{self.name} has gone", lambda: not self.api.is_there(self.path))


def make_classes(cluster):
    """The DeviceClasses of the manifests, and as they say themselves, copies of one for other numbers."""
    texts = {field("name", text): text for _, text in documents() if field("kind", text) == "DeviceClass"}
    pair = texts["gpu-set-2"]
    assert ".gpus == 2" in pair, pair
    for count in range(3, 9):
        texts.setdefault(f"gpu-set-{count}", pair.replace("gpu-set-2", f"gpu-set-{count}").replace(
            ".gpus == 2", f".gpus == {count}"))
    for text in texts.values():
        cluster.api.make_once(GROUP + "/deviceclasses", text, "application/yaml")


def make_paper_node(cluster, name):
    """A node without a kubelet: enough for the scheduler."""
    size = {"cpu": "8", "memory": "8Gi", "pods": "110"}
    cluster.api.make("/api/v1/nodes", {"metadata": {"name": name}, "status": {"capacity": size, "allocatable": size}})


def remove_pod(api, name):
    """Also where no kubelet could end it."""
    try:
        api.ask("DELETE", f"{DEFAULT}/pods/{name}", {
            "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
    except Refused as refused:
        if refused.code != 404:
            raise
    until(f"pod {name} has gone", lambda: not api.is_there(f"{DEFAULT}/pods/{name}"))
