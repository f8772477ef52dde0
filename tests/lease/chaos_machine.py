# SPDX-License-Identifier: Apache-2.0
"""The machine of the chaos test, in many variants and three descriptions each: as NVML tells it,
as somebody who knows neither where instances lie nor how much memory there is to the byte, and as
`nvidia-smi -L` lists it. GPUs 6 and 7 go into MIG mode and out of it; an instance's name follows
from its GPU and its place, as the driver's does."""
import itertools
import json
import os

FLIPPING = (6, 7)
GIB = 1 << 30
# None is a GPU without MIG mode; else profile, GPU instance, memory.
LAYOUTS = (None, [], [("1g.5gb", gi, 4864 << 20) for gi in range(7, 14)],
           [("3g.20gb", 2, 19968 << 20), ("4g.20gb", 1, 19968 << 20)])


def instance(gpu, profile, gi, memory):
    return {"uuid": f"MIG-c4a05{gpu}{gi:02d}-aaaa-5bbb-8ccc-{gpu * 100 + gi:012d}", "profile": profile,
            "gi": gi, "ci": 0, "memory": {"total": memory, "used": 0}, "processes": []}


def variant(machine, layouts):
    machine = json.loads(json.dumps(machine))
    for number, layout in zip(FLIPPING, layouts):
        if layout is not None:
            machine["devices"][number]["mig"] = [instance(number, *one) for one in layout]
    return machine


def unplaced(machine):
    machine = json.loads(json.dumps(machine))
    for gpu in machine["devices"]:
        memory = gpu["memory"]
        memory["total"] = (memory["total"] - memory.pop("reserved")) // (100 << 20) * (100 << 20)
        for one in gpu.get("mig", []):
            del one["gi"], one["ci"]
    return machine


def listed(machine):
    lines = []
    for gpu in machine["devices"]:
        lines.append(f"GPU {gpu['index']}: {gpu['name']} (UUID: {gpu['uuid']})")
        for number, one in enumerate(gpu.get("mig", [])):
            lines.append(f"  MIG {one['profile']}     Device  {number}: (UUID: {one['uuid']})")
    return "\n".join(lines) + "\n"


def variants(path):
    with open(path, encoding="utf-8") as file:
        machine = json.load(file)
    return [variant(machine, layouts) for layouts in itertools.product(LAYOUTS, repeat=2)]


def write(path, folder):
    """All of them for chaos.c; their number."""
    os.mkdir(folder)
    every = variants(path)
    for number, machine in enumerate(every):
        for ending, text in (("full.json", json.dumps(machine)),
                             ("unplaced.json", json.dumps(unplaced(machine))),
                             ("list.txt", listed(machine))):
            with open(os.path.join(folder, f"{number}.{ending}"), "w", encoding="utf-8") as file:
                file.write(text)
    return len(every)
