# SPDX-License-Identifier: Apache-2.0
"""Lease mode: Slurm may count or not, gpualloc chooses and leases, and jobs and logged-in people
share one store."""
import json
import os
import threading

from cli import Skip, case, machine_file, main, ok
from cluster import AT_ONCE, PATIENCE, Node, cluster, use_munge, wait_until
from people import two_people

POLICIES = ("balanced", "bandwidth", "best-effort")
DEVICES = "printf %s $GPUALLOC_DEVICES"
# Before the first line it has the lease, after the last one it still does.
WITNESSED = "echo B $SLURM_JOB_ID $GPUALLOC_DEVICES >> {0}; head -c 500000 /dev/zero | cksum " \
            "> /dev/null; echo E $SLURM_JOB_ID $GPUALLOC_DEVICES >> {0}"


def overlaps(text):
    """Devices that two had at once, and how many had how many."""
    present, twice, grants = {}, [], []
    for line in text.splitlines():
        what, job, devices = line.split()
        for device in devices.split(","):
            if what == "B" and device in present:
                twice.append((device, present[device], job))
            if what == "B":
                present[device] = job
            else:
                present.pop(device, None)
        if what == "B":
            grants.append(len(devices.split(",")))
    return twice, grants


def run_at_once(one, sizes, counted):
    """That many sruns side by side; all must succeed, and no device may be given twice."""
    witness = one.write("witness", "")
    started = []
    for size in sizes:
        gres = [f"--gres=gpualloc:{size}"] if counted else []
        started.append(one.start_command("srun", "-w", "n1", *gres, f"--gpualloc={size}", "sh", "-c",
                                         WITNESSED.format(witness)))
    for srun in started:
        out, err = srun.communicate(timeout=60)
        assert srun.returncode == 0, f"{out!r} {err!r}\n{one.logs()}"
    twice, grants = overlaps(one.read("witness"))
    assert not twice, twice
    assert sorted(grants) == sorted(sizes), grants
    assert one.is_free("n1")


@case
def the_check_itself_notices_a_device_given_twice():
    assert overlaps("B 1 a,b\nB 2 b,c\nE 1 a,b\nE 2 b,c\n")[0] == [("b", "1", "2")]
    assert overlaps("B 1 a,b\nB 2 c\nE 1 a,b\nB 3 a\n") == ([], [2, 1, 1])


@case
def jobs_get_what_the_library_chooses():
    with cluster(Node("n1")) as one:
        for policy in POLICIES:
            for count in (1, 2, 3, 4):
                got = one.ok("srun", f"--gpualloc={count}:{policy}", "sh", "-c", DEVICES)
                pick = ok("pick", "--machine", "dgx1-volta", "-n", str(count), "-p", policy)
                assert sorted(got.split(",")) == sorted(pick.strip().split(",")), (policy, count)
        assert one.is_free("n1")


@case
def sixty_jobs_at_once_share_eight_devices():
    """Slurm starts them all, because it does not count devices here."""
    with cluster(Node("n1")) as one:
        run_at_once(one, [1 + i % 3 for i in range(60)], counted=False)


@case
def slurm_starts_counted_jobs_when_devices_are_free():
    with cluster(Node("n1")) as one:
        run_at_once(one, [4, 3, 2, 4, 3, 2], counted=True)


@case
def a_job_that_waits_says_so_and_for_whom():
    with cluster(Node("n1")) as one:
        first = one.hold("--gpualloc=7").started()
        second = one.hold("--gpualloc=2")
        wait_until("the second waits", lambda: one.leases("n1")["waiting"])
        assert len(one.leases("n1")["leases"]) == 1
        assert first.end() == 0
        second.started()
        assert len(second.devices) == 2
        assert second.end() == 0
        assert "waiting for devices, number 1 in the queue" in second.err, second.err


@case
def waiting_ends_at_its_limit():
    with cluster(Node("n1"), plugstack="optional {plugin} wait=1s\n") as one:
        first = one.hold("--gpualloc=8").started()
        late = one.ask("srun", "--gpualloc=1", "true")
        assert late.code == 1 and "waited 1 s without success" in late.err, late
        assert first.end() == 0
        one.wait_for_node("n1")


@case
def an_impossible_request_fails_only_the_job():
    with cluster(Node("n1")) as one:
        for tasks in ("1", "3"):
            result = one.ask("srun", "-n", tasks, "--gpualloc=9", "echo", "ran")
            assert result.code == 1 and result.out == "", result
            assert result.err.count("9 GPUs asked for, this machine has 8") == 1, result
        number, out = one.batch("--gpualloc=9", script="echo ran")
        assert "9 GPUs asked for" in out and "ran" not in out, out
        assert one.job(number)["JobState"] == "FAILED", one.job(number)
        assert one.job(number)["ExitCode"] == "1:0", one.job(number)
        for words in (["--gpualloc=1:random:1TiB"], ["--gpualloc=1,mig"]):
            assert one.ask("srun", *words, "true").code == 1
        one.wait_for_node("n1")


@case
def a_missing_store_fails_only_the_job():
    with cluster(Node("n1"), plugstack="optional {plugin} store={where}/nowhere\n") as one:
        result = one.ask("srun", "--gpualloc=1", "echo", "ran")
        assert result.code == 1 and result.out == "" and "nowhere" in result.err, result
        number, out = one.batch("--gpualloc=1", script="echo ran")
        assert one.job(number)["JobState"] == "FAILED" and "nowhere" in out, out
        assert one.ok("srun", "echo", "ran") == "ran\n"
        one.wait_for_node("n1")


