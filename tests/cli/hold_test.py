#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc hold, run --in and release: a lease without a command, and commands within it."""
import json
import os
import signal
import subprocess

import cli
from cli import GPUALLOC, case, main
from leasing import Terminal, store, variables


def hold(one, *words):
    return one.ask("hold", "--machine", one.machine, *words)


def status_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().split(b"\0")[0].decode()


@case
def a_hold_holds_until_it_is_released():
    with store() as one:
        lease = hold(one, "-n", "2", "--for", "1h", "--note", "mine").strip()
        shown, = one.leases()["leases"]
        assert shown["id"] == lease and shown["note"] == "mine" and len(shown["devices"]) == 2
        assert status_of(shown["pid"]) == "gpualloc-hold " + lease
        one.refused(75, "-n", "7", "true")
        assert one.ask("release", lease) == "" and one.is_free()
        cli.refused(77, "release", lease, env={"GPUALLOC_STATE_DIR": one.path}, says=[lease])


@case
def commands_run_inside():
    with store() as one:
        lease = hold(one, "--only", "5", "--for", "1h").strip()
        env = {"GPUALLOC_STATE_DIR": one.path}
        found = dict(variables(cli.ok("run", "--in", lease, "env", "-0", env=env)))
        assert found["CUDA_VISIBLE_DEVICES"] == "5" and found["GPUALLOC_LEASE"] == lease, found
        assert int(found["GPUALLOC_FD"]) >= 512
        child = subprocess.Popen([GPUALLOC, "run", "--in", lease, "sh", "-c", "echo in; read line"],
                                 env=one.environment(), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "in\n"
        result = cli.run("release", lease, env=env)
        assert result.code == 0 and result.raw == b"", result
        assert f"process {child.pid} (sh -c echo in; read line) left running" in result.err, result
        one.refused(75, "-n", "8", "true")  # the command inside keeps it
        child.communicate()
        assert one.is_free()
        cli.refused(64, "run", "--in", lease, "-n", "2", "true", env=env, says=["--count"])
        cli.refused(77, "run", "--in", lease, "true", env=env)


@case
def a_hold_ends_at_its_time():
    with store() as one:
        hold(one, "-n", "8", "--for", "50ms")
        one.ok("--wait=60s", "-n", "8", "true")


@case
def a_keeper_keeps_nothing_open_of_its_caller():
    with store() as one:
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        done = subprocess.run([GPUALLOC, "hold", "--machine", one.machine, "--for", "1h", "--json"],
                              env=one.environment(), stdout=subprocess.PIPE, close_fds=False,
                              check=True)
        os.close(writer)
        answer = json.loads(done.stdout)
        assert os.read(reader, 1) == b""  # nobody has the other end
        os.close(reader)
        assert os.readlink(f"/proc/{answer['pid']}/cwd") == "/"
        assert os.getsid(answer["pid"]) == answer["pid"]
        os.kill(answer["pid"], signal.SIGHUP)
        assert len(one.leases()["leases"]) == 1
        os.kill(answer["pid"], signal.SIGTERM)
        one.ok("--wait=60s", "-n", "8", "true")


@case
def a_person_is_told_what_to_do_with_it():
    with store() as one:
        terminal = Terminal(GPUALLOC, "hold", "--machine", one.machine, "--for", "1h",
                            env=one.environment())
        lease = terminal.until(r"held for 1h: `gpualloc\s+run --in (\w+)\s+COMMAND`")[1]
        terminal.until(rf"`gpualloc\s+release\s+{lease}`")
        terminal.until(rf"\r\n{lease}\r\n")
        assert terminal.end() == 0
        cli.ok("run", "--in", lease, "true", env={"GPUALLOC_STATE_DIR": one.path})
        cli.ok("release", lease, env={"GPUALLOC_STATE_DIR": one.path})
        assert one.is_free()


@case
def a_failure_is_reported_and_leaves_no_keeper():
    with store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        cli.refused(64, "hold", "--machine", "dgx2", env=env, says=["--for 4h"])
        cli.refused(64, "hold", "--for", "x", env=env, says=["1h30m"])
        cli.refused(78, "hold", "--machine", one.machine, "-n", "9", "--for", "1h", env=env)
        one.hold("-n", "8")
        cli.refused(75, "hold", "--machine", one.machine, "--for", "1h", env=env)
        assert len(one.leases()["leases"]) == 1


main()
