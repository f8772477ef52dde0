# SPDX-License-Identifier: Apache-2.0
"""Bind mode: Slurm has chosen the GPUs; we only decide the order in which a task sees them."""
import contextlib
import json
import os
import re
import stat

from cli import Skip, case, main, ok
from cluster import AT_ONCE, Node, cluster, plain_user

GPU = "NodeName={0} Name=gpu File=/dev/tty[0-{1}]\n"
SHOW = "echo $SLURM_LOCALID $CUDA_VISIBLE_DEVICES"


def gpu_node(name="n1", count=8, machine="dgx1-volta"):
    return Node(name, gres=f"gpu:{count}", machine=machine, gres_conf=GPU.format(name, count - 1))


def seen(text):
    """What each task sees, by its number on the node."""
    return {int(line.split()[0]): line.split()[1].split(",") for line in text.splitlines()}


def links(first, second):
    """NVLinks of the built-in machine between two GPUs."""
    return MATRIX[int(first)][int(second)]


MATRIX = json.loads(ok("snapshot", "--machine", "dgx1-volta"))["nvlink"]


def round_trip(order):
    return sum(links(order[i - 1], order[i]) for i in range(len(order)))


@case
def all_gpus_of_the_step_with_linked_neighbours():
    with cluster(gpu_node()) as one:
        for count in (2, 3, 4, 8):
            tasks = seen(one.ok("srun", "-n2", f"--gres=gpu:{count}", f"--gpualloc={count}", "sh",
                                "-c", SHOW))
            given = [str(number) for number in range(count)]
            assert tasks[0] == tasks[1] and sorted(tasks[0]) == given, tasks
            assert round_trip(tasks[0]) >= round_trip(given), tasks
        assert not one.leases("n1")["leases"]


@case
def each_task_has_its_own_first_and_then_the_others():
    with cluster(gpu_node()) as one:
        tasks = seen(one.ok("srun", "-n4", "--gpus=8", "--gpualloc=2", "sh", "-c", SHOW))
        own = [gpu for task in range(4) for gpu in tasks[task][:2]]
        assert sorted(own) == [str(number) for number in range(8)], tasks
        for task in range(4):
            assert sorted(tasks[task]) == sorted(own), tasks
            assert links(*tasks[task][:2]) == 2, tasks
        # More tasks than sets: they start again.
        tasks = seen(one.ok("srun", "-n4", "--gpus=2", "--gpualloc=1", "sh", "-c", SHOW))
        assert [tasks[task][0] for task in range(4)] == ["0", "1", "0", "1"], tasks


@case
def gpus_that_slurm_bound_to_a_task_are_its_own():
    with cluster(gpu_node()) as one:
        tasks = seen(one.ok("srun", "-n3", "--gpus-per-task=1", "--gpualloc=1", "sh", "-c", SHOW))
        assert {task: gpus[0] for task, gpus in tasks.items()} == {0: "0", 1: "1", 2: "2"}, tasks
        assert all(sorted(gpus) == ["0", "1", "2"] for gpus in tasks.values()), tasks


@case
def a_batch_script_and_its_steps_each_have_what_slurm_gave_them():
    with cluster(gpu_node()) as one:
        _, out = one.batch("--gpus=4", "--gpualloc=2", script=
                           "echo all $CUDA_VISIBLE_DEVICES; srun --gpus=2 sh -c "
                           "'echo step $CUDA_VISIBLE_DEVICES'; srun --gres=none sh -c "
                           "'echo none $CUDA_VISIBLE_DEVICES .'")
        said = dict(line.split(" ", 1) for line in out.splitlines())
        assert sorted(said["all"].split(",")) == ["0", "1", "2", "3"], out
        assert sorted(said["step"].split(",")) == ["0", "1"] and said["none"] == ".", out


@case
def never_more_than_slurm_gave():
    with cluster(gpu_node()) as one:
        result = one.ask("srun", "--gpus=2", "--gpualloc=3", "echo", "ran")
        assert result.code == 1 and result.out == "", result
        assert "asks for 3, but Slurm gave 2; ask Slurm for the same number (--gpus=3)" in result.err, result
        result = one.ask("srun", "--gpus=2", "--gpualloc=2::8GiB", "true")
        assert result.code == 1 and "Slurm has already chosen the GPUs" in result.err, result
        one.wait_for_node("n1")


