#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup --fence: who has no lease cannot open a GPU. Runs as root in a virtual machine (vm.py), for
it takes a kernel that loads the fence, and makes nodes, mounts and users."""
import contextlib
import errno
import fcntl
import json
import os
import random
import shutil
import subprocess
import time

import behind
from behind import (ANN, BOB, CAPS_MAJOR, EVE, FOLDER, FREE, FULL, LEDGER, LEVEL, MACHINE, MIG, MONITORING,
                    NODES, PERM, PINS, STAGE, WATCHER, ZERO, behind as standing, cap, check, command,
                    configure, down, inside, lease, node, nothing, only, opened, region, settings,
                    somebody, start, up, uuids)
from cli import GPUALLOC, case
from puppet import Refused

CGROUPS = "/sys/fs/cgroup"
PODS = CGROUPS + "/pods.slice"


def refused_with(number, function, *words):
    try:
        function(*words)
    except Refused as error:
        assert error.number == number, f"errno {error.number}, not {number}: {error}"
        return
    raise AssertionError(f"{words} was not refused")


# ---- without a lease ----

@standing
def who_has_no_lease_opens_no_gpu():
    ann = somebody()
    nothing(ann)
    assert opened(ann, [FULL, ZERO]) == []
    node(FOLDER + "/elsewhere/gpu", 195, 3)
    assert ann.look(FOLDER + "/elsewhere/gpu") == [PERM]
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", FOLDER + "/elsewhere"], check=True)
    node(FOLDER + "/elsewhere/gpu", 195, 4)
    os.chmod(FOLDER + "/elsewhere", 0o755)
    assert ann.look(FOLDER + "/elsewhere/gpu") == [PERM]
    subprocess.run(["umount", FOLDER + "/elsewhere"], check=True)


@standing
def nor_does_root_of_a_user_namespace():
    ann = somebody()
    ann.own_users(ANN, ANN)
    nothing(ann)
    ann.bind("/dev/nvidia2", "/tmp/bound")
    assert ann.look("/tmp/bound") == [PERM]
    os.unlink("/tmp/bound")
    root = somebody(0)
    only(root, *range(8))
    root.own_users(0, 0)
    nothing(root)


@standing
def what_is_not_listed_is_never_refused():
    ann = somebody()
    node(FOLDER + "/null", 1, 3)
    node(FOLDER + "/last", 195, 254)
    node(FOLDER + "/other", CAPS_MAJOR + 1, 3)
    assert ann.look("/dev/null", FOLDER + "/null", "/dev/urandom") == [0, 0, 0]
    assert ann.look("/dev/nvidiactl", FOLDER + "/last", FOLDER + "/other") == [FREE] * 3
    assert ann.look(FOLDER + "/missing", FOLDER, "/etc/passwd") == \
        [errno.ENOENT, errno.EISDIR, errno.EACCES]


# ---- with one ----

@standing
def a_lease_opens_its_gpus_and_no_other():
    only(lease(3), 3)
    only(lease(1, 6, uid=BOB), 1, 6)
    nothing(somebody(ANN))


@standing
def and_what_else_belongs_to_them():
    assert opened(lease(0), [FULL, ZERO]) == [FULL]
    assert opened(lease(1, uid=BOB), [FULL, ZERO]) == [ZERO]


@standing
def two_shares_of_a_gpu_both_open_it():
    one = lease(2, words=["-m", "2GiB", "--share"])
    two = lease(2, uid=BOB, words=["-m", "2GiB", "--share"])
    only(one, 2)
    only(two, 2)
    two.leave()
    only(one, 2)


@standing
def its_children_open_them_too():
    ann = lease(5)
    child = ann.child()
    only(child, 5)
    child.setsid()
    only(child, 5)
    only(child.child(), 5)


@standing
def a_child_that_closed_the_descriptor_does_as_long_as_the_lease_lives():
    ann = lease(5)
    child = ann.child()
    child.close(int(child.variable("GPUALLOC_FD")))
    only(child, 5)
    grandchild = child.child()
    only(grandchild, 5)
    again = grandchild.reborn()
    only(again, 5)
    ann.kill()
    nothing(again)
    nothing(child)


@standing
def threads_that_were_there_before_the_lock_do():
    ann = somebody()
    fd = ann.keep(LEDGER)
    thread = ann.second_thread()
    nothing(thread)
    ann.lock(fd, region(uuids()[4]), LEVEL)
    only(ann, 4)
    only(thread, 4)
    later = thread.second_thread()
    only(later, 4)


@standing
def a_thread_that_becomes_a_program_keeps_the_right():
    ann = lease(5)
    child = ann.child()
    child.close(int(child.variable("GPUALLOC_FD")))
    thread = child.second_thread()
    assert thread.tid != thread.pid
    program = thread.reborn()
    assert program.tid == program.pid == child.pid
    only(program, 5)
    ann.kill()
    nothing(program)


@case
def what_was_open_before_the_fence_counts_when_it_is_locked():
    try:
        down()
        ann = somebody()
        fd = ann.keep(LEDGER)
        child = ann.child()
        up()
        nothing(ann)
        ann.lock(fd, region(uuids()[4]), LEVEL)
        only(ann, 4)
        only(child, 4)
        ann.close(fd)
        only(ann, 4)
        child.kill()
        nothing(ann)
    finally:
        STAGE.clear()


@case
def a_lease_of_before_the_fence_goes_on():
    try:
        down()
        ann = lease(2, 3)
        child = ann.child()
        up()
        only(ann, 2, 3)
        only(child, 2, 3)
        only(child.reborn(), 2, 3)
    finally:
        STAGE.clear()


# ---- its end ----

@standing
def the_right_ends_when_the_descriptor_is_closed_everywhere():
    ann = lease(5)
    only(ann, 5)
    ann.close(int(ann.variable("GPUALLOC_FD")))
    nothing(ann)
    only(lease(5, uid=BOB), 5)
    nothing(ann)


@standing
def and_with_a_kill_for_those_who_have_closed_theirs():
    ann = lease(5)
    child = ann.child()
    other = ann.child()
    child.close(int(child.variable("GPUALLOC_FD")))
    ann.kill()
    only(child, 5)  # the other one still has the lease
    other.kill()
    nothing(child)


@standing
def and_with_a_release_though_all_live():
    ann = somebody()
    fd = ann.keep(LEDGER)
    ann.lock(fd, region(uuids()[4]), LEVEL)
    only(ann, 4)
    ann.lock(fd, region(uuids()[4]), LEVEL, fcntl.F_UNLCK)
    nothing(ann)
    ann.lock(fd, region(uuids()[6]), LEVEL)
    only(ann, 6)


# ---- other ways to a lease ----

def held(uid, gpu):
    """The id of a lease that a keeper has."""
    done = subprocess.run([GPUALLOC, "hold", "--only", str(gpu), "-n", "1", "--for", "1h"],
                          env=settings(), user=uid, group=uid, extra_groups=[], check=True, cwd="/",
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout.strip()


@standing
def a_hold_serves_who_runs_in_it_from_elsewhere():
    name = held(ANN, 6)
    nothing(somebody(ANN))
    ann, other = [start(["run", "-q", "--in", name]) for _ in range(2)]
    only(ann, 6)
    only(other, 6)
    subprocess.run([GPUALLOC, "release", name], env=settings(), user=ANN, group=ANN, extra_groups=[],
                   cwd="/", check=True, capture_output=True)
    # What still runs in it keeps it.
    only(other, 6)
    ann.close(int(ann.variable("GPUALLOC_FD")))
    only(ann, 6)
    other.kill()
    nothing(ann)


@standing
def a_crew_whose_place_was_opened_before_is_let_in_by_whoever_locks():
    """As tasks of Slurm's: slurmstepd opens a place and forks them, and one of them leases."""
    ann = somebody()
    fd = ann.place()
    crew = [ann.child() for _ in range(3)]
    nothing(crew[0])
    gpus = crew[1].acquire(fd, MACHINE, 2)
    for one in (ann, *crew):
        only(one, *sorted(gpus))
    crew[1].kill()
    only(crew[0], *sorted(gpus))


