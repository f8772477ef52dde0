# SPDX-License-Identifier: Apache-2.0
"""How jobs end: devices become free when no process holds them any more, and not before."""
import contextlib
import os
import signal
import subprocess

from cli import case, main
from cluster import AT_ONCE, Node, cluster, wait_until

# Cut loose from the step, as daemons do it; it tells its number and lives until it is told to end.
ESCAPE = "setsid sh -c 'echo $$ > {0}/escaped; exec sleep 1000' < /dev/null > /dev/null 2>&1 & "


def number_in(one, name):
    """The contents of a file, as soon as somebody has written it."""
    def read():
        with contextlib.suppress(OSError, ValueError):
            return int(one.read(name))
        return None
    return wait_until(f"{name} is written", read)


def parent(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("PPid:"))


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def kill_and_wait(pid):
    """A pidfd is readable when its process has ended; by then its descriptors are closed."""
    handle = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(f"{pid} is gone", lambda: not is_there(pid))
    os.close(handle)


def next_gets(one, count):
    return one.ok("srun", f"--gpualloc={count}", "printenv", "GPUALLOC_DEVICES").strip().split(",")


def holds(one, job):
    """Nobody else gets the job's devices: neither by logging in nor as the next job."""
    left = 8 - len(job.devices)
    assert one.gpualloc("n1", "run", "-n", str(left + 1), "true").code == 75
    assert not set(next_gets(one, left)) & set(job.devices)


def is_free_and_idle(one):
    one.wait_for_node("n1")
    assert one.is_free("n1"), one.leases("n1")
    assert len(next_gets(one, 8)) == 8


@case
def the_normal_end():
    with cluster(Node("n1")) as one:
        job = one.hold("--gpualloc=2").started()
        holds(one, job)
        assert job.end() == 0
        is_free_and_idle(one)


@case
def cancelled():
    with cluster(Node("n1")) as one:
        job = one.hold("--gpualloc=2").started()
        one.ok("scancel", str(job.number))
        assert job.end(let_go=False) != 0
        is_free_and_idle(one)


@case
def cancelled_while_it_waits_for_devices():
    """Slurm gives up a node whose slurmstepd it cannot end; here the task does the waiting."""
    with cluster(Node("n1")) as one:
        first = one.hold("--gpualloc=8").started()
        job = one.hold("--gpualloc=1", "-n3")
        waits = wait_until("it waits", lambda: one.leases("n1")["waiting"])
        assert len(waits) == 1, waits
        number = one.ok("squeue", "-h", "-o", "%i", "--sort=-i").split()[0]
        one.ok("scancel", number)
        assert job.end(let_go=False) == 143, "Slurm's TERM ended it, and nothing stronger"
        assert not one.leases("n1")["waiting"]
        assert one.wait_for_end(number)["JobState"] == "CANCELLED"
        assert first.end() == 0
        is_free_and_idle(one)


@case
def it_ignores_TERM():
    with cluster(Node("n1")) as one:
        job = one.hold("--gpualloc=2", script="trap '' TERM INT;").started()
        one.ok("scancel", str(job.number))
        job.end(let_go=False)
        one.wait_for_node("n1")
        assert one.job(job.number)["JobState"] == "CANCELLED"
        assert not is_there(job.pid)
        is_free_and_idle(one)


@case
def its_task_is_killed():
    with cluster(Node("n1")) as one:
        job = one.hold("--gpualloc=2").started()
        os.kill(job.pid, signal.SIGKILL)
        assert job.end(let_go=False) == 137
        is_free_and_idle(one)


@case
def slurmstepd_is_killed():
    """Slurm frees the job's devices although its task lives on; the lease belongs to the task."""
    with cluster(Node("n1")) as one:
        job = one.hold("--gpualloc=2").started()
        os.kill(parent(job.pid), signal.SIGKILL)
        one.ok("scancel", str(job.number))
        job.end(let_go=False)
        one.wait_for_node("n1")
        assert is_there(job.pid)
        holds(one, job)
        later = one.hold("--gpualloc=7")
        wait_until("seven have to wait", lambda: one.leases("n1")["waiting"])
        kill_and_wait(job.pid)
        assert len(later.started().devices) == 7
        assert later.end() == 0
        is_free_and_idle(one)


@case
def slurmd_is_killed_and_comes_back():
    with cluster(Node("n1")) as one:
        job = one.hold("--gpualloc=2").started()
        one.nodes["n1"].daemon.kill()
        one.nodes["n1"].daemon.wait()
        assert one.leases("n1")["leases"][0]["pid"] == job.pid
        one.start_node("n1")
        wait_until("it starts jobs again", lambda: one.ask("srun", "true").code == 0)
        holds(one, job)
        assert job.end() == 0
        is_free_and_idle(one)


@case
def a_child_escapes():
    with cluster(Node("n1")) as one:
        job = one.hold("--gpualloc=2", script=ESCAPE.format(one.where)).started()
        child = number_in(one, "escaped")
        assert job.end() == 0
        one.wait_for_node("n1")
        assert is_there(child) and not is_there(job.pid)
        holds(one, job)
        kill_and_wait(child)
        is_free_and_idle(one)


@case
def the_task_closes_the_descriptor():
    """slurmstepd holds the lease too, as long as the step lasts."""
    with cluster(Node("n1")) as one:
        close = "exec bash -c \"exec {GPUALLOC_FD}>&-; read line\" < "
        job = one.hold("--gpualloc=2", script=close + one.path("fifo-0") + ";").started()
        wait_until("the task has closed it",
                   lambda: "512" not in os.listdir(f"/proc/{job.pid}/fd"))
        holds(one, job)
        assert job.end() == 0
        is_free_and_idle(one)


@case
def the_first_task_ends_before_the_others():
    with cluster(Node("n1")) as one:
        job = one.hold("-n3", "--gpualloc=2", script="[ $SLURM_LOCALID = 0 ] && exit;").started()
        holds(one, job)
        for _ in range(2):
            job.let_go()
        assert job.end(let_go=False) == 0
        is_free_and_idle(one)


@case
def the_first_task_is_killed_while_all_wait():
    with cluster(Node("n1")) as one:
        first = one.hold("--gpualloc=8").started()
        job = one.hold("-n3", "--gpualloc=1")
        pid = wait_until("it waits", lambda: one.leases("n1")["waiting"])[0]["pid"]
        os.kill(pid, signal.SIGKILL)
        assert job.end(let_go=False) != 0
        assert not one.leases("n1")["waiting"]
        assert first.end() == 0
        is_free_and_idle(one)


@case
def nothing_of_a_cluster_is_left_behind():
    with cluster(Node("n1"), Node("n2")) as one:
        job = one.hold("-w", "n2", "--gpualloc=2", script=ESCAPE.format(one.where)).started()
        pids = [number_in(one, "escaped"), job.pid, *(daemon.pid for daemon in one.daemons)]
        where = one.where
    assert not any(map(is_there, pids))
    assert not os.path.exists(where)
    listing = subprocess.run(["find", "/sys/fs/cgroup", "-name", "slurm_n[12]"], capture_output=True,
                             text=True, check=False).stdout
    assert listing == "", listing


if __name__ == "__main__":
    main(AT_ONCE)
