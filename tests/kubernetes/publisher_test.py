#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The node's slices at an API server: made, kept, changed in place, and never taken away from those
who have what is in them."""
import contextlib
import copy
import json
import os
import subprocess
import time

import cli
from apiserver import Refusal, running
from cli import case, main
from slices import Scheduler, admit, check_pool, of_size, pool_of

PUBLISH = os.environ["PUBLISH"]
ROOT = "/apis/resource.k8s.io/v1/resourceslices/"
NODE = "/api/v1/nodes/n1"
PATIENCE = 100  # seconds after which what is waited for counts as hanging


def machine_of(api, name, change=lambda machine: None):
    machine = json.loads(cli.ok("snapshot", "--machine", name))
    change(machine)
    path = api.file(f"{len(os.listdir(api.folder))}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(machine, file)
    return path


class Publisher:
    def __init__(self, api, machine="dgx1-volta", leave=60000):
        path = machine if "/" in machine else machine_of(api, machine)
        self.api = api
        self.process = subprocess.Popen(
            [PUBLISH, api.kubeconfig(), path, "n1", str(leave)], env=cli.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.labels = {}

    def tell(self, line="tick"):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        assert words and words[0] == "ok", (words, self.process.stderr.read() if not words else "")
        self.labels = dict(word.split("=") for word in words[2:])
        return words[1] == "1"

    def until(self, holds):
        """Ticks until it is so."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, "it does not come to be so"
            self.tell()
            time.sleep(0.01)

    def end(self):
        self.process.stdin.close()
        said = self.process.stderr.read()
        assert self.process.wait(timeout=PATIENCE) == 0, said
        self.process.stdout.close()
        self.process.stderr.close()
        return said


@contextlib.contextmanager
def publishing(api, *words, **more):
    publisher = Publisher(api, *words, **more)
    try:
        yield publisher
    finally:
        if not publisher.process.stdin.closed:
            publisher.end()


def slices_at(api):
    with api.changed:
        return [thing for path, thing in sorted(api.objects.items()) if path.startswith(ROOT)]


def devices_at(api):
    return {device["name"]: device for one in pool_of(slices_at(api)) or ()
            for device in one["spec"].get("devices", [])}


def generation(api):
    return max((one["spec"]["pool"]["generation"] for one in slices_at(api)), default=-1)


def tainted(api):
    return {name for name, device in devices_at(api).items() if device.get("taints")}


def is_there(api, name="gpu-0"):
    return lambda: name in devices_at(api)


def is_permitted(request):
    """By the role in dra.yaml."""
    method, path = request
    what = path.split("?")[0]
    return {"GET": what in (ROOT[:-1], NODE), "POST": what == ROOT[:-1],
            "PUT": what.startswith(ROOT), "DELETE": what.startswith(ROOT)}[method]


def with_api(function):
    def with_one():
        with running() as api:
            api.check = admit
            api.store(NODE, None, {"kind": "Node", "metadata": {"name": "n1"}})
            function(api)
            assert all(map(is_permitted, api.requests)), api.requests
    with_one.__name__ = function.__name__
    return case(with_one)


def writes(api):
    return [method for method, _ in api.requests if method != "GET"]


# ---- what is published ----