@standing
def leases_within_leases_narrow():
    ann = lease(1, 2, 5)
    inner = inside(ann, "--only", "2", "-n", "1")
    only(inner, 2)
    only(ann, 1, 2, 5)
    deeper = inside(inner, "-n", "1")
    only(deeper, 2)
    deeper.leave()
    inner.leave()
    only(ann, 1, 2, 5)
    # A process that has both has the inner one's rights, until that ends.
    fd = ann.keep(LEDGER)
    ann.lock(fd, region(uuids()[5]) + LEVEL, LEVEL)
    only(ann, 5)
    ann.close(fd)
    only(ann, 1, 2, 5)


@standing
def a_share_within_a_lease_opens_its_gpu():
    ann = lease(1, 2)
    only(inside(ann, "--only", "1", "-m", "1GiB", "--share"), 1)


@standing
def what_the_jobs_own_fence_hides_stays_hidden():
    ann = lease(2, 3, words=["--fence"])
    answers = ann.look(*NODES)
    assert [i for i, answer in enumerate(answers) if answer == FREE] == [2, 3], answers
    ann.close(int(ann.variable("GPUALLOC_FD")))
    assert FREE not in ann.look(*NODES)


@standing
def a_lock_by_hand_is_a_right_but_a_lock_for_reading_is_none():
    ann, bob = somebody(ANN), somebody(BOB)
    fd, other = ann.keep(LEDGER), bob.keep(LEDGER)
    bob.lock(other, region(uuids()[3]), LEVEL, fcntl.F_RDLCK)
    nothing(bob)
    ann.lock(fd, region(uuids()[4]) + 5, 1)
    only(ann, 4)
    # Neither do bytes elsewhere: ids, tickets, a GPU that is not of this machine.
    bob.lock(other, (1 << 62) + 77, 1)
    bob.lock(other, region("GPU-not-of-this-machine"), LEVEL)
    nothing(bob)


