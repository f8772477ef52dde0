# SPDX-License-Identifier: Apache-2.0
"""What a step finds in its environment: its own devices, its job's or none, but never another's."""
import os

from cli import case, main
from cluster import AT_ONCE, Node, cluster, plain_user
from people import two_people

OURS = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "GPUALLOC_DEVICES",
        "GPUALLOC_FD", "GPUALLOC_LEASE", "GPUALLOC_MEMORY", "GPUALLOC_SLURM_JOB")


def variables(text):
    """Our variables in what env printed; each may be there once."""
    lines = [line for line in text.splitlines() if line.split("=")[0] in OURS]
    found = dict(line.split("=", 1) for line in lines)
    assert len(found) == len(lines), lines
    return found


def devices(text):
    return variables(text)["GPUALLOC_DEVICES"].split(",")


def tasks(text):
    """From what env printed in several tasks, the line with each one's devices."""
    return [line for line in text.splitlines() if line.startswith("GPUALLOC_DEVICES=")]


@case
def all_variables_are_set_once():
    with cluster(Node("n1")) as one:
        env = one.ok("srun", "--gpualloc=2", "env", CUDA_VISIBLE_DEVICES="7", GPUALLOC_MEMORY="5",
                     GPUALLOC_DEVICES="GPU-x", GPUALLOC_LEASE="0123456789", GPUALLOC_FD="1")
        found = variables(env)
        assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        assert len(found["CUDA_VISIBLE_DEVICES"].split(",")) == 2
        assert found["NVIDIA_VISIBLE_DEVICES"] == found["GPUALLOC_DEVICES"]
        assert int(found["GPUALLOC_FD"]) > 511
        assert found["GPUALLOC_LEASE"] != "0123456789"
        assert found["GPUALLOC_SLURM_JOB"] == "1"
        assert "GPUALLOC_MEMORY" not in found


@case
def steps_use_their_jobs_lease():
    with cluster(Node("n1")) as one:
        _, out = one.batch("-n2", "--gpualloc=4", script=
                           "env > {0}/batch; srun -n1 --exact --gpualloc=2 env > {0}/one & "
                           "srun -n1 --exact --gpualloc=2 env > {0}/two & wait; "
                           "srun env > {0}/all; srun -n1 --gpualloc=5 true; echo ended $?"
                           .format(one.where))
        job = devices(one.read("batch"))
        assert len(job) == 4
        for name, count in (("one", 2), ("two", 2), ("all", 4)):
            own = [set(devices(part)) for part in tasks(one.read(name))]
            assert all(len(part) == count and part <= set(job) for part in own), (name, own, job)
        leases = {variables(one.read(name))["GPUALLOC_LEASE"] for name in ("batch", "one", "two")}
        assert len(leases) == 3, leases
        assert "5 GPUs asked for" in out and "ended 1" in out, out
        assert one.is_free("n1")


@case
def gpualloc_run_inside_a_job_shares_out_the_jobs_devices():
    with cluster(Node("n1")) as one:
        script = "{0} run -n 2 env; {0} run -n 3 true".format(os.environ["GPUALLOC"])
        result = one.ask("srun", "--gpualloc=2", "sh", "-c", "env; " + script)
        outer, inner = tasks(result.out)
        assert set(devices(outer)) == set(devices(inner)), result
        assert result.code == 78 and "3 GPUs asked for" in result.err, result


@case
def a_job_submitted_inside_a_lease_is_not_inside_it():
    with cluster(Node("n1")) as one:
        _, out = one.batch("--gpualloc=2", script=
                           "env; sbatch --wait -o {0}/later --gpualloc=4 --wrap env".format(one.where))
        assert len(devices(one.read("later"))) == 4, out
        assert not set(devices(one.read("later"))) & set(devices(out))


