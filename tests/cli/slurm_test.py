#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc slurm gres-conf: the lines of gres.conf, as an expert on Slurm would write
them."""
import json
import os

from cli import BUILT_IN, Skip, case, folder, machine_file, main, ok, refused, run

NOWHERE = {"PATH": "/nonexistent", "GPUALLOC_NVML": "/nonexistent"}


def conf(*words):
    return ok("slurm", "gres-conf", *words)


def lines(*words):
    """The part that Slurm reads."""
    return [line for line in conf(*words).splitlines() if not line.startswith("#")]


def machine(where, devices, cpu=None, links="SYS", nvlink=None, name="box"):
    """A machine file: devices as dictionaries, and one level between any two."""
    count = len(devices)
    pcie = [["X" if i == j else links for j in range(count)] for i in range(count)]
    content = {"gpualloc_machine": 1, "name": name, "source": "nvml", "pcie": pcie,
               "devices": [{"index": i, "uuid": f"GPU-{i}", **device}
                           for i, device in enumerate(devices)]}
    if cpu:
        content["cpu"] = dict(zip(("sockets", "cores_per_socket", "threads_per_core"), cpu))
    if nvlink:
        content["nvlink"] = nvlink
    path = os.path.join(where, "machine.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
    return path


def gpu(minor, bus, cpus=None, name="Tesla V100-SXM2-16GB", **more):
    return {"minor": minor, "pci": f"00000000:{bus:02X}:00.0", "name": name,
            **({"cpus": cpus} if cpus else {}), **more}


def write(where, name, text):
    path = os.path.join(where, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# ---- machines as they are ----

@case
def a_dgx1_has_one_line_per_gpu_with_its_nvlinks():
    assert lines("--machine", "dgx1-volta") == """\
