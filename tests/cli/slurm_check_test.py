#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc slurm check: mistakes that people make in gres.conf and slurm.conf, each with its
message."""
import json
import os
import random

from cli import BUILT_IN, Skip, case, folder, machine_file, main, ok, refused, run

NOWHERE = {"PATH": "/nonexistent", "GPUALLOC_NVML": "/nonexistent"}
DGX1 = ["--machine", "dgx1-volta", "--slurm-version", "23.11"]


def check(files, *words, env=None):
    """Runs it in a folder with these files; returns what it found, one per line, no summary."""
    with folder() as where:
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            with open(os.path.join(where, name), "wb") as file:
                file.write(data)
        result = run("slurm", "check", *files, *words, env=env, cwd=where)
    assert result.code in (0, 65), result
    if result.code == 0:
        assert result.out.startswith(", ".join(files) + ": nothing wrong"), result
        return []
    lines = result.err.splitlines()
    assert result.raw == b"" and lines[0].endswith(" wrong"), result
    assert int(lines[0].split()[1]) == len(lines) - 1, result
    return lines[1:]


def one(text, *words, name="gres.conf"):
    """The only mistake in a file."""
    found = check({name: text}, *(words or DGX1))
    assert len(found) == 1, found
    return found[0]


def generated(machine, *words):
    return ok("slurm", "gres-conf", "--machine", machine, *words)


def plain(machine):
    """Without its comments: AutoDetect on the first line, then the GPUs."""
    return "".join(line + "\n" for line in generated(machine).splitlines() if line[0] != "#")


def edited(machine, old, new):
    text = plain(machine)
    assert old in text, text
    return text.replace(old, new, 1)


# ---- what is right ----

@case
def the_output_of_gres_conf_passes_check():
    for machine in BUILT_IN:
        for words in ([], ["--node", "n[1-4]"]):
            text = generated(machine, *words)
            assert check({"gres.conf": text}, "--machine", machine, "--slurm-version",
                         "23.11") == [], machine
            gres = [line for line in text.splitlines() if "NodeName" in line and "#" in line][0]
            node = gres[len("# slurm.conf: "):].replace("=...", "=n1")
            files = {"gres.conf": text, "slurm.conf": f"ClusterName=c\nGresTypes=gpu\n{node}\n"}
            assert check(files, "--machine", machine, "--slurm-version", "22.05") == [], machine


@case
def the_syntax_is_slurms():
    text = """\
# a comment that goes on \\
NAME = gpu  type=V100  \\
   file="/dev/nvidia[0-3]" CORES=0-19   # behind
  \tname=gpu Type=v100 FILE=/dev/nvidia[4,5-7] cores=20-39\r
