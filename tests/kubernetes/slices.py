# SPDX-License-Identifier: Apache-2.0
"""ResourceSlices as Kubernetes 1.36 takes them: what its API server refuses, and the way in which
its scheduler gives out devices."""
import re

from apiserver import Refusal

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
# As the server writes them: what it would write otherwise does not come back as it was sent.
QUANTITY = re.compile(r"(0|[1-9]\d*)(m|Ki|Mi|Gi|Ti)?")
EFFECTS = ("None", "NoSchedule", "NoExecute")
KINDS = {"int": int, "bool": bool, "string": str, "version": str}


def amount(quantity):
    number, unit = QUANTITY.fullmatch(quantity["value"]).groups()
    assert unit is None or unit == "m" and int(number) % 1000 or unit != "m" and int(number) % 1024, \
        f"{quantity} is not canonical"
    return int(number) * {None: 1, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}[unit]


def check_name(name, pattern, most):
    assert isinstance(name, str) and pattern.fullmatch(name) and len(name) <= most, f"the name {name!r}"


def check_qualified(name):
    domain, slash, word = name.rpartition("/")
    assert WORD.fullmatch(word), f"the name {name!r}"
    if slash:
        check_name(domain, DOMAIN, 63)


def check_keys(thing, required, optional=()):
    keys = set(thing)
    assert set(required) <= keys <= {*required, *optional}, f"fields {sorted(keys)}"


def check_device(device):
    check_keys(device, ["name"], ["attributes", "capacity", "consumesCounters", "taints"])
    check_name(device["name"], LABEL, 63)
    attributes, capacity = device.get("attributes", {}), device.get("capacity", {})
    assert len(attributes) + len(capacity) <= 32, f"{device['name']}: too many attributes"
    for name, value in attributes.items():
        check_qualified(name)
        (kind, content), = value.items()
        assert type(content) is KINDS[kind], f"{name}: {value}"  # pylint: disable=unidiomatic-typecheck
        assert kind in ("int", "bool") or 0 < len(content) <= 64, f"{name}: {value}"
        assert kind != "version" or SEMVER.fullmatch(content), f"{name}: {value}"
    for name, value in capacity.items():
        check_qualified(name)
        assert amount(value) > 0
    consumed = device.get("consumesCounters", [])
    assert len(consumed) <= 2 and len({one["counterSet"] for one in consumed}) == len(consumed), device
    for one in consumed:
        check_keys(one, ["counterSet", "counters"])
        assert 1 <= len(one["counters"]) <= 32
        for value in one["counters"].values():
            assert amount(value) > 0
    taints = device.get("taints", [])
    assert len(taints) <= 16
    for one in taints:
        check_keys(one, ["key", "effect"], ["value", "timeAdded"])
        domain, _, word = one["key"].rpartition("/")
        check_name(domain, DOMAIN, 253)
        check_name(word, LABEL, 63)
        check_name(one.get("value", "x"), LABEL, 63)
        assert one["effect"] in EFFECTS


def check_slice(thing):
    """What is refused of one slice."""
    assert (thing["apiVersion"], thing["kind"]) == ("resource.k8s.io/v1", "ResourceSlice"), thing
    check_name(thing["metadata"]["name"], DOMAIN, 253)
    spec = thing["spec"]
    check_keys(spec, ["driver", "nodeName", "pool"], ["devices", "sharedCounters"])
    check_name(spec["driver"], DOMAIN, 63)
    check_name(spec["nodeName"], DOMAIN, 253)
    check_keys(spec["pool"], ["name", "generation", "resourceSliceCount"])
    check_name(spec["pool"]["name"], DOMAIN, 253)
    assert spec["pool"]["generation"] >= 0 and spec["pool"]["resourceSliceCount"] > 0, spec["pool"]
    assert ("devices" in spec) != ("sharedCounters" in spec), "devices and counters in one slice"
    devices, sets = spec.get("devices", []), spec.get("sharedCounters", [])
    special = any(device.get("taints") or device.get("consumesCounters") for device in devices)
    assert len(devices) <= (64 if special else 128), f"{len(devices)} devices"
    assert len({device["name"] for device in devices}) == len(devices), "names are not unique"
    for device in devices:
        check_device(device)
    assert len(sets) <= 8 and len({one["name"] for one in sets}) == len(sets), f"{len(sets)} sets"
    for one in sets:
        check_keys(one, ["name", "counters"])
        check_name(one["name"], LABEL, 63)
        assert 1 <= len(one["counters"]) <= 32
        for name, value in one["counters"].items():
            check_name(name, LABEL, 63)
            amount(value)