AutoDetect=off
Name=gpu Type=v100 File=/dev/nvidia0 Cores=0-19 Links=-1,1,1,2,2,0,0,0
Name=gpu Type=v100 File=/dev/nvidia1 Cores=0-19 Links=1,-1,2,1,0,2,0,0
Name=gpu Type=v100 File=/dev/nvidia2 Cores=0-19 Links=1,2,-1,2,0,0,1,0
Name=gpu Type=v100 File=/dev/nvidia3 Cores=0-19 Links=2,1,2,-1,0,0,0,1
Name=gpu Type=v100 File=/dev/nvidia4 Cores=20-39 Links=2,0,0,0,-1,1,1,2
Name=gpu Type=v100 File=/dev/nvidia5 Cores=20-39 Links=0,2,0,0,1,-1,2,1
Name=gpu Type=v100 File=/dev/nvidia6 Cores=20-39 Links=0,0,1,0,1,2,-1,2
Name=gpu Type=v100 File=/dev/nvidia7 Cores=20-39 Links=0,0,0,1,2,1,2,-1
""".splitlines()


@case
def numa_nodes_smaller_than_a_socket_become_whole_sockets():
    # Its first GPUs are near CPUs 48-63,176-191, which are cores 48-63 of the first of two sockets.
    assert lines("--machine", "dgx-a100")[1::4] == [
        "Name=gpu Type=a100 File=/dev/nvidia0 Cores=0-63 Links=-1,12,12,12,12,12,12,12",
        "Name=gpu Type=a100 File=/dev/nvidia4 Cores=64-127 Links=12,12,12,12,-1,12,12,12"]


@case
def bridged_pairs_across_the_sockets_keep_their_links():
    assert lines("--machine", "rtx8000x4")[1:] == [
        "Name=gpu Type=rtx_8000 File=/dev/nvidia0 Cores=0-15 Links=-1,0,0,2",
        "Name=gpu Type=rtx_8000 File=/dev/nvidia1 Cores=0-15 Links=0,-1,2,0",
        "Name=gpu Type=rtx_8000 File=/dev/nvidia2 Cores=16-31 Links=0,2,-1,0",
        "Name=gpu Type=rtx_8000 File=/dev/nvidia3 Cores=16-31 Links=2,0,0,-1"]


@case
def without_nvlink_the_links_say_how_close_two_are_on_pcie():
    # PIX 4, PXB 3, NODE 1, SYS 0.
    assert lines("--machine", "pcie16")[1::9] == [
        "Name=gpu Type=l4 File=/dev/nvidia0 Cores=0-31 Links=-1,4,3,3,1,1,1,1,0,0,0,0,0,0,0,0",
        "Name=gpu Type=l4 File=/dev/nvidia9 Cores=32-63 Links=0,0,0,0,0,0,0,0,4,-1,3,3,1,1,1,1"]
    assert "# Links say how close two GPUs are on PCIe" in conf("--machine", "pcie16")


@case
def a_mig_instance_is_its_gpu_and_two_capability_files():
    assert lines("--machine", "a100-mig") == [
        "AutoDetect=off", "Name=gpu Type=a100 File=/dev/nvidia0 Cores=0-31"] + [
        f"Name=gpu Type={profile} MultipleFiles=/dev/nvidia1,/dev/nvidia-caps/nvidia-cap{cap},"
        f"/dev/nvidia-caps/nvidia-cap{cap + 1} Cores=32-63"
        for profile, cap in (("2g.10gb", 165), ("2g.10gb", 183), ("1g.5gb", 219), ("1g.5gb", 228),
                             ("1g.5gb", 255))]
    text = conf("--machine", "a100-mig")
    assert "Gres=gpu:a100:1,gpu:2g.10gb:2,gpu:1g.5gb:3 Sockets=2 CoresPerSocket=32" in text
    assert "simulated: nvidia-capN are counted as in NVIDIA's documents" in text


@case
def every_built_in_machine_has_as_many_lines_as_devices():
    for name in BUILT_IN:
        text = conf("--machine", name)
        assert f"# gres.conf of {name} (simulated)" in text, text
        assert len(json.loads(conf("--machine", name, "--json"))["devices"]) == \
            len(lines("--machine", name)) - 1, name
        assert all(len(line) <= 120 for line in text.splitlines() if line.startswith("#")), name


@case
def the_lines_for_slurm_conf_are_in_comments():
    text = conf("--machine", "dgx1-volta", "--node", "n[1-4]")
    assert "# slurm.conf: GresTypes=gpu\n" in text
    assert ("# slurm.conf: NodeName=n[1-4] Gres=gpu:v100:8 Sockets=2 CoresPerSocket=20 "
            "ThreadsPerCore=2\n") in text
    assert "GresTypes=gpualloc and Gres=gpualloc:8\n" in text
    assert "# Slurm 24.05 to 26.05 read Links the wrong way round for --gres=gpu:N" in text
    assert "wrong way round" not in conf("--machine", "dgx-a100"), "all its links are alike"


@case
def with_a_node_each_line_is_that_nodes():
    text = lines("--machine", "rtx8000x4", "--node", "n[1-4,07]")
    assert text[0] == ("NodeName=n[1-4,07] AutoDetect=off Name=gpu Type=rtx_8000 "
                       "File=/dev/nvidia0 Cores=0-15 Links=-1,0,0,2"), text
    assert len(text) == 4
    for bad in ("n[1-", "a b", "n1\nName=gpu", "n1#", 'n"1', "", "n=1", "n[4-1]"):
        refused(64, "slurm", "gres-conf", "--machine", "dgx2", "--node", bad, says=["--node"])


# ---- order, files, names ----

@case
def lines_are_in_pci_order_and_files_by_minor():
    with folder() as where:
        path = machine(where, [gpu(3, 0x40), gpu(0, 0x10), gpu(1, 0x30), gpu(2, 0x20)],
                       nvlink=[[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]])
        assert lines("--machine", path) == [
            "AutoDetect=off",
            "Name=gpu Type=v100 File=/dev/nvidia0 Links=-1,5,4,1",
            "Name=gpu Type=v100 File=/dev/nvidia2 Links=5,-1,6,3",
            "Name=gpu Type=v100 File=/dev/nvidia1 Links=4,6,-1,2",
            "Name=gpu Type=v100 File=/dev/nvidia3 Links=1,3,2,-1"]


@case
def alike_gpus_share_a_line_where_their_files_count_upwards():
    with folder() as where:
        near, far = "0-7,16-23", "8-15,24-31"
        path = machine(where, [gpu(i, 0x10 + i, near if i < 3 else far) for i in range(6)],
                       cpu=(2, 8, 2))
        assert lines("--machine", path) == [
            "AutoDetect=off",
            "Name=gpu Type=v100 File=/dev/nvidia[0-2] Cores=0-7",
            "Name=gpu Type=v100 File=/dev/nvidia[3-5] Cores=8-15"]
        path = machine(where, [gpu(1, 0x10), gpu(0, 0x11), gpu(2, 0x12), gpu(3, 0x13),
                               gpu(4, 0x14, name="NVIDIA A40")])
        assert lines("--machine", path) == [
            "AutoDetect=off", "Name=gpu Type=v100 File=/dev/nvidia1",
            "Name=gpu Type=v100 File=/dev/nvidia0", "Name=gpu Type=v100 File=/dev/nvidia[2-3]",
            "Name=gpu Type=a40 File=/dev/nvidia4"]


@case
def types_are_short_and_safe():
    with folder() as where:
        for name, kind in (("NVIDIA A100-SXM4-40GB", "a100"), ("Tesla V100-SXM2-16GB", "v100"),
                           ("NVIDIA H100 80GB HBM3", "h100"), ("Quadro RTX 8000", "rtx_8000"),
                           ("NVIDIA GeForce GTX 1080 Ti", "gtx_1080_ti"), ("Tesla T4", "t4"),
                           ("NVIDIA RTX 6000 Ada Generation", "rtx_6000_ada"),
                           ("NVIDIA GH200 144G HBM3e", "gh200"), ("NVIDIA TITAN RTX", "titan_rtx"),
                           ("AMD Instinct MI300X", "mi300x"), ("NVIDIA", "nvidia"),
                           ("a:b,c d=e#f", "a_b_c_d_e_f"), ("Gerät \"1\"", "ger_t_1"),
                           ("NVIDIA H100 PCIe", "h100"), ("x" * 200, "x" * 63)):
            path = machine(where, [gpu(0, 1, name=name)])
            assert lines("--machine", path)[1] == f"Name=gpu Type={kind} File=/dev/nvidia0", name
        path = machine(where, [gpu(0, 1, name="NVIDIA A100-SXM4-40GB"),
                               gpu(1, 2, name="NVIDIA A100-SXM4-80GB")])
        assert lines("--machine", path)[1:] == [
            "Name=gpu Type=nvidia_a100_sxm4_40gb File=/dev/nvidia0",
            "Name=gpu Type=nvidia_a100_sxm4_80gb File=/dev/nvidia1"], "one name for two models"


@case
def links_that_slurm_would_ignore_are_not_printed():
    with folder() as where:
        devices = [gpu(0, 1), gpu(1, 2)]
        del devices[1]["name"]
        path = machine(where, devices, nvlink=[[0, 2], [2, 0]])
        assert "Links" not in conf("--machine", path)


@case
def unknown_links_count_as_none_with_a_note():
    with folder() as where:
        path = machine(where, [gpu(0, 1), gpu(1, 2), gpu(2, 3)],
                       nvlink=[[0, 2, None], [2, 0, 1], [None, 1, 0]])
        assert lines("--machine", path)[1].endswith(" Links=-1,2,0")
        assert "# Some links are not known and count as 0." in conf("--machine", path)
        path = machine(where, [gpu(0, 1), gpu(1, 2)], links=None)
        assert lines("--machine", path)[1] == "Name=gpu Type=v100 File=/dev/nvidia[0-1]"


# ---- sockets ----

def cores(where, cpus, cpu, root=None):
    path = machine(where, [gpu(i, i + 1, near) for i, near in enumerate(cpus)], cpu=cpu)
    shown = json.loads(conf("--machine", path, "--json", *(["--root", root] if root else [])))
    return [device["cores"] for device in shown["devices"]]


@case
def cpus_of_linux_become_cores_of_slurm():
    with folder() as where:
        assert cores(where, ["0-3", "4-7"], (2, 4, 1)) == ["0-3", "4-7"]
        assert cores(where, ["2-3,10-11", "4-5,12-13"], (2, 4, 2)) == ["0-3", "4-7"]
        assert cores(where, ["0-7"], (2, 4, 1)) == ["0-7"], "near both"
        assert cores(where, ["0,2,4,6,8,10,12,14", "1,3,5,7,9,11,13,15"], (2, 4, 2)) == \
            ["0-3", "4-7"], "numbered through the sockets"
        assert cores(where, ["3"], (1, 4, 1)) == ["0-3"]
        assert cores(where, ["4-7", "12-15"], (4, 4, 1)) == ["4-7", "12-15"]


@case
def unknown_sockets_leave_out_cores_with_a_note():
    with folder() as where:
        path = machine(where, [gpu(0, 1, "0-3"), gpu(1, 2, "4-7")])
        assert "Cores=" not in conf("--machine", path)
        assert "# No Cores: it is not known how many sockets and cores the machine has." in \
            conf("--machine", path)
        for cpus in (["0-3", None], ["0-3", "2-5"], ["0-3", "4-99"]):
            assert cores(where, cpus, (2, 4, 1)) == [None, None], cpus
        path = machine(where, [gpu(0, 1, "2-5")], cpu=(2, 4, 1))
        assert "# No Cores: it is not known which socket each GPU is near." in \
            conf("--machine", path)


@case
def the_kernel_of_that_machine_says_which_socket_a_cpu_is_in():
    with folder() as where:
        root = os.path.join(where, "root")
        cpu = "sys/devices/system/cpu/"
        write(root, cpu + "online", "0-7\n")
        for number in range(8):  # numbered in an unusual way: 0-1 and 6-7 are one socket
            package = 40 if number in (0, 1, 6, 7) else 7
            write(root, cpu + f"cpu{number}/topology/physical_package_id", f"{package}\n")
        assert cores(where, ["6-7", "2-5", "1-2"], (2, 4, 1), root) == ["0-3", "4-7", "0-7"]
        os.remove(os.path.join(root, cpu + "cpu5/topology/physical_package_id"))
        assert cores(where, ["6-7", "4"], (2, 4, 1), root) == ["4-7", "4-7"], "by numbers again"


# ---- MIG ----

@case
def capability_files_are_read_where_the_node_has_them():
    with folder() as where:
        write(where, "proc/driver/nvidia-caps/mig-minors",
              "config 1\nmonitor 2\ngpu1/gi5/access 1012\ngpu1/gi5/ci0/access 1013\n"
              "gpu10/gi5/access 7\n" + "".join(
                  f"gpu{g}/gi{i}/access {1000 + 100 * g + i}\n"
                  f"gpu{g}/gi{i}/ci0/access {2000 + 100 * g + i}\n"
                  f"gpu{g}/gi{i}/ci1/access {3000 + 100 * g + i}\n"
                  for g in range(4) for i in range(15) if (g, i) != (1, 5)))
        shown = lines("--machine", machine_file("mig-kinds.json"), "--root", where)
        assert [line.split()[1:3] for line in shown[1:]] == [
            ["Type=a100", "File=/dev/nvidia0"]] + [
            [f"Type={profile}", "MultipleFiles=/dev/nvidia" + f"{minor},/dev/nvidia-caps/nvidia-cap"
             f"{one},/dev/nvidia-caps/nvidia-cap{other}"]
            for profile, minor, one, other in (
                ("1c.3g.40gb", 1, 1101, 2101), ("1c.3g.40gb", 1, 1101, 3101),
                ("2g.20gb", 1, 1012, 1013), ("1g.10gb_me", 1, 1113, 2113),
                ("7g.80gb", 3, 1300, 2300))], shown
        assert "# GPU 2 is in MIG mode and has no instance, so it has no line." in \
            conf("--machine", machine_file("mig-kinds.json"), "--root", where)


@case
def instances_without_their_files_are_refused():
    says = ["MIG instance 1:1:0", "/proc/driver/nvidia-caps/mig-minors", "--root"]
    refused(78, "slurm", "gres-conf", "--machine", machine_file("mig-kinds.json"), says=says)
    with folder() as where:
        for text in ("", "gpu1/gi1/access 5\n", "gpu1/gi1/ci0/access 6\n",
                     "gpu1/gi1/access x\ngpu1/gi1/ci0/access 6\n",
                     "gpu1/gi1/access 99999999999\ngpu1/gi1/ci0/access 6\n"):
            write(where, "proc/driver/nvidia-caps/mig-minors", text)
            refused(78, "slurm", "gres-conf", "--machine", machine_file("mig-kinds.json"),
                    "--root", where, says=says)


# ---- what cannot be said is not said ----

@case
def a_machine_without_minors_or_addresses_is_refused():
    with folder() as where:
        for missing, word in (("minor", "minor number of GPU 1"), ("pci", "PCI address of GPU 1")):
            devices = [gpu(0, 1), gpu(1, 2)]
            del devices[1][missing]
            refused(78, "slurm", "gres-conf", "--machine", machine(where, devices),
                    says=[word, "gpualloc snapshot"])
        refused(78, "slurm", "gres-conf", "--machine", machine(where, [gpu(0, 1), gpu(0, 2)]),
                says=["GPU 0 and GPU 1 are both /dev/nvidia0", "several nodes"])
        refused(78, "slurm", "gres-conf", "--machine", machine(where, []),
                says=["nothing for Slurm to hand out"])
        refused(69, "slurm", "gres-conf", env=NOWHERE)


@case
def on_the_machine_itself_its_own_proc_is_read():
    env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": machine_file("mig-kinds.json")}
    if os.path.exists("/proc/driver/nvidia-caps/mig-minors"):
        raise Skip("a GPU in MIG mode is here")
    refused(78, "slurm", "gres-conf", env=env, says=["are listed in /proc/driver", "mig-minors"])


@case
def json_has_what_the_lines_have():
    text = conf("--machine", "rtx8000x4", "--json", "--node", "n1")
    shown = json.loads(text)
    assert list(shown) == ["schema", "command", "machine", "node", "gres", "sockets",
                           "cores_per_socket", "threads_per_core", "links", "devices"], list(shown)
    assert (shown["schema"], shown["command"], shown["node"], shown["gres"], shown["links"]) == \
        (1, "slurm", "n1", "gpu:rtx_8000:4", "nvlink")
    assert shown["devices"][0] == {
        "uuid": "GPU-5a0501b1-0000-0000-0000-000008000000", "type": "rtx_8000",
        "files": ["/dev/nvidia0"], "cores": "0-15", "links": [None, 0, 0, 2]}
    instance = json.loads(conf("--machine", "a100-mig", "--json"))["devices"][1]
    assert instance["files"] == ["/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap165",
                                 "/dev/nvidia-caps/nvidia-cap166"], instance
    assert instance["links"] is None


@case
def unknown_words_are_refused():
    refused(64, "slurm", says=["gres-conf | check FILE"])
    refused(64, "slurm", "gresconf", "--machine", "dgx2", says=["check or gres-conf"])
    refused(64, "slurm", "gres-conf", "x", "--machine", "dgx2", says=['"x"'])
    refused(64, "slurm", "gres-conf", "--machine", "dgx2", "--slurm-version", "24.05",
            says=["slurm check"])
    assert run("slurm", "--help").out == run("help", "slurm").out


main()
