#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our declarations of NVML beside what NVIDIA published: NVML_HEADER=PATH names an nvml.h (sizes,
places, numbers, parameters), NVML_REAL=FOLDER has libnvidia-ml.so.VERSION files, whose symbols are
read with nm and which are never loaded. Skipped where neither is given."""
import os
import re
import subprocess
import sys
import tempfile

ABI, PROTOTYPES, SYMBOLS = (os.path.abspath(path) for path in sys.argv[1:4])

# Our struct, theirs, and the fields of which the places are compared.
STRUCTS = [
    ("ga_nvml_pci", "nvmlPciInfo_t", {"domain": "domain", "bus": "bus", "device": "device",
                                      "device_id": "pciDeviceId",
                                      "subsystem_id": "pciSubSystemId", "bus_id": "busId"}),
    ("ga_nvml_memory_v1", "nvmlMemory_t", {"total": "total", "free": "free", "used": "used"}),
    ("ga_nvml_memory_v2", "nvmlMemory_v2_t", {"version": "version", "total": "total",
                                              "reserved": "reserved", "free": "free",
                                              "used": "used"}),
    ("ga_nvml_utilization", "nvmlUtilization_t", {"gpu": "gpu", "memory": "memory"}),
    ("ga_nvml_process_v1", "nvmlProcessInfo_v1_t", {"pid": "pid", "memory": "usedGpuMemory"}),
    ("ga_nvml_process_v2", "nvmlProcessInfo_v2_t", {"pid": "pid", "memory": "usedGpuMemory",
                                                    "gi": "gpuInstanceId",
                                                    "ci": "computeInstanceId"}),
    ("ga_nvml_attributes", "nvmlDeviceAttributes_t", {
        "multiprocessors": "multiprocessorCount", "gpu_slices": "gpuInstanceSliceCount",
        "compute_slices": "computeInstanceSliceCount", "memory_mb": "memorySizeMB"}),
    ("ga_nvml_field", "nvmlFieldValue_t", {"id": "fieldId", "scope": "scopeId",
                                           "timestamp": "timestamp", "latency": "latencyUsec",
                                           "value_type": "valueType", "result": "nvmlReturn",
                                           "value": "value"}),
    ("ga_nvml_fabric_v1", "nvmlGpuFabricInfo_t", {"cluster": "clusterUuid", "status": "status",
                                                  "clique": "cliqueId", "state": "state"}),
    ("ga_nvml_fabric_v2", "nvmlGpuFabricInfo_v2_t", {
        "version": "version", "cluster": "clusterUuid", "status": "status", "clique": "cliqueId",
        "state": "state", "health": "healthMask"}),
    ("ga_nvml_fabric_v3", "nvmlGpuFabricInfo_v3_t", {
        "version": "version", "cluster": "clusterUuid", "status": "status", "clique": "cliqueId",
        "state": "state", "health": "healthMask", "summary": "healthSummary"}),
    ("ga_nvml_clique", "nvmlGpuFabricClique_v1_t", {"type": "type", "id": "id"}),
    ("ga_nvml_fabric_v4", "nvmlGpuFabricInfo_v4_t", {
        "cluster": "clusterUuid", "status": "status", "cliques": "cliques",
        "clique_count": "numCliques", "state": "state", "health": "healthMask",
        "summary": "healthSummary"}),
]
# Of the first headers the struct was another; and a field had another name.
CAME_WITH = {"ga_nvml_attributes": "nvmlDeviceGetAttributes_v2"}
ONCE = {"cliqueId": "partitionId"}
NUMBERS = {
    "GA_NVML_SUCCESS": "NVML_SUCCESS",
    **{f"GA_NVML_{name}": f"NVML_ERROR_{name}" for name in (
        "UNINITIALIZED", "INVALID_ARGUMENT", "NOT_SUPPORTED", "NO_PERMISSION", "NOT_FOUND",
        "INSUFFICIENT_SIZE", "INSUFFICIENT_POWER", "DRIVER_NOT_LOADED", "TIMEOUT", "IRQ_ISSUE",
        "LIBRARY_NOT_FOUND", "FUNCTION_NOT_FOUND", "GPU_IS_LOST", "RESET_REQUIRED",
        "OPERATING_SYSTEM", "ARGUMENT_VERSION_MISMATCH", "UNKNOWN")},
    "GA_NVML_VERSION_MISMATCH": "NVML_ERROR_LIB_RM_VERSION_MISMATCH",
    "GA_NVML_VERSION_SIZE": "NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE",
    "GA_NVML_SERIAL_SIZE": "NVML_DEVICE_SERIAL_BUFFER_SIZE",
    "GA_NVML_PCI_SIZE": "NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE",
    "GA_NVML_FABRIC_UUID_SIZE": "NVML_GPU_FABRIC_UUID_LEN",
    "GA_NVML_FABRIC_CLIQUES": "NVML_GPU_FABRIC_CLIQUE_MAX",
    "GA_NVML_FABRIC_NOT_SUPPORTED": "NVML_GPU_FABRIC_STATE_NOT_SUPPORTED",
    "GA_NVML_FABRIC_NOT_STARTED": "NVML_GPU_FABRIC_STATE_NOT_STARTED",
    "GA_NVML_FABRIC_IN_PROGRESS": "NVML_GPU_FABRIC_STATE_IN_PROGRESS",
    "GA_NVML_FABRIC_COMPLETED": "NVML_GPU_FABRIC_STATE_COMPLETED",
    "GA_NVML_FIELD_NVLINK_STATE": "NVML_FI_DEV_NVLINK_GET_STATE",
    "GA_NVML_LINK_SLEEPS": "NVML_NVLINK_STATE_SLEEP",
    "GA_NVML_P2P_READ": "NVML_P2P_CAPS_INDEX_READ",
    "GA_NVML_P2P_WRITE": "NVML_P2P_CAPS_INDEX_WRITE",
    "GA_NVML_P2P_OK": "NVML_P2P_STATUS_OK",
    "GA_NVML_P2P_NO_GPU": "NVML_P2P_STATUS_GPU_NOT_SUPPORTED",
    "GA_NVML_P2P_NO_TOPOLOGY": "NVML_P2P_STATUS_IOH_TOPOLOGY_NOT_SUPPORTED",
    "GA_NVML_P2P_DISABLED": "NVML_P2P_STATUS_DISABLED_BY_REGKEY",
    "GA_NVML_P2P_NOT_SUPPORTED": "NVML_P2P_STATUS_NOT_SUPPORTED",
    "GA_NVML_P2P_UNKNOWN": "NVML_P2P_STATUS_UNKNOWN",
    "GA_NVML_ANCESTOR_BOARD": "NVML_TOPOLOGY_INTERNAL",
    "GA_NVML_ANCESTOR_PIX": "NVML_TOPOLOGY_SINGLE",
    "GA_NVML_ANCESTOR_PXB": "NVML_TOPOLOGY_MULTIPLE",
    "GA_NVML_ANCESTOR_PHB": "NVML_TOPOLOGY_HOSTBRIDGE",
    "GA_NVML_ANCESTOR_NODE": "NVML_TOPOLOGY_NODE",
    "GA_NVML_ANCESTOR_SYS": "NVML_TOPOLOGY_SYSTEM",
    "GA_NVML_REMOTE_GPU": "NVML_NVLINK_DEVICE_TYPE_GPU",
    "GA_NVML_REMOTE_SWITCH": "NVML_NVLINK_DEVICE_TYPE_SWITCH",
    "GA_NVML_SCOPE_NODE": "NVML_AFFINITY_SCOPE_NODE",
    "GA_NVML_VIRTUAL_GPU": "NVML_GPU_VIRTUALIZATION_MODE_VGPU",
}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def assertions(header):
    """What a header of its age has of ours, as assertions for a compiler."""
    def has(word):
        return re.search(rf"\b{word}\b", header)

    for ours, theirs, fields in STRUCTS:
        if not re.search(rf"\}}\s*{theirs}\s*;", header) or not has(CAME_WITH.get(ours, "")):
            continue
        yield f"sizeof(struct {ours}) == sizeof({theirs})"
        for our, their in fields.items():
            their = their if has(their) else ONCE.get(their, their)
            yield f"offsetof(struct {ours}, {our}) == offsetof({theirs}, {their})"
    for ours, theirs in NUMBERS.items():
        if has(theirs):
            yield f"(long){ours} == (long){theirs}"


def shape(parameters):
    """Of each parameter whether it is a pointer; handles are pointers and values are numbers."""
    if parameters.strip() in ("", "void"):
        return []
    return ["*" in one or "[" in one for one in parameters.split(",")]


def prototypes(text):
    found = re.findall(r"\b(nvml\w+)\s*\(([^()]*)\)\s*;", without_comments(text))
    return {name: shape(parameters) for name, parameters in found}


def header_complaints(path):
    header = without_comments(read(path))
    body = [f'#include "{os.path.abspath(path)}"', f'#include "{ABI}"', "#include <stddef.h>"]
    claims = list(assertions(header))
    body += [f'_Static_assert({claim}, "differs");' for claim in claims]
    with tempfile.TemporaryDirectory() as where:
        source = os.path.join(where, "compare.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("\n".join(body) + "\n")
        compiler = os.environ.get("CC", "cc").split()
        done = subprocess.run([*compiler, "-std=gnu17", "-fsyntax-only", "-w", source], text=True,
                              capture_output=True, check=False)
    complaints = done.stderr.splitlines() if done.returncode else []
    theirs = prototypes(header)
    for name, ours in prototypes(read(PROTOTYPES)).items():
        if name in theirs and theirs[name] != ours:
            complaints.append(f"{name} has other parameters")
    print(f"# {len(claims)} claims, {len(set(theirs) & set(prototypes(read(PROTOTYPES))))} functions")
    return complaints


def table():
    for line in read(SYMBOLS).splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words[0], int(words[1])


def library_complaints(path, version):
    listing = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True,
                             check=True).stdout
    exported = {line.split()[-1].split("@")[0] for line in listing.splitlines() if line.split()}
    number = [int(part) for part in version.split(".")]
    # In our table 536 is 535 from 535.98 on.
    driver = 536 if number[0] == 535 and number[1:2] >= [98] else number[0]
    for name, first in table():
        if (first <= driver) != (name in exported):
            yield f"{os.path.basename(path)}: {name} is {'there' if name in exported else 'missing'}"


def main():
    header, folder = os.environ.get("NVML_HEADER"), os.environ.get("NVML_REAL")
    print("1..2")
    if header:
        complaints = header_complaints(header)
        print("\n".join(f"# {line}" for line in complaints[:40]))
        print("not ok" if complaints else "ok", "1 - our declarations are those of the header")
    else:
        complaints = []
        print("ok 1 - our declarations # SKIP NVML_HEADER names no nvml.h")
    if not folder:
        print("ok 2 - our symbols # SKIP NVML_REAL names no folder of libraries")
        return bool(complaints)
    wrong, seen = [], 0
    for name in sorted(os.listdir(folder)):
        version = re.fullmatch(r"libnvidia-ml\.so\.(\d{3}(?:\.\d+)*)", name)
        if version:
            seen += 1
            wrong += library_complaints(os.path.join(folder, name), version[1])
    wrong += [] if seen else [f"no libnvidia-ml.so.VERSION in {folder}"]
    print("\n".join(f"# {line}" for line in wrong[:40]))
    print("not ok" if wrong else "ok", f"2 - our symbols are those of {seen} libraries")
    return bool(complaints or wrong)


sys.exit(main())