# ---- descriptors that are handed over ----

def hand_over(giver, fd, taker, name):
    """What arrives."""
    taker.listen(name)
    giver.connect(name)
    taker.accept(name)
    giver.send(name, fd)
    return taker.receive(name)


@standing
def the_ledgers_descriptor_gives_the_right_to_who_is_sent_it():
    ann, bob = lease(5), somebody(BOB)
    nothing(bob)
    fds = hand_over(ann, int(ann.variable("GPUALLOC_FD")), bob, "ledger")
    assert len(fds) == 1, fds
    only(bob, 5)
    bob.close(*fds)
    only(bob, 5)
    ann.kill()
    nothing(bob)


@standing
def or_who_takes_it():
    ann, other = lease(5), somebody(ANN)
    fd = other.take(ann.pid, int(ann.variable("GPUALLOC_FD")))
    only(other, 5)
    ann.kill()
    only(other, 5)
    other.close(fd)
    nothing(other)


@standing
def a_gpus_descriptor_is_not_delivered_to_who_could_not_open_it():
    ann = lease(0, words=["-m", "2GiB", "--share"])
    fd = ann.keep(FULL)
    assert hand_over(ann, fd, somebody(BOB), "nobody") == []
    assert hand_over(ann, fd, lease(1, uid=BOB), "another") == []
    assert len(hand_over(ann, fd, lease(0, uid=EVE, words=["-m", "2GiB", "--share"]), "same")) == 1
    assert len(hand_over(ann, fd, ann.child(), "child")) == 1
    assert len(hand_over(ann, fd, somebody(0), "root")) == 1
    assert len(hand_over(ann, ann.keep("/dev/null"), somebody(BOB), "null")) == 1


@standing
def nor_can_it_be_taken():
    ann, other = lease(0), somebody(ANN)
    fd = ann.keep(FULL)
    refused_with(PERM, other.take, ann.pid, fd)
    assert other.take(ann.pid, ann.keep("/dev/null")) > 0


