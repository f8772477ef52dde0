#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc cdi: documents that engines accept, of recorded machines; a file that follows changes."""
import json
import os
import re
import subprocess

from cli import BUILT_IN, GPUALLOC, case, environment, folder, machine_file, main, ok, refused, run

# What CDI's own schema allows, for the parts that there are: {key: (type, whether it must be there)}.
ROOT = {"cdiVersion": (str, True), "kind": (str, True), "devices": (list, True),
        "containerEdits": (dict, False)}
EDITS = {"env": (list, False), "deviceNodes": (list, False), "mounts": (list, False)}
NODE = {"path": (str, True), "permissions": (str, False)}
MOUNT = {"hostPath": (str, True), "containerPath": (str, True), "options": (list, False)}
DEVICE = {"name": (str, True), "containerEdits": (dict, True)}


def has_shape(value, shape):
    assert isinstance(value, dict) and set(value) <= set(shape), value
    for key, (kind, must) in shape.items():
        assert isinstance(value[key], kind) if key in value else not must, (key, value)


def check_edits(edits):
    has_shape(edits, EDITS)
    assert edits, "edits without an edit"
    for variable in edits.get("env", []):
        assert re.fullmatch(r"[A-Z_]+=.*", variable), variable
    for node in edits.get("deviceNodes", []):
        has_shape(node, NODE)
        assert node["path"].startswith("/dev/") and re.fullmatch("[rwm]+", node["permissions"]), node
    for mount in edits.get("mounts", []):
        has_shape(mount, MOUNT)
        assert mount["hostPath"][0] == mount["containerPath"][0] == "/", mount
        assert "ro" in mount["options"] and "bind" in mount["options"], mount
    paths = [mount["containerPath"] for mount in edits.get("mounts", [])]
    assert len(set(paths)) == len(paths), "two mounts on one path"


def checked(text):
    """The document, after it was held against what CDI allows; {name: device nodes}."""
    document = json.loads(text)
    has_shape(document, ROOT)
    assert document["cdiVersion"] in ("0.3.0", "0.5.0"), document["cdiVersion"]
    assert re.fullmatch(r"[A-Za-z]([\w.-]*[A-Za-z0-9])?/[A-Za-z]([\w-]*[A-Za-z0-9])?",
                        document["kind"]), document["kind"]
    check_edits(document["containerEdits"])
    devices = {}
    for device in document["devices"]:
        has_shape(device, DEVICE)
        check_edits(device["containerEdits"])
        assert re.fullmatch(r"[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?", device["name"]), device["name"]
        assert device["name"] not in devices, device["name"]
        devices[device["name"]] = [node["path"] for node in device["containerEdits"]["deviceNodes"]]
    assert document["cdiVersion"] == "0.5.0" or not any(name[0].isdigit() for name in devices)
    return document, devices


def make(root, path, content=b""):
    path = root + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def instance(root, minor, gi, number):
    """The kernel's files about an instance."""
    for path, value in ((f"gi{gi}/access", number), (f"gi{gi}/ci0/access", number + 1)):
        make(root, f"/proc/driver/nvidia/capabilities/gpu{minor}/mig/{path}",
             b"DeviceFileMinor: %d\nDeviceFileMode: 292\nDeviceFileModify: 1\n" % value)


def machine(where, *instances):
    """A machine file with a whole GPU and one in MIG mode with instances of these ids."""
    mig = [{"uuid": f"MIG-{gi}", "gi": gi, "ci": 0, "profile": "1g.5gb"} for gi in instances]
    path = os.path.join(where, "machine.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "driver": "535.54.03", "devices": [
            {"index": 0, "uuid": "GPU-a", "name": "A", "minor": 0},
            {"index": 1, "uuid": "GPU-b", "name": "A", "minor": 1, "mig_enabled": True, "mig": mig}],
            "pcie": [["X", None], [None, "X"]]}, file)
    os.rename(path + ".new", path)
    return path


