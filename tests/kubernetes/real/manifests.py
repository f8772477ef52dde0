# SPDX-License-Identifier: Apache-2.0
"""A real API server takes the manifests as they are."""
import os
import re

import cli
from api import Refused
from cases import need
from programs import CONTROL

FOLDER = os.path.join(cli.ROOT, "../engines/kubernetes/manifests")


def documents():
    for name in sorted(os.listdir(FOLDER)):
        with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
            for text in re.split(r"^---$", file.read(), flags=re.MULTILINE):
                if re.search(r"^kind:", text, re.MULTILINE):
                    yield name, text


def field(name, text):
    found = re.search(rf"^ *{name}: *(\S+)", text, re.MULTILINE)
    return found and found.group(1)


def place_of(cluster, text):
    """(kind, path of its collection)."""
    version, kind = field("apiVersion", text), field("kind", text)
    group = "/api/" + version if "/" not in version else "/apis/" + version
    known = {one["kind"]: one for one in cluster.api.get(group)["resources"] if "/" not in one["name"]}
    place = f"/namespaces/{field('namespace', text)}" if known[kind]["namespaced"] else ""
    return kind, f"{group}{place}/{known[kind]['name']}"


def install(cluster):
    """All but the agent itself, which these tests start by hand."""
    for _, text in documents():
        kind, path = place_of(cluster, text)
        if kind != "DaemonSet":
            cluster.api.make_once(path, text, "application/yaml")


@need(CONTROL)
def the_api_server_takes_every_manifest(cluster):
    cluster.need_control()
    taken = 0
    for file, text in documents():
        kind, path = place_of(cluster, text)
        try:
            cluster.api.ask("POST", path + "?dryRun=All&fieldValidation=Strict",
                            text.replace("IMAGE", "example.com/gpualloc:1"), "application/yaml")
        except Refused as refused:
            raise AssertionError(f"{file}, {kind}: {refused}") from None
        taken += 1
    assert taken