def check_change(old, new):
    check_slice(new)
    for field in ("driver", "nodeName"):
        assert old["spec"][field] == new["spec"][field], f"{field} is immutable"
    assert old["spec"]["pool"]["name"] == new["spec"]["pool"]["name"], "pool.name is immutable"


def admit(path, old, new):
    """For the fake API server: refuses as the real one does, and adds what it adds."""
    if "/resourceslices/" not in path:
        return
    try:
        if old:
            check_change(old, new)
        check_slice(new)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise Refusal(422, "Invalid", f"ResourceSlice {path}: {error!r}") from error
    for device in new["spec"].get("devices", []):
        for one in device.get("taints", []):
            one.setdefault("timeAdded", "2026-01-01T00:00:00Z")


def pool_of(slices):
    """The slices that count, in the scheduler's order; None where the pool is not complete."""
    newest = max((thing["spec"]["pool"]["generation"] for thing in slices), default=0)
    slices = sorted((thing for thing in slices if thing["spec"]["pool"]["generation"] == newest),
                    key=lambda thing: thing["metadata"]["name"])
    counts = {thing["spec"]["pool"]["resourceSliceCount"] for thing in slices}
    return slices if counts == {len(slices)} else None


def check_pool(slices):
    """What the scheduler refuses of a pool, and that no unknown counter is consumed."""
    slices = pool_of(slices)
    assert slices is not None, "the pool is not complete"
    names = [device["name"] for thing in slices for device in thing["spec"].get("devices", [])]
    assert len(set(names)) == len(names), "a device is there twice"
    counters = counters_of(slices)
    for thing in slices:
        for device in thing["spec"].get("devices", []):
            for key, value in consumption(device):
                assert value <= counters[key], f"{device['name']} never fits"
    return slices


def counters_of(slices):
    return {(one["name"], name): amount(value) for thing in slices
            for one in thing["spec"].get("sharedCounters", [])
            for name, value in one["counters"].items()}


def consumption(device):
    for one in device.get("consumesCounters", []):
        for name, value in one["counters"].items():
            yield (one["counterSet"], name), amount(value)


class Scheduler:
    """First fit, in the order of slices by name and of devices in them."""

    def __init__(self):
        self.taken = {}  # name: what it consumes

    def claim(self, slices, wanted, count=1):
        """Names of so many devices for which wanted() holds; [] if they are not to be had."""
        slices = pool_of(slices)
        before, found = dict(self.taken), []
        for device in (device for thing in slices or () for device in thing["spec"].get("devices", [])):
            if len(found) == count:
                break
            if wanted(device) and self.fits(slices, device):
                self.taken[device["name"]] = list(consumption(device))
                found.append(device["name"])
        if len(found) < count:
            self.taken, found = before, []
        return found

    def fits(self, slices, device):
        if device["name"] in self.taken or any(one["effect"] != "None" for one in device.get("taints", [])):
            return False
        left = counters_of(slices)
        for used in self.taken.values():
            for key, value in used:
                left[key] = left.get(key, 0) - value
        return all(left.get(key, 0) >= value for key, value in consumption(device))

    def give_back(self, *names):
        for name in names:
            del self.taken[name]


def attribute(device, name):
    return next(iter(device.get("attributes", {}).get(name, {"": None}).values()))


def of_size(size):
    """What the class gpu-set-N, and gpu, select by."""
    return lambda device: attribute(device, "gpus") == size