@case
def logged_in_people_and_jobs_stay_off_each_others_devices():
    with cluster(Node("n1")) as one:
        job = one.hold("--job-name=training", "--gpualloc=2").started()
        lease = one.leases("n1")["leases"][0]
        assert lease["note"] == f"slurm job {job.number}.0 training", lease
        assert lease["command"].startswith("sh -c") and lease["pid"] == job.pid, lease
        assert lease["devices"] == job.devices, lease
        assert one.gpualloc("n1", "run", "-n", "7", "true").code == 75
        login = one.gpualloc("n1", "run", "-n", "6", "sh", "-c", DEVICES)
        assert login.code == 0 and not set(login.out.split(",")) & set(job.devices), login
        assert job.end() == 0
        with one.at_login("n1", 6) as taken:
            devices = one.ok("srun", "--gpualloc=2", "sh", "-c", DEVICES).split(",")
            assert len(devices) == 2 and not set(devices) & set(taken), (devices, taken)


@case
def each_node_has_its_own_store():
    with cluster(Node("n1"), Node("n2", machine="dgx1-pascal")) as one:
        job = one.hold("-N2", "-l", "--gpualloc=8")
        for name in ("n1", "n2"):
            wait_until("both nodes are leased", lambda name=name: one.leases(name)["leases"])
        job.let_go()
        assert job.end() == 0
        assert one.is_free("n1") and one.is_free("n2")


@case
def users_attested_by_munge_lease_under_their_own_names():
    if os.geteuid() != 0:
        raise Skip("only root can be two other users")
    with two_people() as (ada, bob), cluster(Node("n1"), prepare=use_munge) as one:
        jobs = [one.hold("--gpualloc=4", person=person).started() for person in (ada, bob)]
        shown = {lease["user"]: set(lease["devices"]) for lease in one.leases("n1")["leases"]}
        assert shown == {person.name: set(job.devices)
                         for person, job in zip((ada, bob), jobs)}, shown
        assert not shown[ada.name] & shown[bob.name], shown
        assert all(job.end() == 0 for job in jobs) and one.is_free("n1")


@case
def the_tasks_of_a_step_have_one_lease_and_no_other_descriptor():
    with cluster(Node("n1")) as one:
        out = one.ok("srun", "-n5", "--gpualloc=3", "sh", "-c",
                     "echo lease $GPUALLOC_LEASE $GPUALLOC_DEVICES; echo at $GPUALLOC_FD; "
                     "ls -l /proc/$$/fd")
        lines = out.splitlines()
        assert len({line for line in lines if line.startswith("lease")}) == 1, out
        links = [line.split()[-3:] for line in lines if " -> " in line]
        assert sorted(number for number, _, _ in links) == sorted(["0", "1", "2", "512"] * 5), out
        assert all(file.endswith("/ledger") == (number == "512") for number, _, file in links), out
        assert lines.count("at 512") == 5, out


@case
def a_share_and_an_instance_can_be_asked_for():
    with cluster(Node("n1"), Node("n2", machine="a100-mig")) as one:
        first = one.hold("-w", "n1", "--gpualloc=1::6GiB,share").started()
        second = one.hold("-w", "n1", "--gpualloc=1::6GiB,share").started()
        assert first.devices == second.devices, "pack puts both on one"
        memory = one.ok("srun", "-w", "n1", "--gpualloc=1:spread:1GiB,share", "printenv",
                        "GPUALLOC_MEMORY")
        assert memory == f"{1 << 30}\n", memory
        out = one.ok("srun", "-w", "n2", "--gpualloc=1,mig=1g.5gb", "printenv",
                     "CUDA_VISIBLE_DEVICES")
        assert out.startswith("MIG-"), out
        assert first.end() == 0 and second.end() == 0


def tell_one_by_one(path, contents):
    """Every program that opens the path reads the next content: each time it is a new fifo."""
    for content in contents:
        with open(path, "w", encoding="utf-8") as fifo:
            os.mkfifo(path + ".next")
            os.rename(path + ".next", path)
            fifo.write(json.dumps(content))


@case
def a_real_machine_is_looked_at_again_until_the_last_users_have_gone():
    """As with gpualloc run: the driver may go on showing processes that Slurm has ended."""
    with open(machine_file("lab.json"), encoding="utf-8") as file:
        free = json.load(file)
    busy = json.loads(json.dumps(free))
    for device in busy["devices"]:
        device["processes"] = [{"pid": 1, "type": "C", "memory": 1 << 30, "name": "ending"}]

    def prepare(one):
        os.mkfifo(one.path("machine"))
        one.nodes["n1"].env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"],
                               "FAKE_MACHINE": one.path("machine")}

    with cluster(Node("n1", machine="nvml"), prepare=prepare) as one:
        looks = threading.Thread(target=tell_one_by_one, daemon=True,
                                 args=(one.path("machine"), [free, busy, busy, free]))
        looks.start()
        devices = one.ok("srun", "--gpualloc=1", "printenv", "GPUALLOC_DEVICES").split()
        looks.join(timeout=PATIENCE)
        assert not looks.is_alive(), "it looked less often"
        assert devices[0].startswith("GPU-"), devices


if __name__ == "__main__":
    main(AT_ONCE)
