#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who is next: the order of the queue, who is passed over, and what delays nobody."""
import os
import pathlib
import select
import signal
import subprocess
import sys

import cli
from cli import GPUALLOC, case, in_time, main
from leasing import PATIENCE, line_of, store
from waiting import describe, fake_driver, waiters


@case
def the_queue_keeps_the_order_of_arrival():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "8")
        names = [f"w{number}" for number in range(12)]
        for name in names:
            some.start(name, "--only", "3")
        assert some.queue() == [some.children[name].pid for name in names]
        holder.end()
        some.end()
        assert some.order() == names, some.order()
        assert one.is_free()


@case
def a_large_request_is_served_among_streams_of_small_ones():
    with store() as one, waiters(one) as some:
        small = [one.hold("-n", "1") for _ in range(8)]
        some.start("large", "-n", "8")
        # Two later ones follow each small one that ends: none of them passes.
        for number, holder in enumerate(small):
            some.start(f"s{number}", "-n", "1", is_queued=False)
            one.refused(75, "-n", "1", "true")
            assert some.order() == [], some.order()
            holder.end()
        some.end()
        assert some.order()[0] == "large" and len(some.order()) == 9, some.order()
        assert one.is_free()


@case
def two_orders_of_the_same_devices_do_not_deadlock():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "8")
        for number in range(20):
            only = ["0,1", "1,0", "1,2", "2,0"][number % 4]
            some.start(f"w{number}", "-n", "2", "--only", only, is_queued=False)
        holder.end()
        some.end()
        assert len(some.order()) == 20 and one.is_free()


@case
def a_stopped_waiter_is_passed_over_and_keeps_its_place():
    with store() as one, waiters(one) as some:
        holder = one.hold("-n", "8")
        first = some.start("stopped", "-n", "8")
        first.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, first.pid, os.WSTOPPED)
        second = some.start("second", "-n", "8", hold=True)
        some.start("third", "-n", "8")
        holder.end()
        assert line_of(second) == "had\n"  # while the first is still stopped
        first.send_signal(signal.SIGCONT)
        assert some.queue()[0] == first.pid
        second.communicate()
        some.end()
        assert some.order() == ["second", "stopped", "third"], some.order()


# ---- what the driver shows ----

@case
def a_waiter_goes_on_when_a_stranger_leaves():
    with store() as one, waiters(one) as some:
        path, env = fake_driver(one)
        stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        try:
            describe(path, [stranger.pid])
            one.refused(75, "-n", "2", "true", env=env, says=[str(stranger.pid)])
            some.start("waits", "-n", "2", env=env)
            one.ok("-n", "1", "--only", "1", "true", env=env)  # nothing is kept for it
            describe(path, [])
        finally:
            stranger.communicate()
        some.end()
        one.ok("-n", "2", "true", env=env)


@case
def a_driver_that_hangs_is_given_up_at_the_deadline():
    with store() as one:
        _, env = fake_driver(one)
        says = one.refused(69, "--deadline", "300ms", "true", env={"FAKE_HANG": "init", **env})
        assert "did not answer within 0.3 s" in says, says
        assert one.leases()["leases"] == [] and one.leases()["waiting"] == []
        hangs = {"FAKE_HANG": "0", **env}

        def hung_gpu_is_not_leased(deadline):
            says = one.refused(78, "--deadline", deadline, "--only", "0", "true", env=hangs)
            assert f"does not answer: NVML was silent for {deadline[:-1]} s" in says, says

        in_time(hung_gpu_is_not_leased, "1s", "4s", "16s")
        assert one.leases()["leases"] == [] and one.leases()["waiting"] == []
        in_time(lambda deadline: one.ok("--deadline", deadline, "true", env=hangs), "1s", "4s", "16s")  # the others are


@case
def a_driver_that_hangs_holds_up_nobody_else():
    with store() as one:
        _, env = fake_driver(one)
        for where in ("0", "init"):
            hangs = subprocess.Popen(
                [GPUALLOC, "run", "--machine", "nvml", "--deadline", "10m", "true"],
                env=one.environment(FAKE_HANG=where, **env), stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            try:
                children = f"/proc/{hangs.pid}/task/{hangs.pid}/children"
                while not (asks := pathlib.Path(children).read_text("ascii").split()):  # the driver
                    assert hangs.poll() is None, hangs.communicate()
                end = os.pidfd_open(int(asks[0]))
                cli.ok("run", "--machine", "dgx1-volta", "-n", "8", "true",
                       env={"GPUALLOC_STATE_DIR": one.path})
                assert hangs.poll() is None, hangs.communicate()
            finally:
                hangs.kill()
                hangs.communicate()
            assert select.select([end], [], [], PATIENCE)[0], "who asked the driver lives on"
            os.close(end)


# ---- holders of every kind, as docs/LEASES.md says ----

CLOSES = [sys.executable, "-c", "import os, sys; os.closerange(3, 4096); print('closed', "
          "flush=True); sys.stdin.read()"]


@case
def closing_every_descriptor_ends_the_lease_unless_supervised():
    with store() as one:
        loses = one.hold("-n", "8", command=CLOSES)
        assert loses.said == "closed"
        one.ok("-n", "8", "true")
        assert loses.end() == 0
        keeps = one.hold("-n", "8", "--supervise", command=CLOSES)
        one.refused(75, "true")
        assert keeps.end() == 0 and one.is_free()


DAEMON = [sys.executable, "-c", """
import os, sys
gate, closes = sys.argv[1:]
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    if closes == "closes":
        os.closerange(3, 4096)
    for fd in (0, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    print("daemon", flush=True)
    os.dup2(0, 1)
    with open(gate) as file:
        file.read()
    os._exit(0)
os.wait()
"""]


@case
def a_daemon_keeps_the_lease_until_it_ends():
    for extra, closes, is_held in (([], "keeps", True), ([], "closes", False),
                                   (["--supervise"], "closes", True)):
        with store() as one:
            gate = os.path.join(one.where, "gate")
            os.mkfifo(gate)
            holder = one.hold("-n", "8", *extra, command=[*DAEMON, gate, closes])
            assert holder.said == "daemon"
            if not extra:
                assert holder.end() == 0
            code = one.run("-n", "8", "true").code
            with open(gate, "w", encoding="utf-8"):
                pass
            assert code == (75 if is_held else 0), (extra, closes, code)
            one.ok("--wait=60s", "-n", "8", "true")
            holder.end()


@case
def a_stopped_holder_holds():
    with store() as one:
        for extra in ([], ["--supervise"]):
            holder = one.hold("-n", "8", *extra)
            holder.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, holder.process.pid, os.WSTOPPED | os.WNOWAIT)
            one.refused(75, "true")
            holder.process.send_signal(signal.SIGCONT)
            assert holder.end() == 0 and one.is_free()


main()