@case
def a_machine_with_fewer_gpus_than_slurm_counts_fails_the_job():
    with cluster(gpu_node(machine="rtx8000x4")) as one:
        result = one.ask("srun", "--gpus=8", "--gpualloc=1", "true")
        assert result.code == 1 and "not the GPUs of this machine" in result.err, result
        one.wait_for_node("n1")


@case
def instances_are_named_by_uuid():
    machine = json.loads(ok("snapshot", "--machine", "a100-mig"))["devices"]
    units = []
    for gpu in machine:
        units += [part["uuid"] for part in gpu["mig"]] if "mig" in gpu else [gpu["uuid"]]
    with cluster(gpu_node(count=len(units), machine="a100-mig")) as one:
        tasks = seen(one.ok("srun", "-n2", "--gpus=4", "--gpualloc=2", "sh", "-c", SHOW))
        assert tasks[0][:2] == units[:2] and tasks[1][:2] == units[2:4], tasks
        assert sorted(tasks[0]) == sorted(tasks[1]) == sorted(units[:4]), tasks


@case
def behind_a_fence_only_what_can_be_opened_counts():
    """As with ConstrainDevices=yes: Slurm's numbers differ from CUDA's, which counts openable ones."""
    open_to_all = (1, 2, 5)

    def make_devices(one):
        os.makedirs(one.path("fake", "dev"))
        for number in range(8):
            with open(one.path("fake", "dev", f"nvidia{number}"), "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o666 if number in open_to_all else 0)

    with plain_user() as person, \
            cluster(gpu_node(), person=person, plugstack="optional {plugin} root={where}/fake\n",
                    prepare=make_devices) as one:
        out = one.ok("srun", "--gpus=3", "--gpualloc=3", "sh", "-c",
                     "echo $SLURM_LOCALID $CUDA_VISIBLE_DEVICES; echo 1 $GPUALLOC_DEVICES")
        uuids = [device["uuid"] for device in
                 json.loads(ok("snapshot", "--machine", "dgx1-volta"))["devices"]]
        numbers, names = seen(out)[0], seen(out)[1]
        assert sorted(numbers) == ["0", "1", "2"], out
        assert [uuids[open_to_all[int(number)]] for number in numbers] == names, out


@case
def behind_the_machines_fence_there_has_to_be_a_lease():
    if os.geteuid() != 0:
        raise Skip("needs root, whose the probe is")
    probe = os.environ["PROBE_PATH"].lstrip("/")

    def make_devices(one):
        os.makedirs(one.path("fake", "dev"))
        os.makedirs(os.path.dirname(one.path("fake", probe)))
        for number in range(8):
            with open(one.path("fake", "dev", f"nvidia{number}"), "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0)
        with open(one.path("fake", probe), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o755)

    with plain_user() as person, \
            cluster(gpu_node(), person=person, plugstack="optional {plugin} root={where}/fake\n",
                    prepare=make_devices) as one:
        words = ("srun", "--gpus=1", "--gpualloc=1", "true")
        done = one.ask(*words)
        assert done.code == 1 and "can open none" in done.err and "lease" not in done.err, done
        # The cluster has given it to who it runs as; that it is root's is what counts.
        os.chown(one.path("fake", probe), 0, 0)
        os.chmod(one.path("fake", probe), 0o2755)
        done = one.ask(*words)
        assert done.code == 1 and "can open none" in done.err and "mode=lease" in done.err, done


FENCED = "ProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup\n"
CGROUP = "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainDevices=yes\n"


@contextlib.contextmanager
def fenced():
    """A node that keeps devices from jobs. A real driver's number without a driver: opening says
    that there is no such device, and behind the fence that it is not permitted."""
    if os.geteuid() != 0 or not os.access("/sys/fs/cgroup/devices/devices.allow", os.W_OK):
        raise Skip("no cgroup of devices (v1) that can be written")
    name = f"fenced{os.getpid()}"

    def prepare(one):
        os.makedirs(one.path("fake", "dev"))
        for number in range(8):
            make_device(one.path("fake", "dev", f"nvidia{number}"), 195, number)
        one.nodes[name].gres_conf = \
            f"NodeName={name} Name=gpu File={one.where}/fake/dev/nvidia[0-7]\n"
        one.write("cgroup.conf", CGROUP)

    try:
        with cluster(Node(name, gres="gpu:8"), extra=FENCED, prepare=prepare,
                     plugstack="optional {plugin} root={where}/fake\n") as one:
            yield one
    finally:
        for controller in os.listdir("/sys/fs/cgroup"):
            for folder, _, _ in os.walk(f"/sys/fs/cgroup/{controller}/slurm_{name}", topdown=False):
                os.rmdir(folder)


def make_device(path, major, minor):
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
    except PermissionError:
        raise Skip("device files cannot be made here") from None
    os.chmod(path, 0o666)


@case
def behind_a_real_fence_too():
    uuids = [device["uuid"] for device in
             json.loads(ok("snapshot", "--machine", "dgx1-volta"))["devices"]]
    show = "echo $SLURM_LOCALID $CUDA_VISIBLE_DEVICES $GPUALLOC_DEVICES"
    with fenced() as one:
        first = one.hold("--gpus=3").started()
        for words, visible, given in (
                (["--gpus=2", "--gpualloc=2"], {0: "0,1"}, {0: "3,4"}),
                (["-n2", "--gpus=2", "--gpualloc=1"], {0: "0,1", 1: "1,0"}, {0: "3,4", 1: "4,3"}),
                # Slurm fences each task in separately, so it sees no peers.
                (["-n2", "--gpus-per-task=1", "--gpualloc=1"], {0: "0", 1: "0"}, {0: "3", 1: "4"})):
            out = one.ok("srun", *words, "sh", "-c", show)
            lines = {int(line.split()[0]): line.split()[1:] for line in out.splitlines()}
            assert {task: line[0] for task, line in lines.items()} == visible, (words, out)
            assert {task: line[1] for task, line in lines.items()} == \
                {task: ",".join(uuids[int(gpu)] for gpu in gpus.split(","))
                 for task, gpus in given.items()}, (words, out)
        assert first.end() == 0


def use_generated(node, one):
    """The gres.conf that gpualloc writes for the node's machine, its files replaced by fakes."""
    text = ok("slurm", "gres-conf", "--machine", node.machine, "--node", node.name)
    for path in sorted(set(re.findall(r"/dev(/[\w/-]+)", re.sub(r"(?m)^#.*", "", text)))):
        os.makedirs(os.path.dirname(one.where + "/dev" + path), exist_ok=True)
        make_device(one.where + "/dev" + path, 1, 3)
    node.gres_conf = re.sub(r"(?m)(?<==|,)/dev/", f"{one.where}/dev/", text)
    node.gres, node.shape = re.search(
        r"Gres=(\S+) (Sockets=\d+ CoresPerSocket=\d+ ThreadsPerCore=\d+)", text).groups()


@case
def the_generated_gres_conf_is_accepted_and_used():
    with cluster(Node("n1"), prepare=lambda one: use_generated(one.nodes["n1"], one)) as one:
        assert f"Gres={one.nodes['n1'].gres}" in one.ok("scontrol", "show", "node", "n1")
        for _ in range(3):
            gpus = one.ok("srun", "--gpus=2", "printenv", "CUDA_VISIBLE_DEVICES")
            assert links(*gpus.strip().split(",")) == 2, gpus
        assert len(one.ok("srun", "--gpus=8", "printenv", "SLURM_STEP_GPUS").split(",")) == 8


@case
def generated_lines_of_instances_give_the_instances():
    listed = json.loads(ok("list", "--json", "--machine", "a100-mig"))["devices"]
    uuids = {instance["profile"]: [] for instance in listed[1]["mig"]}
    for instance in listed[1]["mig"]:
        uuids[instance["profile"]].append(instance["uuid"])
    with cluster(Node("n1", machine="a100-mig"),
                 prepare=lambda one: use_generated(one.nodes["n1"], one)) as one:
        gres = one.ok("scontrol", "show", "node", "n1")
        assert all(f"gpu:{profile}:{len(of)}" in gres for profile, of in uuids.items()), gres
        assert "gpu:a100:1" in gres, gres
        for profile, of in uuids.items():
            words = [f"--gres=gpu:{profile}:1", "--gpualloc=1", "printenv", "CUDA_VISIBLE_DEVICES"]
            assert one.ok("srun", *words).strip() in of, profile
        whole = one.ok("srun", "--gres=gpu:a100:1", "--gpualloc=1", "printenv", "GPUALLOC_DEVICES")
        assert whole.strip() == listed[0]["uuid"], whole


if __name__ == "__main__":
    main(AT_ONCE)