@standing
def descriptions_that_others_push_over_cost_nobody_a_right():
    ann, eve = lease(5), somebody(EVE)
    child = ann.child()
    child.close(int(child.variable("GPUALLOC_FD")))
    child.listen("pushed")
    eve.connect("pushed")
    child.accept("pushed")
    ids = 1 << 62
    for i in range(200):
        fd = eve.keep(LEDGER)
        eve.lock(fd, ids + 1000 + i, 1)
        eve.send("pushed", fd)
        eve.close(fd)
        assert len(child.receive("pushed")) == 1
    only(child, 5)


@standing
def nor_if_it_opens_more_itself():
    ann, eve = lease(5), somebody(EVE)
    child = ann.child()
    child.close(int(child.variable("GPUALLOC_FD")))
    child.listen("more")
    eve.connect("more")
    child.accept("more")
    for _ in range(70):
        eve.send("more", eve.keep(LEDGER))
        assert len(child.receive("more")) == 1
        child.close(child.keep(LEDGER))
    only(child, 5)


@standing
def nor_do_those_with_deeper_locks():
    ann, eve = lease(5), somebody(EVE)
    ann.listen("deeper")
    eve.connect("deeper")
    ann.accept("deeper")
    fd = eve.keep(LEDGER)
    eve.lock(fd, region("GPU-not-of-this-machine") + 7 * LEVEL, LEVEL)
    eve.send("deeper", fd)
    assert len(ann.receive("deeper")) == 1
    only(ann, 5)


@standing
def many_descriptions_of_ones_own_do_not_either():
    ann = lease(5)
    ann.close(*[ann.keep(LEDGER) for _ in range(300)])
    only(ann, 5)
    fds = [ann.keep(LEDGER) for _ in range(100)]
    only(ann, 5)
    ann.close(*fds)
    only(ann, 5)


@standing
def whose_table_of_descriptors_is_long_keeps_the_right():
    ann = somebody()
    first = ann.keep("/dev/null")
    fds = [ann.keep("/dev/null") for _ in range(900)]
    fd = ann.keep(LEDGER)
    assert fd > first + 800
    ann.lock(fd, region(uuids()[4]), LEVEL)
    only(ann, 4)
    ann.close(*fds)
    only(ann, 4)


@standing
def descriptions_that_came_and_went_leave_nothing():
    """Nor do they take the place of one that a process no longer has, and that others keep alive."""
    ann = lease(5)
    child = ann.child()
    child.close(int(child.variable("GPUALLOC_FD")))
    for _ in range(20):
        child.close(*[child.keep(LEDGER) for _ in range(20)])
        # What comes next lies elsewhere in the kernel's memory.
        for _ in range(20):
            child.keep("/dev/null")
    only(child, 5)


# ---- MIG ----

def on_mig(function):
    """A case on the machine with MIG instances."""
    def whole():
        up(machine=MIG)
        try:
            function()
        finally:
            STAGE.clear()
    whole.__name__ = function.__name__
    return case(whole)


INSTANCES = [3, 5, 9, 10, 13]
PLACES = [cap(1, gi) for gi in range(15)] + [cap(1, gi, ci) for gi in range(15) for ci in (0, 1)]


def instance(gi, uid=ANN, words=()):
    return start(["run", "-q", "--mig", "--only", f"1:{gi}", "-n", "1", *words], uid, MIG)


def only_instances(puppet, *gis):
    expected = sorted(path for gi in gis for path in (cap(1, gi), cap(1, gi, 0)))
    found = sorted(opened(puppet, PLACES))
    assert found == expected, f"expected {expected}, can open {found}"
    assert opened(puppet, NODES[:2]) == ([NODES[1]] if gis else [])


@on_mig
def an_instance_opens_its_gpu_and_its_own_two_capabilities():
    only_instances(somebody())
    ann, bob = instance(9), instance(10, BOB)
    only_instances(ann, 9)
    only_instances(bob, 10)
    ann.kill()
    only_instances(bob, 10)


@on_mig
def several_instances_open_theirs_and_within_them_fewer():
    ann = start(["run", "-q", "--mig", "--only", "1:3,1:5", "-n", "2"], ANN, MIG)
    only_instances(ann, 3, 5)
    inner = inside(ann, "--mig", "--only", "1:5", "-n", "1")
    only_instances(inner, 5)
    inner.leave()
    only_instances(ann, 3, 5)


