#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a lease lives and who sees it: every way in which its holders can end."""
import json
import os
import re
import signal
import subprocess
import sys

import cli
from cli import GPUALLOC, case, main
from leasing import PATIENCE, TIMES, Terminal, store
from waiting import waiters


def lines(path):
    """Reads a fifo to its end: until the last process that can write to it has gone."""
    with open(path, encoding="utf-8") as fifo:
        return fifo.read().splitlines()


@case
def the_second_comer_learns_who_was_first():
    with store() as one:
        first = one.hold("-n", "8", "--note", "a note")
        says = one.refused(75, "true", says=["lease"])
        assert str(first.process.pid) in says, says
        lease, = one.leases()["leases"]
        assert lease["pid"] == first.process.pid and lease["note"] == "a note", lease
        assert lease["command"].startswith("sh -c") and len(lease["devices"]) == 8, lease
        assert first.end() == 0 and one.is_free()


@case
def two_jobs_never_get_the_same_device():
    with store() as one:
        holders = [one.hold("-n", "2") for _ in range(4)]
        held = [int(word) for holder in holders for word in holder.said.split(",")]
        assert sorted(held) == list(range(8)), held
        one.refused(75, "true")
        holders[1].end()
        assert sorted(one.hold("-n", "2").said.split(",")) == sorted(holders[1].said.split(","))


@case
def a_killed_holder_holds_nothing():
    with store() as one:
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
            assert one.hold("-n", "8").kill(number) == -number
            assert one.is_free(), number


@case
def a_process_that_outlives_the_command_keeps_its_lease():
    with store() as one:
        gate = os.path.join(one.where, "gate")
        os.mkfifo(gate)
        holder = one.hold("-n", "8", command=["sh", "-c",
                                              f"echo started; cat {gate} >&2 & exec true"])
        holder.process.wait()
        one.refused(75, "true")
        with open(gate, "w", encoding="utf-8"):
            pass
        assert holder.process.stderr.read() == ""  # to the end of the last one
        one.ok("--wait=60s", "-n", "8", "true")


@case
def inside_a_lease_its_devices_are_shared_out():
    with store() as one:
        inner = f"{GPUALLOC} run -n 2 sh -c 'echo $CUDA_VISIBLE_DEVICES $GPUALLOC_LEASE'"
        outer = "echo $CUDA_VISIBLE_DEVICES $GPUALLOC_LEASE; "
        first, second = one.ok("-n", "2", "sh", "-c", outer + inner).splitlines()
        assert sorted(first.split()[0].split(",")) == sorted(second.split()[0].split(","))
        assert first.split()[1] != second.split()[1]
        result = one.run("-n", "2", "sh", "-c", f"{GPUALLOC} run -n 3 true")
        assert result.code in (75, 78), result
        assert one.is_free()


@case
def an_environment_alone_is_not_a_lease():
    with store() as one:
        stale = {"GPUALLOC_LEASE": "made-up", "GPUALLOC_FD": "1", "CUDA_VISIBLE_DEVICES": "2"}
        result = one.run("-n", "8", "true", env=stale)
        assert result.code == 0 and "GPUALLOC_LEASE" in result.err, result


CLOSES = [sys.executable, "-c", """
import os, subprocess, sys
gate, told = sys.argv[1:]
subprocess.Popen(["sh", "-c", "setsid sh -c 'echo inner; cat < " + gate + "; echo gone' > " + told +
                  " &"], close_fds=True)
print("started", flush=True)
"""]


@case
def a_supervised_job_keeps_its_lease_until_its_last_descendant_ends():
    with store() as one:
        gate, told = (os.path.join(one.where, name) for name in ("gate", "told"))
        os.mkfifo(gate)
        os.mkfifo(told)
        holder = one.hold("-n", "8", "--supervise", command=[*CLOSES, gate, told])
        with open(told, encoding="utf-8") as fifo:
            assert fifo.readline() == "inner\n"
            one.refused(75, "true")
            with open(gate, "w", encoding="utf-8"):
                pass
            assert fifo.readline() == "gone\n"
        assert holder.end() == 0 and one.is_free()


@case
def a_signal_to_the_supervisor_reaches_the_command():
    with store() as one:
        trap = ["sh", "-c", "trap 'echo usr1; exit 5' USR1; echo ready; read line; read line"]
        holder = one.hold("--supervise", command=trap)
        holder.process.send_signal(signal.SIGUSR1)
        assert holder.process.stdout.readline() == "usr1\n" and holder.end() == 5
        holder = one.hold("--supervise")
        assert holder.kill(signal.SIGTERM) == -signal.SIGTERM
        assert one.is_free()


