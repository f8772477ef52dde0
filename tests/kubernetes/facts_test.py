#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the agent tells schedulers of its node, at an API server that checks who asks."""
import contextlib
import json
import re

from apiserver import Refusal, running
from cli import main
from parts import needs

try:
    from kubelet import cluster, machine_text, write_machine
except ImportError:
    pass  # the cases are skipped

NODE = "/api/v1/nodes/n1"
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def check_labels(_path, _old, new):
    for key, value in new["metadata"].get("labels", {}).items():
        assert re.fullmatch(r"[a-z0-9.-]+/[-A-Za-z0-9_.]{1,63}", key), key
        assert len(value) < 64 and VALUE.fullmatch(value), value


@contextlib.contextmanager
def telling(form, machine="dgx1-volta", *words, user=None, **options):
    with running() as api:
        api.check = check_labels
        api.store(NODE, None, {"metadata": {"name": "n1", "labels": {"example.com/mine": "kept"}}})
        with cluster(machine, "--facts", form, "--node", "n1", "--kubeconfig",
                     api.kubeconfig(user=user), *words, **options) as (kubelet, agent):
            yield api, kubelet, agent


def labels(api):
    return {key.split(".")[-1]: value for key, value in api.objects[NODE]["metadata"]["labels"].items()
            if key.startswith("nvidia.com/gpu.")}


def wait(api, condition):
    with api.changed:
        assert api.changed.wait_for(condition, 60), (api.objects[NODE], api.requests)


def patches(api):
    return [request for request in api.requests if request[0] == "PATCH"]


@needs
def labels_say_how_many_are_free_and_how_they_are_connected():
    with telling("labels") as (api, kubelet, _):
        wait(api, lambda: labels(api) == {"free": "8", "largest-linked": "8", "largest-pcie-switch": "2",
                                          "free-numa-0": "4", "free-numa-1": "4"})
        assert api.objects[NODE]["metadata"]["labels"]["example.com/mine"] == "kept"
        kubelet.wait_healthy(8)
        kubelet.pod("a", 7)
        wait(api, lambda: labels(api)["free"] == "1")
        assert labels(api)["largest-linked"] == "1" and labels(api)["largest-pcie-switch"] == "1"
        assert sorted((labels(api)["free-numa-0"], labels(api)["free-numa-1"])) == ["0", "1"]


@needs
def an_annotation_says_the_same_and_nothing_is_written_without_a_change():
    with telling("annotation", "pcie16") as (api, kubelet, _):
        wait(api, lambda: "nvidia.com/gpu.facts" in api.objects[NODE]["metadata"].get("annotations", {}))
        facts = json.loads(api.objects[NODE]["metadata"]["annotations"]["nvidia.com/gpu.facts"])
        assert facts["free"] == 16 and facts["largest-linked"] == 1, facts
        assert facts["largest-pcie-switch"] > 1, facts
        kubelet.wait_asked(8)
        assert len(patches(api)) == 1, api.requests


@needs
def a_node_that_was_made_anew_has_them_again():
    with telling("labels") as (api, kubelet, _):
        wait(api, lambda: labels(api).get("free") == "8")
        with api.changed:
            api.objects.pop(NODE)
            api.store(NODE, None, {"metadata": {"name": "n1", "labels": {}}})
        kubelet.restart()
        wait(api, lambda: labels(api).get("free") == "8")


@needs
def changes_that_follow_each_other_are_told_together():
    with telling("labels") as (api, kubelet, _):
        wait(api, lambda: labels(api).get("free") == "8")
        kubelet.wait_healthy(8)
        for name in "abcde":
            kubelet.pod(name, 1)
            kubelet.wait_asked(1)
        wait(api, lambda: labels(api)["free"] == "3")
        assert len(patches(api)) < 1 + 5, api.requests  # two, unless five pods take longer than ten seconds


@needs
def a_server_that_refuses_or_is_away_is_asked_again_and_pods_get_their_gpus():
    with telling("labels", user={"token": "wrong"}) as (api, kubelet, agent):
        kubelet.wait_healthy(8)
        while "the facts at node n1 are not up to date" not in agent.log():
            assert agent.process.poll() is None
        kubelet.pod("a", 2)
        api.tokens.add("wrong")
        wait(api, lambda: labels(api).get("free") == "6")

    def refuse(*_):
        raise Refusal(403, "Forbidden", "nodes \"n1\" is forbidden")

    with telling("labels") as (api, kubelet, agent):
        wait(api, lambda: labels(api).get("free") == "8")
        api.check = refuse
        kubelet.wait_healthy(8)
        kubelet.pod("a", 2)
        while "is forbidden" not in agent.log():
            assert agent.process.poll() is None


@needs
def sick_gpus_are_not_free():
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(running())
        api.store(NODE, None, {"metadata": {"name": "n1"}})
        machine, path = machine_text("rtx8000x4"), api.file("machine.json")
        machine["devices"][0]["health"] = "lost"
        write_machine(path, machine)
        stack.enter_context(cluster(path, "--facts", "labels", "--node", "n1", "--kubeconfig",
                                    api.kubeconfig()))
        wait(api, lambda: "labels" in api.objects[NODE]["metadata"])
        assert labels(api)["free"] == "3" and labels(api)["largest-linked"] == "2", labels(api)


if __name__ == "__main__":
    main(at_once=3)