@on_mig
def a_share_of_an_instance_opens_it():
    only_instances(instance(13, words=["-m", "1GiB", "--share"]), 13)


@on_mig
def a_whole_gpu_beside_instances_opens_only_itself():
    ann = start(["run", "-q", "--only", "0", "-n", "1"], ANN, MIG)
    assert opened(ann, PLACES) == [] and opened(ann, NODES[:2]) == [NODES[0]]


# ---- who needs no lease ----

@standing
def exempt_are_users_groups_and_root():
    watcher, member = somebody(WATCHER), somebody(EVE, groups=[MONITORING])
    nothing(watcher)
    nothing(member)
    configure(f"fence-exempt = user {WATCHER}", f"fence-exempt = group {MONITORING}")
    try:
        up()
        only(watcher, *range(8))
        only(member, *range(8))
        only(somebody(EVE, gid=MONITORING), *range(8))
        only(somebody(0), *range(8))
        nothing(somebody(ANN))
        # Root without its capabilities is a user; uid 0 that is not of the first namespace is nobody.
        root = somebody(0)
        root.own_users(0, 0)
        nothing(root)
    finally:
        configure()
        up()
    nothing(watcher)
    nothing(member)


@standing
def exempt_is_a_control_group_for_what_is_leased():
    os.makedirs(PODS + "/pod1/container")
    configure("fence-exempt = cgroup /pods.slice")
    try:
        up()
        pod = somebody(0)
        pod.enter_cgroup(PODS + "/pod1/container")
        pod.become(ANN, ANN, [])
        nothing(pod)
        holder = lease(5, uid=BOB)
        only(pod, 5)
        nothing(somebody(ANN))
        own = pod.child()
        own.own_users(ANN, ANN)
        only(own, 5)
        holder.kill()
        nothing(pod)
    finally:
        configure()
        up()
        STAGE.clear()
        for path in (PODS + "/pod1/container", PODS + "/pod1", PODS):
            os.rmdir(path)


@standing
def a_display_gpu_stays_open_unless_said_otherwise():
    with open(MACHINE, encoding="utf-8") as file:
        machine = json.load(file)
    machine["devices"][2]["display"] = True
    path = FOLDER + "/display.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(machine, file)
    try:
        said = up(machine=path)
        assert "display" in said, said
        ann = somebody()
        only(ann, 2)
        configure("fence-displays = yes")
        up(machine=path)
        nothing(ann)
    finally:
        configure()
        up()
    nothing(ann)


# ---- the administrator ----

