#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs of others on our libnvidia-ml read the machine that it was shown: so it is as the real
one is, where they look. pynvml (Debian: python3-pynvml) and hwloc's nvml component are not
everywhere, and are left out with a word."""
import json
import os
import shutil
import subprocess
import sys

MACHINE = sys.argv[1]


def pynvml_reads(shown):
    try:
        import pynvml
    except ImportError:
        return "pynvml is not installed"
    pynvml.nvmlInit()
    assert pynvml.nvmlDeviceGetCount() == len(shown["devices"])
    for i, device in enumerate(shown["devices"]):
        handle = pynvml.nvmlDeviceGetHandleByIndex(i)
        pci = pynvml.nvmlDeviceGetPciInfo(handle)
        bus = int(device["pci"].split(":")[1], 16)
        assert pynvml.nvmlDeviceGetIndex(handle) == i
        assert pynvml.nvmlDeviceGetUUID(handle) == device["uuid"]
        assert pynvml.nvmlDeviceGetName(handle) == device["name"]
        assert pci.bus == bus and pci.busId.upper() == device["pci"].upper(), pci.busId
        assert pynvml.nvmlDeviceGetMemoryInfo(handle).total == device["memory"]["total"]
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in (0, 1))
    assert pynvml.nvmlDeviceGetTopologyCommonAncestor(first, second) in (0, 10, 20, 30, 40, 50)
    pynvml.nvmlShutdown()
    return None


def hwloc_reads(shown):
    lstopo = shutil.which("lstopo-no-graphics") or shutil.which("lstopo")
    if not lstopo:
        return "lstopo is not installed"
    done = subprocess.run([lstopo, "--of", "xml", "--whole-io"], capture_output=True, text=True,
                          env={**os.environ, "HWLOC_COMPONENTS": "linux,nvml"}, check=False)
    if 'subtype="NVML"' not in done.stdout:
        return "hwloc has no nvml component, or none of the GPUs' places is here"
    assert all(device["uuid"] in done.stdout for device in shown["devices"])
    return None


def main():
    with open(MACHINE, encoding="utf-8") as file:
        shown = json.load(file)
    os.environ["FAKE_MACHINE"] = MACHINE
    failed = False
    print("1..2")
    for number, reads in enumerate((pynvml_reads, hwloc_reads), 1):
        name = reads.__name__.replace("_", " ") + " what was shown"
        try:
            why = reads(shown)
            print(f"ok {number} - {name}" + (f" # SKIP {why}" if why else ""))
        except AssertionError as error:
            failed = True
            print(f"# {error!r}\nnot ok {number} - {name}")
    return failed


sys.exit(main())