@case
def a_killed_supervisor_leaves_no_job_without_its_lease():
    with store() as one:
        gate = os.path.join(one.where, "gate")
        os.mkfifo(gate)
        holder = one.hold("-n", "8", "--supervise",
                          command=["sh", "-c", f"echo started; read line < {gate}"])
        holder.process.kill()
        holder.process.wait()
        one.refused(75, "true")
        with open(gate, "w", encoding="utf-8"):
            pass
        one.ok("--wait=60s", "-n", "8", "true")


@case
def a_time_limit_ends_the_command():
    with store() as one:
        loop = ["sh", "-c", "trap 'exit 9' TERM; while :; do :; done"]
        for limit in TIMES:
            result = one.run("--time-limit", limit, *loop)
            if result.code != -signal.SIGTERM:  # else it was ended before it could set its trap
                break
        assert result.code == 9 and f"time limit of {limit}" in result.err, result
        result = one.run("--time-limit", "50ms", "sleep", "1000")
        assert result.code == -signal.SIGTERM and one.is_free(), result
        assert one.run("--time-limit", "1h", "true").code == 0


@case
def a_hundred_runs_leave_nothing_behind():
    with store() as one:
        one.ok("true")
        before = one.files()
        for _ in range(100):
            assert one.ok("-n", "2", "sh", "-c", "ls /proc/self/fd | wc -l").strip() == "5"
        assert len(one.files()) <= len(before), (before, one.files())
        assert one.is_free()


# ---- what is said ----

@case
def a_terminal_gets_sentences_that_fit():
    with store() as one:
        one.hold("-n", "5", "--only", "0,2,4-6")
        words = ["run", "--machine", one.machine, "-n", "8", "true"]
        code = Terminal("sh", "-c", 'stty cols 50; exec "$@"', "sh", GPUALLOC, *words,
                        env=one.environment())
        said = code.until(r"(?s)gpualloc: 8 GPUs asked for.*free\r\n")[0].split("\r\n")
        assert code.end() == 75 and max(map(len, said)) <= 50, said
        # Words are whole, and without a terminal a reason is one line, for who searches.
        plain = one.refused(75, "-n", "8", "true")
        assert plain.split() == " ".join(said).split() and len(plain.splitlines()) == 3, plain
        assert max(map(len, plain.splitlines())) > 80, plain
        for holder in one.holders:
            holder.end()


# ---- waiting ----

@case
def a_waiter_gets_the_device_when_the_holder_is_killed():
    with store() as one:
        first = one.hold("-n", "8")
        terminal = Terminal(GPUALLOC, "run", "--wait", "--machine", one.machine, "echo", "granted",
                            env=one.environment())
        terminal.until(r"waiting 0:0\d, next in the queue")
        waiter, = one.leases()["waiting"]
        assert waiter["pid"] == terminal.pid, waiter
        first.kill()
        terminal.until("granted")
        assert terminal.end() == 0 and one.is_free()


@case
def ctrl_c_while_waiting_leaves_no_trace():
    with store() as one:
        holder = one.hold("-n", "8")
        before = one.files()
        terminal = Terminal(GPUALLOC, "run", "--wait", "--machine", one.machine, "true",
                            env=one.environment())
        terminal.until("waiting")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert one.leases()["waiting"] == [] and one.files() == before, (before, one.files())
        assert holder.end() == 0


@case
def waiting_ends_with_124_and_skips_nobody():
    with store() as one:
        one.hold("-n", "8")
        one.refused(124, "--wait=50ms", "true")
        assert one.leases()["waiting"] == []


@case
def a_log_gets_a_line_at_the_start_at_each_place_and_every_hour():
    with store() as one, waiters(one) as some:
        first, second = one.hold("-n", "4"), one.hold("-n", "4")
        before = some.start("before", "-n", "8", hold=True)
        after = some.start("after", "-n", "8")
        line = after.stderr.readline()
        assert re.match("gpualloc: waiting, 1 before you in the queue: .*leased", line), line
        first.end()
        second.end()
        before.communicate()
        line = after.stderr.readline()
        assert re.match(r"gpualloc: waiting for \d s, next in the queue", line), line
        assert after.communicate()[1] == ""


@case
def quiet_waiting_says_nothing():
    with store() as one:
        one.hold("-n", "8")
        result = one.run("-q", "--wait=50ms", "true")
        assert result.code == 124 and "waiting" not in result.err, result


@case
def a_log_gets_a_line_every_hour():
    with store() as one:
        one.hold("-n", "8")
        child = subprocess.Popen([GPUALLOC, "run", "--wait", "--machine", one.machine, "true"],
                                 env=one.environment(LD_PRELOAD=os.environ["FAST_CLOCK"],
                                                     ASAN_OPTIONS="verify_asan_link_order=0"),
                                 stderr=subprocess.PIPE, text=True)
        try:
            for words in ("waiting", "waiting for 1 h", "waiting for 2 h"):
                line = child.stderr.readline()
                assert re.match(rf"gpualloc: {words}( \d+ min)?, next in the queue: ", line), line
        finally:
            child.kill()
            child.communicate()