@case
def every_machine_becomes_a_document_that_engines_accept():
    for name in BUILT_IN:
        document, devices = checked(ok("cdi", "generate", "--machine", name))
        snapshot = json.loads(ok("snapshot", "--machine", name))
        names = {"all"}
        for gpu in snapshot["devices"]:
            parts = gpu.get("mig", [])
            if not parts:
                names |= {str(gpu["index"]), gpu["uuid"]}
            for place, part in enumerate(parts):
                names |= {f"{gpu['index']}:{place}", part["uuid"]}
        assert set(devices) == names, (name, names ^ set(devices))
        assert document["kind"] == "nvidia.com/gpu"
        nodes = [node["path"] for node in document["containerEdits"]["deviceNodes"]]
        assert nodes == ["/dev/nvidiactl", "/dev/nvidia-uvm"], nodes
        assert document["containerEdits"]["env"] == ["NVIDIA_VISIBLE_DEVICES=void"]


@case
def a_recorded_machine_says_its_own_files():
    with folder() as where:
        root = os.path.join(where, "root")
        path = machine(where, 7, 8)
        instance(root, 1, 7, 40)
        make(root, "/dev/nvidia-uvm")
        elf = b"\x7fELF\x02" + bytes(13) + (b"\xb7" if os.uname().machine == "aarch64" else b"\x3e") + \
            bytes(40)
        make(root, "/usr/lib64/libcuda.so.535.54.03", elf)
        os.symlink("libcuda.so.535.54.03", root + "/usr/lib64/libcuda.so.1")
        result = run("cdi", "generate", "--machine", path, "--root", root)
        assert result.code == 0 and "1:8:0 is left out" in result.err, result
        document, devices = checked(result.out)
        assert devices["1:0"] == devices["MIG-7"] == [
            "/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap40", "/dev/nvidia-caps/nvidia-cap41"], devices
        assert "GPU-b" not in devices and "1" not in devices
        mounts = {mount["containerPath"]: mount["hostPath"] for mount in
                  document["containerEdits"]["mounts"]}
        assert mounts["/usr/lib64/libcuda.so.1"] == "/usr/lib64/libcuda.so.535.54.03", mounts
        assert ok("cdi", "generate", "-q", "--machine", path, "--root", root) == result.out


@case
def what_is_missing_is_said():
    with folder() as where:
        path = machine(where)
        result = run("cdi", "generate", "--machine", path)
        assert result.code == 0 and "name a folder with its files by --root" in result.err, result
        os.mkdir(os.path.join(where, "root"))
        result = run("cdi", "generate", "--machine", path, "--root", os.path.join(where, "root"))
        assert "no libraries of the driver 535.54.03 were found" in result.err, result
        assert "nvidia-modprobe -u -c 0" in result.err, result
        refused(78, "cdi", "generate", "--machine", machine_file("nothing.json"),
                says=["no device to describe"])
    refused(64, "cdi", "make", says=['cdi has no "make"; use generate'])
    refused(64, "cdi", "generate", "--kind", "gpu", says=["--kind", "nvidia.com/gpu"])
    refused(64, "cdi", "generate", "--stay", says=["--output"])


@case
def a_file_appears_whole_in_a_new_folder():
    with folder() as where:
        path = os.path.join(where, "run/cdi/gpualloc.json")
        assert ok("cdi", "generate", "--machine", "dgx2", "--kind", "a.b/c", "--output", path,
                  umask=0o077) == ""
        with open(path, encoding="utf-8") as file:
            document, _ = checked(file.read())
        assert document["kind"] == "a.b/c" and os.stat(path).st_mode & 0o044 == 0o044
        assert os.listdir(os.path.dirname(path)) == ["gpualloc.json"]


def wait_for(names, path, process):
    """Until the file has these names, or the process has ended."""
    while True:
        assert process.poll() is None, process.communicate()
        try:
            with open(path, encoding="utf-8") as file:
                if names <= set(checked(file.read())[1]):
                    return
        except FileNotFoundError:
            pass
        try:
            process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            continue


@case
def a_file_follows_mig():
    with folder() as where:
        root, path = os.path.join(where, "root"), os.path.join(where, "cdi/gpualloc.json")
        instance(root, 1, 7, 40)
        spec = machine(where, 7)
        process = subprocess.Popen(
            [GPUALLOC, "cdi", "generate", "--stay", "-q", "--machine", spec, "--root", root,
             "--output", path], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            wait_for({"MIG-7"}, path, process)
            machine(where, 7, 9)
            instance(root, 1, 9, 60)
            wait_for({"MIG-7", "MIG-9", "1:1"}, path, process)
        finally:
            process.terminate()
            process.communicate()


main()