@with_api
def slices_are_made_and_belong_to_the_node(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        slices = check_pool(slices_at(api))
        owners = {json.dumps(one["metadata"]["ownerReferences"]) for one in slices}
        owner, = json.loads(owners.pop())
        assert not owners and owner["uid"] == api.objects[NODE]["metadata"]["uid"], owner
        assert len(Scheduler().claim(slices, of_size(6))) == 1
        before = len(api.requests)
        for _ in range(30):
            publisher.tell()
        assert len(api.requests) == before, "it asks although nothing has changed"


@with_api
def other_drivers_and_other_nodes_are_left_alone(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
    for number, (driver, node) in enumerate((("gpu.test", "n2"), ("other.test", "n1"))):
        one = copy.deepcopy(slices_at(api)[0])
        one["metadata"] = {"name": f"another{number}"}
        one["spec"].update(driver=driver, nodeName=node)
        one["spec"]["pool"]["name"] = node
        api.store(f"{ROOT}another{number}", None, one)
    with publishing(api, "rtx8000x4") as publisher:
        publisher.until(lambda: tainted(api))
    assert {f"{ROOT}another0", f"{ROOT}another1"} <= set(api.objects)


# ---- changes ----

@with_api
def a_lease_of_somebody_else_taints_every_set_in_place(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        first, uuid = generation(api), next(iter(publisher.labels))
        publisher.tell("leased " + uuid)
        publisher.until(lambda: len(tainted(api)) == 128)
        assert tainted(api) == {name for name in devices_at(api) if "0" in name.split("-")[1:]}
        assert devices_at(api)["set-0-3"]["taints"][0]["value"] == "leased"
        publisher.tell("free " + uuid)
        publisher.until(lambda: not tainted(api))
        assert generation(api) == first, "schedulers would have skipped the pool for a moment"


@with_api
def the_scheduler_never_sees_a_pool_that_lacks_something(api):
    """While taints are written one slice after the other, a claim is served at any moment."""
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        seen = []
        api.faults = [lambda handler: seen.append(Scheduler().claim(slices_at(api), of_size(4)))] * 50
        publisher.tell("leased " + next(iter(publisher.labels)))
        publisher.until(lambda: len(tainted(api)) == 128)
        assert len(seen) >= 4 and all(seen), seen


@with_api
def a_gpu_that_is_lost_stays_and_is_tainted(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        before = set(devices_at(api))
        publisher.tell("machine " + machine_of(api, "dgx1-volta", lambda machine: lose(machine, 2)))
        publisher.until(lambda: tainted(api))
        assert set(devices_at(api)) == before
        assert devices_at(api)["gpu-2"]["taints"][0]["value"] == "missing"
        assert devices_at(api)["gpu-3"]["attributes"] and publisher.labels[list(publisher.labels)[-1]] == "7"
        publisher.tell("machine " + machine_of(api, "dgx1-volta"))
        publisher.until(lambda: tainted(api) < {name for name in before if "2" in name})


def lose(machine, number):
    """The driver does not show it any more, and counts anew."""
    del machine["devices"][number]
    for i, device in enumerate(machine["devices"]):
        device["index"] = i
    for matrix in ("nvlink", "pcie"):
        del machine[matrix][number]
        for row in machine[matrix]:
            del row[number]


@with_api
def what_goes_is_tainted_first_and_stays_with_those_who_have_it(api):
    def to_mig(machine):
        machine["devices"][0]["mig"] = []
    with publishing(api, leave=300) as publisher:
        publisher.until(is_there(api))
        uuids = list(publisher.labels)
        publisher.tell("ours " + uuids[0])
        publisher.tell("machine " + machine_of(api, "dgx1-volta", to_mig))
        publisher.until(lambda: publisher.labels.keys() == set(uuids))
        assert "gpu-0" in devices_at(api)
        publisher.tell("free " + uuids[0])
        publisher.tell("machine " + machine_of(api, "dgx1-volta", to_mig))
        seen = set()

        def is_gone():
            seen.update(device["taints"][0]["value"] for name, device in devices_at(api).items()
                        if name == "gpu-0" and device.get("taints"))
            return devices_at(api) and "gpu-0" not in devices_at(api)
        publisher.until(is_gone)
        assert "leaving" in seen and "set-0-3" not in devices_at(api) and "gpu-1" in devices_at(api)
        check_pool(slices_at(api))


# ---- accidents ----

@with_api
def a_restart_changes_nothing_and_keeps_names_with_their_gpus(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        labels = publisher.labels
        before = writes(api)
    with publishing(api) as publisher:
        publisher.until(publisher.tell)
        for _ in range(20):
            publisher.tell()
        assert publisher.labels == labels
    assert writes(api) == before, "it wrote what was there"

    # The driver counts in another order after the machine was started again.
    def turn(machine):
        machine["devices"].reverse()
        for i, device in enumerate(machine["devices"]):
            device["index"] = i
    with publishing(api, machine_of(api, "dgx1-volta", turn)) as publisher:
        publisher.until(publisher.tell)
        publisher.tell()
        assert publisher.labels == labels, publisher.labels


@with_api
def a_name_with_an_absurd_number_is_not_taken_over(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        labels = publisher.labels
    odd = copy.deepcopy(next(one for one in slices_at(api) if one["spec"].get("devices")))
    odd["metadata"] = {"name": "odd"}
    next(one for one in odd["spec"]["devices"] if one["name"] == "gpu-0")["name"] = "gpu-2000000000"
    api.store(ROOT + "odd", None, odd)
    with publishing(api) as publisher:
        publisher.until(lambda: ROOT + "odd" not in api.objects)
        assert publisher.labels == labels, publisher.labels


@with_api
def what_others_remove_or_change_is_mended(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        whole = set(api.objects)
        with api.changed:
            for one in slices_at(api)[1:3]:
                del api.objects[ROOT + one["metadata"]["name"]]
        publisher.tell("check")
        publisher.until(lambda: set(api.objects) == whole and is_there(api)())
        check_pool(slices_at(api))
        with api.changed:  # as a kubelet does that starts
            for one in slices_at(api):
                del api.objects[ROOT + one["metadata"]["name"]]
        publisher.tell("check")
        publisher.until(lambda: set(api.objects) == whole and is_there(api)())
        # A change under its feet is a conflict at the next write.
        first = slices_at(api)[1]
        api.store(ROOT + first["metadata"]["name"], first, first)
        publisher.tell("leased " + next(iter(publisher.labels)))
        publisher.until(lambda: len(tainted(api)) == 128)
        check_pool(slices_at(api))


@with_api
def old_slices_of_this_driver_are_removed(api):
    with publishing(api) as publisher:
        publisher.until(is_there(api))
    old = copy.deepcopy(slices_at(api)[1])
    old["metadata"] = {"name": "from-before"}
    old["spec"]["pool"].update(name="other-pool", generation=77)
    api.store(ROOT + "from-before", None, old)
    with publishing(api) as publisher:
        publisher.until(lambda: ROOT + "from-before" not in api.objects)
        publisher.until(is_there(api))
        assert generation(api) > 77


@with_api
def a_server_in_trouble_is_waited_for(api):
    def refuse(code, **headers):
        def fault(handler):
            handler.answer(code, {"kind": "Status", "message": "no"}, **headers)
            return True
        return fault

    def hang_up(handler):
        handler.close_connection = True
        return True
    api.faults = [refuse(500), hang_up, refuse(429, Retry_After="1"), refuse(403), refuse(503)]
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        said = publisher.end()
    assert said.count("403") == 1, said
    check_pool(slices_at(api))


@with_api
def without_the_right_to_see_the_node_there_is_no_owner(api):
    def check(handler):
        if handler.path.startswith("/api/v1/nodes"):
            handler.answer(403, {"kind": "Status", "message": "forbidden"})
            return True
        return False
    api.faults = [check] * 100
    with publishing(api) as publisher:
        publisher.until(is_there(api))
    assert not any(one["metadata"].get("ownerReferences") for one in slices_at(api))


@with_api
def what_the_server_refuses_is_told_once_and_tried_again(api):
    refusals = []

    def check(path, old, new):
        if len(refusals) < 2:
            refusals.append(path)
            raise Refusal(422, "Invalid", "spec.devices[0]: not today")
        admit(path, old, new)
    api.check = check
    with publishing(api) as publisher:
        publisher.until(is_there(api))
        said = publisher.end()
    assert said.count("not today") == 1, said


if __name__ == "__main__":
    main()