@case
def gpus_of_the_job_that_submits_are_not_the_new_jobs():
    with cluster(Node("n1")) as one:
        for name in ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS"):
            assert len(devices(one.ok("srun", "--gpualloc=2", "env", **{name: "0,1,2"}))) == 2
            said = one.ok("sbatch", "--parsable", "-o", one.path(name), "--gpualloc=3", "--wrap",
                          "env", **{name: "0,1"})
            one.wait_for_end(int(said))
            assert len(devices(one.read(name))) == 3 and "GPUALLOC_LEASE" in one.read(name)


@case
def a_lease_of_another_node_does_not_count_here():
    with cluster(Node("n1"), Node("n2", machine="dgx1-pascal")) as one:
        _, out = one.batch("-N2", "--gpualloc=8", script="srun -l env")
        for task in ("0: ", "1: "):
            lines = "\n".join(line[3:] for line in out.splitlines() if line.startswith(task))
            assert len(devices(lines)) == 8, out
        assert one.is_free("n1") and one.is_free("n2")


@case
def a_step_that_wants_no_devices_sees_none():
    with cluster(Node("n1")) as one:
        _, out = one.batch("--gpualloc=2", script="srun --gpualloc=0 env")
        found = variables(out)
        assert found == {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}, found
        assert one.is_free("n1")


@case
def a_job_without_the_option_is_left_alone():
    with cluster(Node("n1")) as one:
        found = variables(one.ok("srun", "env", CUDA_VISIBLE_DEVICES="7"))
        assert found == {"CUDA_VISIBLE_DEVICES": "7"}, found


@case
def a_lease_belongs_to_the_jobs_user():
    with two_people() as (ada, bob), \
            cluster(Node("n1"), plugstack="optional {plugin} wait=0\n") as one:
        job = one.hold("--gpualloc=2", person=ada).started()
        lease = one.leases("n1")["leases"][0]
        assert lease["user"] == ada.name and lease["pid"] == job.pid, lease
        assert os.stat(one.path("store-n1", "records", lease["id"])).st_uid == ada.uid
        other = one.ok("srun", "--gpualloc=6", "env", person=bob)
        assert not set(devices(other)) & set(job.devices)
        # Nobody else gets inside by naming it.
        for count, code in ((2, 0), (7, 1)):
            stolen = one.ask("srun", f"--gpualloc={count}", "env", person=bob,
                             GPUALLOC_SLURM_JOB=str(3 + code), GPUALLOC_LEASE=lease["id"])
            assert stolen.code == code, stolen
            assert code or not set(devices(stolen.out)) & set(job.devices), stolen
        assert job.end() == 0
        assert one.is_free("n1")


@case
def the_job_learns_what_plugstack_conf_names():
    with cluster(Node("n1", machine=None), plugstack="optional {plugin} machine=dgx2 "
                 "store={where}/store-n1 mode=lease\n") as one:
        out = one.ok("srun", "--gpualloc=16", "env")
        assert len(devices(out)) == 16
        assert "GPUALLOC_MACHINE=dgx2\n" in out
        assert f"GPUALLOC_STATE_DIR={one.path('store-n1')}\n" in out


@case
def a_plain_user_runs_everything():
    """auth/none, and daemons of a user other than root."""
    with plain_user() as person, cluster(Node("n1"), Node("n2"), person=person) as one:
        job = one.hold("-w", "n1", "-n2", "--gpualloc=3").started()
        assert one.leases("n1")["leases"][0]["user"] == person.name
        assert not one.leases("n2")["leases"]
        other = one.ok("srun", "-w", "n1", "--gpualloc=5", "env")
        assert not set(devices(other)) & set(job.devices)
        job.let_go()
        assert job.end() == 0
        result = one.ask("srun", "-w", "n1", "--gpualloc=9", "true")
        assert result.code == 1 and "this machine has 8" in result.err, result
        one.wait_for_node("n1")
        assert one.is_free("n1")


if __name__ == "__main__":
    main(AT_ONCE)