@case
def the_line_on_the_terminal_counts_and_fits_it():
    with store() as one:
        one.hold("-n", "8")
        terminal = Terminal("sh", "-c", "stty cols 56; exec \"$0\" \"$@\"", GPUALLOC, "run", "--wait",
                            "--machine", one.machine, "true", env=one.environment())
        line = r"waiting 0:(\d\d), next in the queue: [^\r]*\r"
        shown = [terminal.until(line)]
        while int(shown[-1][1]) <= int(shown[0][1]):  # a second may be shown twice
            shown.append(terminal.until(line))
        assert all(len("gpualloc: " + found[0][:-1]) <= 55 for found in shown), shown
        terminal.type("\x03")
        assert terminal.end() == 130


# ---- job control ----

@case
def the_shell_stops_and_continues_a_supervised_job():
    with store() as one:
        env = one.environment(PS1="ready> ", TERM="dumb")
        shell = Terminal("bash", "--norc", "--noprofile", "-i", env=env)
        shell.until("ready> ")
        shell.type(f"{GPUALLOC} run -q --supervise --machine {one.machine} sh -c "
                   "'echo job-\"is\"-there; read a; echo got-\"$a\"; read b; exit 3'\n")
        shell.until("job-is-there")
        shell.type("\x1a")
        shell.until("Stopped")
        shell.until("ready> ")
        assert len(one.leases()["leases"]) == 1  # stopped, and still held
        shell.type("fg\n")
        shell.until("read b; exit 3'\r\n")
        shell.type("word\n")
        shell.until("got-word")
        shell.type("\x1a")
        shell.until("Stopped")
        shell.until("ready> ")
        shell.type("set -b; bg\n")
        shell.until("Stopped")  # it reads, in the background
        shell.type("kill -TERM %1\n")
        shell.until("Terminated")
        shell.type("exit\n")
        shell.end()
        assert one.is_free()


@case
def a_job_that_stops_while_it_is_ended_is_not_left_stopped():
    with store() as one:
        job = subprocess.Popen([GPUALLOC, "run", "-q", "--supervise", "--machine", one.machine, "sh", "-c",
                                "kill -STOP $$; exit 3"], start_new_session=True,
                               env=one.environment(LD_PRELOAD=os.environ["ENDED_WHILE_STOPPING"],
                                                   ASAN_OPTIONS="verify_asan_link_order=0"))
        try:
            assert job.wait(PATIENCE) == -signal.SIGTERM
        finally:
            job.kill()
            job.wait()
        assert one.is_free()


@case
def ctrl_c_reaches_the_job_and_its_end_the_shell():
    with store() as one:
        env = one.environment(PS1="ready> ", TERM="dumb")
        shell = Terminal("bash", "--norc", "--noprofile", "-i", env=env)
        shell.until("ready> ")
        shell.type(f"{GPUALLOC} run -q --supervise --machine {one.machine} sh -c "
                   "'trap \"echo caught-\"it\"; exit 4\" INT; echo job-\"is\"-there; "
                   "while :; do read a; done'\n")
        shell.until("job-is-there")
        shell.type("\x03")
        shell.until("caught-it")
        shell.until("ready> ")
        shell.type("echo status-$?\n")
        shell.until("status-4")
        shell.type("exit\n")
        shell.end()


# ---- what is shown ----

@case
def lists_show_who_has_what():
    with store() as one:
        one.hold("--only", "3")
        devices = json.loads(one.ask("list", "--machine", one.machine, "--json"))["devices"]
        assert [device["state"] for device in devices] == ["free"] * 3 + ["leased"] + ["free"] * 4
        assert devices[3]["lease"] == one.leases()["leases"][0]["id"], devices[3]
        assert "leased" in one.ask("list", "--machine", one.machine)
        result = cli.run("pick", "--machine", one.machine, "--only", "3",
                         env={"GPUALLOC_STATE_DIR": one.path})
        assert result.code == 75 and result.raw == b"", result
        assert one.ask("pick", "--machine", one.machine, "--only", "3", "--ignore-leases")
        assert "3" in one.ask("explain", "--machine", one.machine)


@case
def leases_are_shown_as_text_too():
    with store() as one:
        assert one.ask("leases") == f"no leases: there is no store {one.path}\n"
        assert one.leases() == {"schema": 1, "command": "leases", "store": None, "leases": [],
                                "waiting": []}
        one.hold("--note", "until\x1b[31m noon")
        text = one.ask("leases")
        assert "sh -c" in text and "GPU-" in text and "noon" in text and "\x1b" not in text, text
        cli.refused(64, "leases", "--watch", env={"GPUALLOC_STATE_DIR": one.path})
        watch = Terminal(GPUALLOC, "leases", "--watch", env=one.environment())
        watch.until("noon")
        watch.type("\x03")
        assert watch.end() == 130


main()