@standing
def users_can_neither_see_nor_remove_it():
    for words in (["ls", PINS], ["rm", "-rf", PINS], ["rm", PINS + "/hooks/file_open"]):
        done = subprocess.run(words, user=ANN, group=ANN, extra_groups=[], capture_output=True, check=False)
        assert done.returncode != 0, done
    ann = somebody()
    nothing(ann)
    for words in (["setup", "--fence"], ["setup", "--fence", "--remove"], ["setup", "--fence", "--check"]):
        done = subprocess.run([GPUALLOC, *words], env=settings(), user=ANN, group=ANN, extra_groups=[],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 77 and not done.stdout, done
    nothing(ann)


def loops_during(*events):
    """While each of these happens, who has a lease is never refused, and who has none never let in."""
    ann, bob = lease(5), somebody(BOB)
    child = ann.child()
    child.close(int(child.variable("GPUALLOC_FD")))
    loops = ((ann, NODES[5]), (ann, NODES[4]), (child, NODES[5]), (bob, NODES[5]), (bob, NODES[0]))
    for puppet, path in loops:
        puppet.loop(path)
    for event in events:
        before = [puppet.count(path) for puppet, path in loops]
        event()
        for (puppet, path), count in zip(loops, before):
            while puppet.count(path) < count + 5:
                pass
    for puppet, path in loops:
        counts = puppet.stop(path)
        expected = FREE if path == NODES[5] and puppet is not bob else PERM
        assert list(counts) == [str(expected)] and counts[str(expected)] >= 10, (path, counts)


@standing
def a_renewal_has_no_moment_without_a_fence():
    loops_during(up, up)


@standing
def nor_has_one_that_takes_the_place_of_another():
    """What goes on where a part is missing, or the programs are of another release."""
    def lose_a_part():
        os.unlink(os.path.join(behind.HOOKS, "bprm_check_security"))
    loops_during(lose_a_part, up)


@standing
def check_says_how_it_is():
    said = check()
    assert "stands" in said and "nvidia" in said, said
    document = json.loads(command("setup", "--fence", "--check", "--json"))
    fence = document["fence"]
    assert fence["stands"] is True and fence["kind"] in ("lsm", "functions"), document
    with open("/sys/kernel/security/lsm", encoding="utf-8") as file:
        assert (fence["kind"] == "lsm") == ("bpf" in file.read().strip().split(",")), fence
    numbers = {one["number"] for one in fence["nodes"]}
    assert {f"195:{i}" for i in range(8)} | {"1:7", "1:5"} <= numbers, numbers
    down()
    said = check(code=77)
    assert "no fence" in said, said


def hooks():
    return sorted(os.listdir(behind.HOOKS))


@standing
def it_is_gone_without_a_trace_when_it_is_removed():
    ann = somebody()
    nothing(ann)
    said = down()
    assert "gone" in said, said
    assert os.listdir("/sys/fs/bpf") == [], os.listdir("/sys/fs/bpf")
    only(ann, *range(8))
    assert "no fence" in down()
    up()
    nothing(ann)


@standing
def a_replaced_ledger_is_named_and_renewed():
    command("setup", "--remove", code=75)
    ann = lease(5)
    ann.kill()
    shutil.rmtree(behind.STORE)
    # As systemd-tmpfiles does, which knows nothing of the fence.
    subprocess.run([GPUALLOC, "setup"], env=settings(GPUALLOC_STATE_DIR=behind.STORE), check=True,
                   capture_output=True)
    said = check(code=77)
    assert "ledger" in said, said
    nothing(lease(5))
    STAGE.clear()
    up()
    check()
    only(lease(5), 5)
    STAGE.clear()
    # The command that makes the store sees to it by itself.
    shutil.rmtree(behind.STORE)
    command("setup")
    check()
    only(lease(5), 5)


@standing
def an_interrupted_setup_leaves_all_or_nothing():
    chance = random.Random(7)
    ann = lease(5)
    nobody = somebody(BOB)
    down()
    begin = time.monotonic()
    up()
    takes = time.monotonic() - begin
    for stands in (True, False) * 3:
        if not stands:
            down()
        process = subprocess.Popen([GPUALLOC, "setup", "--fence"], env=settings(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, takes))
        process.kill()
        process.wait()
        # Whatever it came to, the lease's own GPU is never refused.
        assert ann.look(NODES[5]) == [FREE]
        found = opened(nobody)
        assert found in ([], list(range(8))), found
        assert found == [] or not stands, "the fence that stood is down"
        up()
        check()
        nothing(nobody)
        only(ann, 5)
    down()
    assert os.listdir("/sys/fs/bpf") == []


# ---- whether these cases would notice ----

# By the hook that is taken away, a case that fails then.
NEEDS = {
    "file_open": who_has_no_lease_opens_no_gpu,
    "file_receive": a_gpus_descriptor_is_not_delivered_to_who_could_not_open_it,
    "file_lock": what_was_open_before_the_fence_counts_when_it_is_locked,
    "file_free": descriptions_that_came_and_went_leave_nothing,
    "task_alloc": a_child_that_closed_the_descriptor_does_as_long_as_the_lease_lives,
    "bprm_check_security": a_thread_that_becomes_a_program_keeps_the_right,
}


@standing
def each_hook_has_a_case_that_fails_without_it():
    assert hooks() == sorted(NEEDS), hooks()
    for hook, function in NEEDS.items():
        with behind.without(hook):
            try:
                function()
            except (AssertionError, Refused) as error:
                print(f"# without {hook}: {str(error).splitlines()[0] if str(error) else error!r}")
            else:
                raise AssertionError(f"without {hook}, {function.__name__} succeeds")
            assert hook in check(code=77)


if __name__ == "__main__":
    behind.run()