AUTODETECT=OFF
Name=mps Count=800
"""
    assert check({"gres.conf": text}, *DGX1) == []
    assert check({"gres.conf": ""}, "-q", env=NOWHERE) == []


# ---- what people get wrong ----

@case
def cpus_instead_of_cores_as_a_generator_wrote_them():
    # NVIDIA/deepops#1195
    cpus = ["48-63,176-191", "16-31,144-159", "112-127,240-255", "80-95,208-223"]
    text = "".join(f"Name=gpu File=/dev/nvidia{i} CPUs={cpus[i // 2]}\n" for i in range(8))
    found = check({"gres.conf": text}, "--machine", "dgx-a100", "--slurm-version", "22.05")
    assert found[0] == ('gres.conf:1: Cores=48-63,176-191: the node has 128 cores, 0 to 127 '
                        '("invalid GRES core specification"); these are CPUs as Linux numbers '
                        'them, so write Cores=0-63'), found
    assert len(found) == 8 and found[7].endswith("so write Cores=64-127"), found
    found = check({"gres.conf": "Name=gpu File=/dev/nvidia0 Cores=0-15,900\n",
                   "slurm.conf": "GresTypes=gpu\nNodeName=a Gres=gpu:1 Sockets=2 "
                                 "CoresPerSocket=8\n"}, "-q", "--slurm-version", "22.05",
                  env=NOWHERE)
    assert found == ['gres.conf:1: Cores=0-15,900: the node has 16 cores, 0 to 15 ("invalid GRES '
                     'core specification"); Slurm counts cores, not threads'], found


@case
def links_without_meaning():
    # NVIDIA/deepops#1102: Links of 0 and -1 only
    text = generated("dgx1-volta")
    for digit in "12":
        text = text.replace(f",{digit}", ",0").replace(f"={digit},", "=0,")
    assert one(text).endswith(
        "Links has only 0 and -1, which means that no two devices are linked; count their NVLinks "
        "(`gpualloc slurm gres-conf` does) or leave it out")


@case
def links_without_cores_or_type():
    text = "".join(f"Name=gpu File=/dev/nvidia{i} Links={links}\n"
                   for i, links in enumerate(("-1,2", "2,-1")))
    assert check({"gres.conf": text}, "-q", "--slurm-version", "23.11", env=NOWHERE) == [
        "gres.conf:1: Links, but no line has Cores or Type: Slurm silently "
        "ignores the links and takes the lowest numbers; give each line Cores or Type"]
    for more in ("Type=a", "Cores=0-1"):
        better = text.replace("File", more + " File")
        assert check({"gres.conf": better}, "-q", "--slurm-version", "23.11", env=NOWHERE) == []


@case
def links_that_do_not_fit_their_lines():
    def first(old, new):
        return check({"gres.conf": edited("dgx1-volta", old, new)}, *DGX1)
    assert first("Links=-1,1,1,2,2,0,0,0", "Links=-1,1,1,2,2,0,0") == [
        "gres.conf:2: Links has 7 numbers, but the lines of this node have 8 devices: it needs "
        "one number per device, in their order"]
    assert first("Links=1,-1,2,1", "Links=1,-1,5,1") == [
        "gres.conf:4: Links says 2 for the device at place 1, whose own Links (line 3) says 5 "
        "back"]
    assert first("Links=-1,1,1,2", "Links=0,1,1,2") == [
        "gres.conf:2: Links needs exactly one -1, at the place of the device itself, but has 0: "
        "slurmd ignores it all"]
    assert first("Links=-1,1,1,2", "Links=-1,1,-1,2") == [
        "gres.conf:2: Links needs exactly one -1, at the place of the device itself, but has 2: "
        "slurmd ignores it all"]
    assert first("Links=-1,1,1,2", "Links=-1,1,NV2,2") == [
        "gres.conf:2: Links=-1,1,NV2,2,2,0,0,0 is not a list of numbers from 0 to 1023 with -1 for "
        "the device itself"]
    assert first("Links=-1,1,1,2,2", "Links=1,-1,1,2,2") == [
        "gres.conf:2: Links has its -1 at place 1, but the device is at place 0 of the lines, "
        "counted from 0"]
    found = check({"gres.conf": "Name=gpu Type=a File=/dev/nvidia[0-1] Links=-1,2\n"}, "-q",
                  "--slurm-version", "22.05", env=NOWHERE)
    assert found == ["gres.conf:1: one Links for 2 devices: each device needs its own line, with "
                     "-1 "
                     "at its own place"], found


@case
def links_on_a_slurm_that_sorts_them_the_wrong_way_round():
    text = plain("dgx1-volta")
    for version in ("24.05", "24.11.6", "25.05.3", "26.05"):
        release = ".".join(version.split(".")[:2])
        assert one(text, "--machine", "dgx1-volta", "--slurm-version", version) == (
            f"gres.conf:2: Links with Slurm {release}: --gres=gpu:N and --gpus-per-node choose the "
            "worst linked pair (24.05 to 26.05 sort links the wrong way round); use --gpus=N "
            "or --gpus-per-task, or gpualloc's plugin")
    for version in ("22.05.8", "23.11", "24.02", "26.11"):
        assert check({"gres.conf": text}, "--machine", "dgx1-volta", "--slurm-version",
                     version) == []
    assert check({"gres.conf": generated("dgx2")}, "--machine", "dgx2", "--slurm-version",
                 "24.05") == [], "all alike: nothing to sort"


@case
def the_version_is_that_of_the_slurm_that_is_installed():
    text = generated("dgx1-volta")
    with folder() as where:
        daemon = os.path.join(where, "slurmd")
        for answer, wrong in (("slurm-wlm 22.05.8", False), ("slurm 24.11.1", True)):
            with open(daemon, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\n[ \"$1\" = -V ] && echo '{answer}'\n")
            os.chmod(daemon, 0o755)
            found = check({"gres.conf": text}, "-q", env={**NOWHERE, "PATH": where})
            assert any("wrong way round" in line for line in found) == wrong, found
    result = run("slurm", "check", "/dev/null", "--slurm-version", "new")
    assert result.code == 64 and "--slurm-version" in result.err, result
    for word in ("24", "24.", ".5", "24.13", "24.0", "x24.05", "24.05rc", "999.05"):
        refused(64, "slurm", "check", "/dev/null", "--slurm-version", word, says=[word])


@case
def an_unknown_version_is_a_note():
    with folder() as where:
        path = os.path.join(where, "gres.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(plain("dgx1-volta"))
        result = run("slurm", "check", path, "--machine", "dgx1-volta")
        assert result.code == 0 and result.out == \
            f"{path}: nothing wrong, compared with dgx1-volta (simulated)\n", result
        assert result.err.startswith(f"gpualloc: note: {path}:2: the version of Slurm"), result
        assert run("slurm", "check", path, "--machine", "dgx1-volta", "-q").err == ""


@case
def gpus_without_files():
    found = check({"gres.conf": "Name=gpu Type=v100 Count=8\n"}, *DGX1)
    assert found[0] == (
        'gres.conf:1: Name=gpu without File: slurmd removes it ("Removing file-less GPU") and the '
        'node has too few; name the files, as in File=/dev/nvidia[0-3]'), found
    assert check({"gres.conf": "AutoDetect=nvml\nName=gpu Type=v100\n"}, *DGX1) == []
    text = "AutoDetect=nvml\nNodeName=a,b Name=gpu\nNodeName=b AutoDetect=off Name=gpu\n"
    assert check({"gres.conf": text}, "-q", "--node", "a", env=NOWHERE) == []
    assert len(check({"gres.conf": text}, "-q", "--node", "b", env=NOWHERE)) == 2


@case
def files_and_lines_that_slurm_cannot_read():
    good = "Name=gpu File=/dev/nvidia[0-7]\n"
    assert one(good + "Name=gpu File=/dev/nvidia[4-\n").startswith(
        "gres.conf:2: File=/dev/nvidia[4- is not a list of files")
    assert check({"gres.conf": "Name=gpu File=/dev/nvidia[0-999999999]\n"}, "-q",
                 env=NOWHERE) == [
        "gres.conf:1: File=/dev/nvidia[0-999999999] names more devices than any node has"]
    assert check({"gres.conf": "Name=gpu File=/dev/nvidia[0-3] Count=8\n"}, "-q", env=NOWHERE) == [
        "gres.conf:1: Count=8, but the line has 4 files; leave Count out"]
    assert one(good.replace("File", "Core=0-39 File")) == \
        "gres.conf:1: gres.conf has no key Core; slurmd does not start with it"
    assert one(good + "File=/dev/nvidia8\n") == \
        "gres.conf:2: the line has no Name=gpu, so it does nothing"
    assert one(good + "Name=mps Count 8\n") == \
        'gres.conf:2: "Count" is not KEY=VALUE, and Slurm stops reading here'
    assert one(good.replace("File", "Cores=0-x File")).startswith(
        "gres.conf:1: Cores=0-x is not a list of core indices")
    assert one("NodeName=n[1-3 " + good, "-q", "--machine", "dgx1-volta") == (
        "gres.conf:1: NodeName=n[1-3 is not a list of nodes; put ranges in brackets, as in "
        "n[1-4,7]")
    assert one("AutoDetect=off Name=gpu File=/dev/nvidia[0-7]\n") == (
        "gres.conf:1: AutoDetect counts only on a line of its own or after NodeName; slurmd "
        "ignores it here")
    found = check({"gres.conf": good + "Name=gpu File=/dev/nvidia0\n"}, *DGX1)
    assert "gres.conf:2: /dev/nvidia0 is already in line 1: two jobs would get the same device" in found


@case
def cores_that_are_not_whole_sockets_or_not_on_all_lines():
    text = "Name=gpu File=/dev/nvidia[0-3] Cores=0-9\nName=gpu File=/dev/nvidia[4-7] Cores=20-39\n"
    assert one(text) == ("gres.conf:1: Cores=0-9 is only part of a socket, but Slurm matches GPUs "
                         "with whole sockets; write Cores=0-19")
    slurm = "GresTypes=gpu\nSlurmdParameters=numa_node_as_socket\nNodeName=a Gres=gpu:8\n"
    assert check({"gres.conf": text, "slurm.conf": slurm}, *DGX1) == [], "sockets of its own"
    assert one(text.replace("0-9", "0-19").replace(" Cores=20-39", "")) == (
        "gres.conf:2: this line has no Cores, but line 1 does: Slurm wants them on all lines of a "
        "node or on none")
    slurm = "GresTypes=gpu\nNodeName=a Gres=gpu:8 Sockets=4 CoresPerSocket=10\n"
    assert check({"gres.conf": text, "slurm.conf": slurm}, *DGX1) == [], "4 sockets by slurm.conf"


# ---- beside the machine ----

@case
def the_wrong_order():
    lines = generated("dgx1-pascal").splitlines(keepends=True)
    at = [i for i, line in enumerate(lines) if line.startswith("Name=")]
    lines[at[2]], lines[at[5]] = (
        line.split(" Links")[0] + "\n" for line in (lines[at[5]], lines[at[2]]))
    text = "".join(line.split(" Links")[0].rstrip() + "\n" for line in lines)
    found = check({"gres.conf": text}, "--machine", "dgx1-pascal")
    assert len(found) == 1 and found[0].startswith(
        f"gres.conf:{at[3] + 1}: /dev/nvidia3 (00000000:") and (
            "comes after /dev/nvidia5" in found[0]
            and "would use a different GPU than it was given" in found[0]), found


@case
def the_wrong_devices():
    text = "Name=gpu File=/dev/nvidia[0-8]\n"
    assert check({"gres.conf": text}, *DGX1) == [
        "gres.conf:1: no GPU of this machine is /dev/nvidia8",
        "gres.conf:1: the lines have 9 devices, but this machine has 8"]
    assert one("Name=gpu File=/dev/nvidia[0-5]\n") == (
        "gres.conf:1: the lines have 6 devices, but this machine has 8: without /dev/nvidia6, "
        "/dev/nvidia7")
    found = check({"gres.conf": "Name=gpu File=/dev/nvidia[0-3] Cores=0-19\n"
                                "Name=gpu File=/dev/nvidia[4-7] Cores=0-19\n"}, *DGX1)
    assert found == [f"gres.conf:2: Cores=0-19 are far from /dev/nvidia{i}, which is near "
                     "Cores=20-39" for i in range(4, 8)], found


@case
def mig_as_if_it_were_whole_gpus():
    words = ["--machine", "a100-mig", "--slurm-version", "23.11"]
    found = check({"gres.conf": "Name=gpu File=/dev/nvidia[0-1]\n"}, *words)
    assert found == [
        "gres.conf:1: /dev/nvidia1 is in MIG mode: each of its 5 instances needs a line with "
        "MultipleFiles, its GPU's file and two of /dev/nvidia-caps",
        "gres.conf:1: the lines have 2 devices, but this machine has 6"], found
    text = edited("a100-mig", "nvidia-cap166", "nvidia-cap167")
    found = check({"gres.conf": text}, *words)
    assert len(found) == 1 and found[0].endswith("is not a MIG instance of this machine"), found
    text = generated("a100-mig").replace("nvidia-cap228", "nvidia-cap219").replace(
        "nvidia-cap229", "nvidia-cap220")
    found = check({"gres.conf": text}, *words)
    assert len(found) == 1 and "this instance of /dev/nvidia1 is already in line" in found[0]
    found = check({"gres.conf": "AutoDetect=nvidia\n"}, *words)
    assert found == [
        "gres.conf:1: AutoDetect=nvidia came with Slurm 24.11; 23.11 does not know it",
        "gres.conf:1: AutoDetect=nvidia does not see the MIG instances of this machine; write "
        "AutoDetect=off and the lines of `gpualloc slurm gres-conf`"], found
    assert "does not see the NVLinks" in one("AutoDetect=nvidia\n", "--machine", "dgx2",
                                             "--slurm-version", "24.11")


@case
def files_that_are_not_there():
    with folder() as root:
        os.mkdir(os.path.join(root, "dev"))
        for i in range(7):
            with open(os.path.join(root, f"dev/nvidia{i}"), "w", encoding="utf-8"):
                pass
        assert one("Name=gpu File=/dev/nvidia[0-7]\n", "--root", root, *DGX1) == (
            "gres.conf:1: there is no /dev/nvidia7: slurmd waits for it and does not start")
        plugins = os.path.join(root, "usr/lib/x86_64-linux-gnu/slurm-wlm")
        os.makedirs(plugins)
        assert check({"gres.conf": "AutoDetect=nvml\n"}, "--root", root, *DGX1) == []
        with open(os.path.join(plugins, "gpu_generic.so"), "w", encoding="utf-8"):
            pass
        assert "Debian builds Slurm without gpu_nvml.so" in one(
            "AutoDetect=nvml\n", "--root", root, *DGX1)
        with open(os.path.join(plugins, "gpu_nvml.so"), "w", encoding="utf-8"):
            pass
        assert check({"gres.conf": "AutoDetect=nvml\n"}, "--root", root, *DGX1) == []


@case
def without_a_machine_the_files_are_compared_with_each_other():
    result = run("slurm", "check", "/dev/null", "--slurm-version", "22.05", env=NOWHERE)
    assert result.code == 0 and result.out == "/dev/null: nothing wrong\n", result
    assert "no GPU driver answers here" in result.err, result
    refused(69, "slurm", "check", "/dev/null", "--machine", "nvml", env=NOWHERE)
    refused(64, "slurm", "check", "/dev/null", "--machine", "dgx1-vola")


# ---- gres.conf and slurm.conf ----

@case
def counts_and_types_of_slurm_conf():
    def found(gres, conf=generated("dgx1-volta"), more="GresTypes=gpu\n"):
        return check({"gres.conf": conf, "slurm.conf": f"{more}NodeName=a Gres={gres}\n"}, *DGX1)
    assert found("gpu:v100:8") == found("gpu:8") == found("mps:100,gpu:V100:8(S:0-1)") == []
    assert found("gpu:16") == [
        'slurm.conf:2: Gres has 16 GPUs, but gres.conf only 8: the node becomes invalid ("count '
        'reported lower than configured")']
    assert found("gpu:v100:6") == [
        "slurm.conf:2: Gres has 6 GPUs, but gres.conf has 8: no job gets the others"]
    assert found("gpu:a100:8") == ["slurm.conf:2: Gres has 8 of type a100, but gres.conf has 0"]
    assert found("gpu:8", more="GresTypes=mps\n") == [
        "slurm.conf:2: the node has GPUs, but GresTypes does not have gpu; add GresTypes=gpu to "
        "slurm.conf"]
    assert found("gpu:8", more="ClusterName=x\n") == [
        "slurm.conf:2: the node has GPUs, but there is no GresTypes line; add GresTypes=gpu to "
        "slurm.conf"]
    slurm = "GresTypes=gpu\nNodeName=DEFAULT Gres=gpu:4\nNodeName=a\n"
    assert one(slurm, *DGX1, name="slurm.conf") == \
        "slurm.conf:3: Gres has 4 GPUs, but this machine has 8"


@case
def a_cluster_whose_nodes_differ():
    gres = ("NodeName=a[1-4] Name=gpu File=/dev/nvidia[0-7]\n"
            "NodeName=b[1-2],c Name=gpu File=/dev/nvidia[0-3]\n"
            "NodeName=c Name=gpu File=/dev/nvidia4\n")
    slurm = ("GresTypes=gpu\nNodeName=a[1-4] Gres=gpu:8\nNodeName=b[1-2] Gres=gpu:4\n"
             "NodeName=c Gres=gpu:5\nNodeName=d Gres=gpu:2\nNodeName=e CPUs=4\n")
    files = {"gres.conf": gres, "slurm.conf": slurm}
    assert check(files, "-q", env=NOWHERE) == [
        "slurm.conf:5: Gres has 2 GPUs, but no line of gres.conf is for node d"]
    words = ["-q", "--machine", "dgx1-volta", "--slurm-version", "23.11"]
    assert check(files, *words, "--node", "a3") == []
    assert check(files, *words, "--node", "c") == [
        "gres.conf:3: the lines have 5 devices, but this machine has 8: without /dev/nvidia5, "
        "/dev/nvidia6, /dev/nvidia7"]
    # A machine that has the name of one of the nodes is that node.
    assert check({"gres.conf": gres.replace(",c", ",dgx1-volta").replace("=c", "=dgx1-volta")},
                 *words) == [
        "gres.conf:3: the lines have 5 devices, but this machine has 8: without /dev/nvidia5, "
        "/dev/nvidia6, /dev/nvidia7"]
    with folder() as where:
        path = os.path.join(where, "gres.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(gres)
        result = run("slurm", "check", path, *DGX1)
        assert result.code == 0 and "which of the nodes this machine is" in result.err, result
    # and with --node it is what that says.
    assert check({"gres.conf": gres.replace("=a", "=dgx1-volta").replace("[1-4]", "")}, *words,
                 "--node", "b1") == [
        "gres.conf:2: the lines have 4 devices, but this machine has 8: without /dev/nvidia4, "
        "/dev/nvidia5, /dev/nvidia6, /dev/nvidia7"]
    refused(64, "slurm", "check", "/dev/null", "--node", "a[1-2]",
            says=["does not name a single node"])


@case
def on_a_node_its_own_gres_conf_is_compared_with_it():
    if os.path.exists("/dev/nvidia0"):
        raise Skip("there are GPUs here")
    env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": machine_file("lab.json")}
    slurm = "GresTypes=gpu\nNodeName=n[1-9] Gres=gpu:1\n"
    found = check({"gres.conf": "Name=gpu File=/dev/nvidia0\n", "slurm.conf": slurm}, "-q", env=env)
    assert found == [
        "gres.conf:1: the lines have 1 device, but this machine has 6: without /dev/nvidia1, "
        "/dev/nvidia2, /dev/nvidia3, /dev/nvidia4",
        "gres.conf:1: there is no /dev/nvidia0: slurmd waits for it and does not start"], found
    # One with names may be about other nodes.
    assert check({"gres.conf": "NodeName=n1 Name=gpu File=/dev/nvidia0\n"}, "-q", env=env) == []


@case
def padded_numbers_and_several_brackets_name_nodes():
    def about(nodes, node):
        found = check({"gres.conf": f"NodeName={nodes} Name=gpu File=/dev/nvidia[0-1]\n",
                       "slurm.conf": f"GresTypes=gpu\nNodeName={node} Gres=gpu:2\n"}, "-q",
                      "--node", node, env=NOWHERE)
        return not found
    assert about("n[01-10]", "n07") and not about("n[01-10]", "n7")
    assert about("n[1-10]", "n10") and not about("n[1-10]", "n11")
    assert about("r[0-1]n[2,4-5]x", "r1n5x") and not about("r[0-1]n[2,4-5]x", "r1n3x")
    assert about("n[1-3]", "n2") and not about("n[1-3]", "n2x") and not about("n[1-3]", "n")
    assert about("a,n12", "n12") and not about("a,n12", "n1")
    assert about("n[1,11][1-2]", "n111"), "1 and 11, or 11 and 1"


@case
def an_included_file_is_named_as_not_checked():
    with folder() as where:
        path = os.path.join(where, "slurm.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("ClusterName=x\nInclude /etc/slurm/nodes.conf\n")
        result = run("slurm", "check", path, *DGX1)
        assert result.code == 0 and result.err == \
            f"gpualloc: note: {path}:2: the included file is not checked; " \
            "name it on the command line too\n"


@case
def json_has_findings_and_is_a_success():
    with folder() as where:
        path = os.path.join(where, 'a "b".conf')
        with open(path, "w", encoding="utf-8") as file:
            file.write("AutoDetect=off\nName=gpu File=/dev/nvidia[0-5]\nInclude x\n")
        shown = json.loads(ok("slurm", "check", "--json", path, *DGX1))
    assert shown == {
        "schema": 1, "command": "slurm",
        "machine": {"name": "dgx1-volta", "source": "builtin", "driver": "535.183.06",
                    "simulated": True},
        "slurm": "23.11",
        "findings": [{"file": path, "line": 2, "sentence":
                      "the lines have 6 devices, but this machine has 8: without /dev/nvidia6, "
                      "/dev/nvidia7"}],
        "notes": [{"file": path, "line": 3,
                   "sentence": "the included file is not checked; name it on the command line "
                               "too"}]}, shown
    shown = json.loads(ok("slurm", "check", "--json", "-q", "/dev/null", env=NOWHERE))
    assert shown["machine"] is None and shown["findings"] == [], shown


# ---- hostile bytes ----

def survives(data, *words):
    """Whatever it says, it answers in time, does not crash and prints plain characters."""
    with folder() as where:
        path = os.path.join(where, "gres.conf")
        with open(path, "wb") as file:
            file.write(data)
        for form in ([], ["--json"]):
            result = run("slurm", "check", path, *form, *DGX1, *words)
            assert result.code in (0, 65), result
            assert "Sanitizer" not in result.err, result
            for text in (result.out, result.err):
                assert not set(text) & set(map(chr, range(32))) - {"\n"}, result
                assert "\x7f" not in text, result
            if form and result.code == 0:
                json.loads(result.raw.decode("utf-8"))
    return result


@case
def garbage_is_not_a_configuration():
    noise = random.Random(4711)
    data = noise.randbytes(1 << 20)
    with folder() as where:
        path = os.path.join(where, "gres.conf")
        for text, says in ((data, "not a text file"), (b"Name=gpu\n\0", ":2: the line contains a NUL"),
                           (data.replace(b"\0", b""), "neither a gres.conf nor a slurm.conf"),
                           (b"#" * (4 << 20) + b"x", "at most 4194304 are read"),
                           (b"hello\n", "neither a gres.conf nor a slurm.conf")):
            with open(path, "wb") as file:
                file.write(text)
            for form in ([], ["--json"]):
                refused(65, "slurm", "check", path, *form, *DGX1, says=[path, says])
    refused(65, "slurm", "check", "/etc", says=["is a directory"])
    refused(64, "slurm", "check", "/nonexistent", says=["/nonexistent: No such file"])
    refused(64, "slurm", "check", says=["needs the files"])


@case
def hostile_lines_are_survived():
    huge = b"[0-999999999]"
    for data in (
            b"Name=gpu File=/dev/nvidia" + huge * 9, b"Name=gpu File=/dev/nvidia" + huge,
            b"NodeName=n" + huge + b" Name=gpu File=/dev/nvidia0",
            b"NodeName=n" + huge * 4 + b" Name=gpu File=/dev/nvidia0",
            b"NodeName=n" + b"[" * 100000, b"Name=gpu File=" + b"a" * 1000000,
            b"Name=gpu File=" + b"a," * 500000, b"Name=gpu File=[" + b"0," * 500000 + b"0]",
            b"Name=gpu Type=a Links=" + b"0," * 500000, b"Name=gpu Cores=" + b"0-65535," * 100000,
            b"Name=gpu Cores=0-65535,1-99999999999999999999", b"Name=gpu \\\n" * 100000,
            b"Name=gpu " * 100000, b"=\n" * 100000, b"Name=\"gpu File=/dev/nvidia0",
            b"Name=gpu \x1b[31mFile=\x9b31m Type=\xff\xfe Cores=\x1b]0;x\x07",
            b"Name=gpu File=/dev/\x1b[2Jnvidia0 Type=\x7f", b"Name=gpu\\", b"\\", b"Name=gpu#\\#",
            b"NodeName=a Gres=" + b"gpu:1," * 100000,
            b"NodeName=a Gres=gpu:::,gpu:99999999999999999999G,gpu:(,gpu" + b":x" * 50000,
            b"NodeName=DEFAULT Sockets=99999 CoresPerSocket=99999 Gres=gpu:1\nNodeName=a\n"):
        survives(data)
        survives(data, "--node", "n" + "1" * 200)


@case
def many_lines_are_survived():
    survives(b"".join(b"NodeName=n%d Name=gpu File=/dev/nvidia[0-9]\n" % i for i in range(20000)))
    survives(b"".join(b"Name=gpu File=/dev/nvidia%d\n" % i for i in range(20000)))
    survives(b"".join(b"NodeName=n%d Gres=gpu:8\n" % i for i in range(20000)))
    many = b",".join(b"%d" % i for i in range(200))
    result = survives(b"".join(b"NodeName=a%d,b[%s] Name=gpu File=/dev/nvidia[0-3]\n" % (i, many)
                               for i in range(4000)))
    assert "too many kinds of nodes" in result.err, result
    result = survives(b"Name=gpu Links=x Type=a File=/dev/nvidia0\n" * 5000, "-q")
    assert result.code == 0 and len(json.loads(result.out)["findings"]) == 200


main()
