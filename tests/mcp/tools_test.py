#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tools of gpualloc mcp: what they do, what is refused, and that all that is held ends with the session."""
import contextlib
import json
import os
import signal
import subprocess
import time

import cli
from cli import case, environment, main
from client import PATIENCE, Client, Refused, eventually
from leasing import store

TERMLESS = ["sh", "-c", "trap '' TERM HUP INT; echo up; exec sleep 1000"]


def printed(client, job, text):
    """Waits until a job has printed that."""
    until = time.monotonic() + PATIENCE
    while text not in client.call("job_log", job=job, cursor=0)["text"]:
        assert time.monotonic() < until, f"{job} never printed {text!r}"


def ended(client, job):
    until = time.monotonic() + PATIENCE
    while True:
        status, = client.call("job_status", job=job)["jobs"]
        if "ended" in status:
            return status
        assert time.monotonic() < until, status


def no_leases(one):
    leases = one.leases()
    return not leases["leases"] and not leases["waiting"]


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@case
def a_lease_is_got_extended_and_released():
    with store() as one, Client(one.path) as client:
        got = client.call("lease", count=2, for_="10m", note="a try")
        shown, = one.leases()["leases"]
        assert shown["id"] == got["lease"] and shown["note"] == "a try", shown
        assert shown["agent"] == "tester" and shown["devices"] == got["uuids"], shown
        assert abs(shown["until"] - got["until"]) <= 2, (shown, got)
        assert "agent of " in one.ask("leases") and "agent: hold" in one.ask("list", "--machine", one.machine)
        later = client.call("extend", lease=got["lease"], for_="5m")["until"]
        assert abs(later - got["until"] - 300) <= 2, (later, got)
        seen = client.call("list_gpus")["devices"]
        assert [device["lease"] for device in seen if device["state"] == "leased"] == [got["lease"]] * 2
        assert len(client.call("list_gpus", free=True)["devices"]) == 6
        assert client.call("release", lease=got["lease"])["released"]
        assert no_leases(one)
        assert "no lease" in str(client.refused("release", lease=got["lease"]))
        assert client.close() == 0


@case
def what_is_busy_is_said_in_a_few_words():
    with store() as one, Client(one.path) as client:
        lease = client.call("lease", count=8, for_="10m", note="all of it")["lease"]
        refusal = client.refused("lease", for_="10m", note="more")
        for part in ("0 free now", lease, "wait", "an agent of"):
            assert part in str(refusal), refusal
        holder, = refusal.document["holders"]
        assert refusal.document["kind"] == "busy" and refusal.document["status"] == 75
        assert holder["id"] == lease and holder["note"] == "all of it" and holder["devices"] == 8
        assert "this machine has 8" in str(client.refused("lease", count=9, for_="1h", note="x"))
        assert client.refused("explain", count=1).document["kind"] == "busy"
        assert client.refused("run", command=["true"], note="x").document["kind"] == "busy"
        refusal = client.refused("lease", for_="10m", note="more", wait="50ms")
        assert refusal.document["kind"] == "timeout", refusal.document


@case
def waiting_is_told_and_blocks_nobody():
    with store() as one, Client(one.path) as client:
        all_of_it = client.call("lease", count=8, for_="10m", note="all")["lease"]
        waiting = client.start("lease", token="t1", for_="10m", note="next", wait="10m")
        while not client.progress:
            client.receive()
        first = client.progress[0]
        assert first["progressToken"] == "t1" and "waiting" in first["message"], first
        assert client.ask("ping") == {} and client.call("list_gpus")["devices"]
        assert client.call("release", lease=all_of_it)["released"]
        got = client.finish(waiting, "lease")
        assert len(got["devices"]) == 1
        numbers = [told["progress"] for told in client.progress]
        assert numbers == sorted(set(numbers)), numbers
        assert client.call("release", lease=got["lease"])["released"]


@case
def a_call_that_is_cancelled_leaves_nothing():
    with store() as one, Client(one.path) as client:
        all_of_it = client.call("lease", count=8, for_="10m", note="all")["lease"]
        for tool, more in (("lease", {"for_": "10m"}), ("run", {"command": ["sleep", "1000"]})):
            waiting = client.start(tool, token=7, note="never", wait="10m", **more)
            eventually(lambda: one.leases()["waiting"])
            client.cancel(waiting)
            eventually(lambda: not one.leases()["waiting"])
        eventually(lambda: client.call("job_status")["jobs"] == [])
        client.call("release", lease=all_of_it)
        for _ in range(5):  # at whatever point of its way it is
            client.cancel(client.start("lease", for_="10m", note="never"))
            client.cancel(client.start("lease", for_="10m", note="never", keep=True))
            client.cancel(client.start("run", command=["sleep", "1000"], note="never"))
        # Some may still be on their way to a lease that they then give back.
        assert client.call("lease", count=8, for_="1m", note="all", wait="1m")["lease"]
        assert client.close() == 0


@case
def a_repeated_call_is_not_a_second_lease():
    with store() as one, Client(one.path) as client:
        ask = {"for_": "10m", "note": "once", "idempotency_key": "k1"}
        numbers = [client.start("lease", **ask) for _ in range(4)]
        leases = {client.finish(number, "lease")["lease"] for number in numbers}
        leases.add(client.call("lease", **ask)["lease"])
        assert len(leases) == 1 and len(one.leases()["leases"]) == 1, leases
        assert "another call" in str(client.refused("lease", **{**ask, "note": "other"}))
        assert "another call" in str(client.refused("run", command=["true"], note="x",
                                                    idempotency_key="k1"))
        lease, = leases
        add = {"lease": lease, "for_": "1m", "idempotency_key": "k2"}
        assert client.call("extend", **add) == client.call("extend", **add)
        client.call("release", lease=lease)
        assert "has ended" in str(client.refused("lease", **ask))
        run = {"command": ["sleep", "1000"], "note": "x", "idempotency_key": "k3"}
        jobs = {client.call("run", **run)["job"] for _ in range(3)}
        assert len(jobs) == 1 and len(client.call("job_status")["jobs"]) == 1, jobs
        # What failed has got nothing, and may be tried again.
        ask = {"count": 8, "for_": "10m", "note": "x", "idempotency_key": "k4"}
        assert client.refused("lease", **ask).document["kind"] == "busy"
        client.call("job_cancel", job=jobs.pop())
        eventually(lambda: no_leases(one))
        assert len(client.call("lease", **ask)["devices"]) == 8


@case
def of_two_who_wait_for_one_call_each_may_leave():
    with store() as one, Client(one.path) as client:
        all_of_it = client.call("lease", count=8, for_="10m", note="all")["lease"]
        ask = {"for_": "10m", "note": "once", "wait": "10m", "idempotency_key": "k"}
        first, second = client.start("lease", **ask), client.start("lease", **ask)
        eventually(lambda: one.leases()["waiting"])
        client.cancel(first)
        client.call("release", lease=all_of_it)
        assert client.finish(second, "lease")["lease"] == one.leases()["leases"][0]["id"]


@case
def a_job_runs_prints_and_ends():
    with store() as one, Client(one.path) as client:
        words = ["sh", "-c", 'printf "%s|" "$@"; echo $CUDA_VISIBLE_DEVICES; pwd; cat; '
                 'test -t 0 || echo done >&2; exit 3', "x", "a b", "", "$HOME", "'", "é\n"]
        job = client.call("run", command=words, count=2, note="a job", folder="/")["job"]
        status = ended(client, job)
        assert status["exit_status"] == 3 and status["state"] == "failed", status
        log = client.call("job_log", job=job, cursor=0)
        assert log["text"].startswith("a b||$HOME|'|é\n|") and log["is_all"], log
        assert log["text"].endswith(",".join(status["devices"]) + "\n/\ndone\n"), log
        part = client.call("job_log", job=job, cursor=2, size=3)
        assert part["text"] == "b||" and part["next_cursor"] == 5 and not part["is_all"], part
        assert client.call("job_log", job=job, cursor=1 << 40)["text"] == ""
        eventually(lambda: no_leases(one))
        status = ended(client, client.call("run", command=["sh", "-c", "kill -9 $$"], note="x")["job"])
        assert status["signal"] == 9 and "exit_status" not in status, status
        assert client.refused("run", command=["no-such-program"], note="x").document["status"] == 127
        assert "folder" in str(client.refused("run", command=["true"], note="x", folder="etc"))
        assert client.refused("run", command=["true"], note="x", folder="/nonexistent")
        status = ended(client, client.call("run", command=["sleep", "1000"], note="x",
                                           time_limit="100ms")["job"])
        assert status["state"] == "failed", status


@case
def a_log_without_end_stays_bounded_and_holds_up_nobody():
    with store() as one, Client(one.path) as client:
        job = client.call("run", command=["yes", "\033[31m\udcff".encode(errors="replace").decode()],
                          note="x")["job"]
        until = time.monotonic() + PATIENCE
        while client.call("job_status", job=job)["jobs"][0]["log_size"] < 4 << 20:
            assert time.monotonic() < until
        assert client.ask("ping") == {}
        log = client.call("job_log", job=job, cursor=0, size=1 << 30)
        assert log["lost"] > 3 << 20 and len(log["text"]) <= 64 << 10, log["lost"]
        assert "\033" not in log["text"] and "?[31m" in log["text"], log["text"][:80]
        with open(f"/proc/{client.process.pid}/statm", encoding="utf-8") as file:
            pages = int(file.read().split()[1])
        assert cli.is_sanitized() or pages * os.sysconf("SC_PAGE_SIZE") < 64 << 20, pages
        assert client.call("job_cancel", job=job)["state"] in ("ending", "cancelled")
        eventually(lambda: no_leases(one))


@case
def a_job_in_a_lease_ends_before_it():
    with store() as one, Client(one.path) as client:
        lease = client.call("lease", count=2, for_="10m", note="x")["lease"]
        assert "extend it" in str(client.refused("run", command=["true"], note="x", lease=lease,
                                                 time_limit="11m"))
        assert "leave out" in str(client.refused("run", command=["true"], note="x", lease=lease, count=1))
        job = client.call("run", command=["cat", "/proc/self/environ"], note="x", lease=lease)["job"]
        assert ended(client, job)["state"] == "done"
        assert f"GPUALLOC_LEASE={lease}?" in client.call("job_log", job=job, cursor=0, size=65536)["text"]
        job = client.call("run", command=["sleep", "1000"], note="x", lease=lease)["job"]
        assert job in str(client.call("job_status")["jobs"])
        assert "job_cancel" in str(client.refused("release", lease=lease))
        client.call("job_cancel", job=job)
        assert ended(client, job)["state"] == "cancelled"
        assert client.call("release", lease=lease)["released"] and no_leases(one)


@case
def what_it_does_not_know_is_refused_with_a_sentence():
    with store() as one, Client(one.path) as client:
        for tool, arguments, says in (
                ("lease", {"for_": "1h"}, "note is missing"), ("lease", {"note": "x"}, "for is missing"),
                ("lease", {"for_": "1h", "note": ""}, "note must be"),
                ("lease", {"for_": "1h", "note": "a\nb"}, "note must be"),
                ("lease", {"for_": "1h", "note": "x" * 2000}, "note must be"),
                ("lease", {"for_": "soon", "note": "x"}, "for: "),
                ("lease", {"for_": "1h", "note": "x", "count": "2"}, "count must be"),
                ("lease", {"for_": "1h", "note": "x", "count": -1}, "count must be"),
                ("lease", {"for_": "1h", "note": "x", "count": 0}, "--count"),
                ("lease", {"for_": "1h", "note": "x", "machine": "dgx2"}, "not known"),
                ("lease", {"for_": "1h", "note": "x", "only": "--private"}, "--private"),
                ("lease", {"for_": "1h", "note": "x", "policy": "no such"}, "no such"),
                ("run", {"command": "rm -rf /", "note": "x"}, "there is no shell"),
                ("run", {"command": [], "note": "x"}, "there is no shell"),
                ("run", {"command": [""], "note": "x"}, "there is no shell"),
                ("run", {"command": ["true", 1], "note": "x"}, "there is no shell"),
                ("job_log", {"job": "j99"}, "no job"), ("job_cancel", {"job": "1"}, "no job"),
                ("usage", {"by": "moon"}, "moon"), ("list_gpus", {"free": 1}, "free must be"),
                ("release", {"lease": "-y"}, "no lease"), ("release", {"lease": "--yes"}, "no lease")):
            refusal = str(client.refused(tool, **arguments))
            assert says in refusal, (tool, arguments, refusal)
        result = client.ask("tools/call", name="list_gpus", arguments=[1])
        assert result["isError"], result
        assert no_leases(one)


@case
def words_that_are_cut_off_are_cut_between_characters():
    with store() as one, Client(one.path) as client:
        for before in range(4):
            words = ["true", "x" * before + "\u00e9\u20ac\U0001f600" * 60]
            job = client.call("run", command=words, note="n")["job"]
            ended(client, job)
            client.call("job_status", job=job)
        # A long refusal is a refusal with words.
        for name in ("x" * 50000, "\u20ac" * 2000):
            assert "there is no program" in str(client.refused("run", command=[name], note="n"))
        assert client.close() == 0


@case
def many_calls_at_once_that_do_not_wait_are_all_answered():
    with store() as one, Client(one.path) as client:
        calls = [json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call",
                             "params": {"name": "job_status", "arguments": {}}}).encode() + b"\n"
                 for number in range(1000, 1100)]
        client.open.update(range(1000, 1100))
        client.write(b"".join(calls))
        for number in range(1000, 1100):
            assert client.finish(number, "job_status") == {"jobs": []}
        assert client.close() == 0


@case
def what_others_have_is_not_touched():
    with store() as one:
        person = cli.ok("hold", "--machine", one.machine, "--for", "10m",
                        env={"GPUALLOC_STATE_DIR": one.path}).strip()
        job = one.hold("-n", "1")
        with Client(one.path) as other, Client(one.path) as client:
            theirs = other.call("lease", for_="10m", note="theirs")["lease"]
            kept = other.call("lease", for_="10m", note="kept", keep=True)["lease"]
            ids = {lease["id"] for lease in one.leases()["leases"]}
            for lease in ids - {kept}:
                for tool, more in (("release", {}), ("extend", {"for_": "1m"})):
                    assert "no lease" in str(client.refused(tool, lease=lease, **more)), (tool, lease)
                assert client.refused("run", command=["true"], note="x", lease=lease)
                for size in (0, 1, 4):
                    assert size == 0 or client.refused("release", lease=lease[:size])
            assert {lease["id"] for lease in one.leases()["leases"]} == ids
            assert {person, theirs} < ids
            # What an agent of the user kept, another may end.
            assert client.call("extend", lease=kept, for_="1m")["lease"] == kept
            assert client.call("release", lease=kept)["released"]
            eventually(lambda: kept not in {lease["id"] for lease in one.leases()["leases"]})
        assert job.end() == 0
        one.ask("release", person)


def session_with_everything(one):
    client = Client(one.path)
    client.call("lease", for_="1h", note="held")
    lease = client.call("lease", for_="1h", note="held")["lease"]
    job = client.call("run", command=TERMLESS, note="x", lease=lease)["job"]
    printed(client, job, "up")
    job = client.call("run", command=["sh", "-c", "setsid sh -c 'trap \"\" TERM; echo up $$; "
                                      "exec sleep 1000' & wait"], note="x")["job"]
    printed(client, job, "up")
    pid = int(client.call("job_log", job=job, cursor=0)["text"].split()[1])
    client.call("lease", count=4, for_="1h", note="held")
    client.start("lease", count=4, for_="1h", note="never", wait="1h")
    client.start("run", count=4, command=["sleep", "1000"], note="never", wait="1h")
    eventually(lambda: len(one.leases()["waiting"]) == 2)
    return client, pid


@case
def however_the_session_ends_nothing_is_left():
    endings = {"end of file": lambda client: client.close(),
               "SIGTERM": lambda client: client.process.terminate(),
               "SIGKILL": lambda client: client.process.kill()}
    with store() as one:
        sessions = []
        for name, end in endings.items():
            path = os.path.join(one.where, name.replace(" ", "-"))
            os.mkdir(path, 0o700)
            other = type(one)(path, one.machine)
            client, pid = session_with_everything(other)
            end(client)
            client.process.wait(PATIENCE)
            sessions.append((other, pid))
        for other, pid in sessions:  # their ten seconds run side by side
            eventually(lambda: no_leases(other))
            eventually(lambda: is_gone(pid))


@case
def a_key_does_not_stand_for_a_kept_lease_that_somebody_ended():
    with store() as one, Client(one.path) as client:
        ask = {"for_": "10m", "note": "kept", "keep": True, "idempotency_key": "k"}
        kept = client.call("lease", **ask)["lease"]
        assert client.call("lease", **ask)["lease"] == kept and len(one.leases()["leases"]) == 1
        one.ask("release", kept)
        eventually(lambda: no_leases(one))
        assert "has ended" in str(client.refused("lease", **ask))


@case
def what_is_kept_outlives_the_session():
    with store() as one:
        with Client(one.path) as client:
            kept = client.call("lease", for_="10m", note="kept", keep=True)
            client.call("lease", for_="10m", note="not kept")
            assert kept["keep"] and client.close() == 0
        eventually(lambda: [lease["id"] for lease in one.leases()["leases"]] == [kept["lease"]])
        one.ask("release", kept["lease"])
        assert no_leases(one)


@case
def a_killed_minder_or_supervisor_ends_the_job():
    with store() as one, Client(one.path) as client:
        for name in ("gpualloc-minder", "run"):
            job = client.call("run", command=["sleep", "1000"], note="x")["job"]
            lease, = one.leases()["leases"]
            pid = lease["pid"]
            if name != "run":
                with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                    pid = int(file.read().rsplit(")", 1)[1].split()[1])
            os.kill(pid, signal.SIGKILL)
            assert ended(client, job)["state"] == "failed"
            eventually(lambda: no_leases(one))


@case
def a_keeper_that_is_ended_by_somebody_is_noticed():
    with store() as one, Client(one.path) as client:
        got = client.call("lease", for_="10m", note="x", idempotency_key="k")
        one.ask("release", got["lease"])
        eventually(lambda: "has ended" in str(refusal_of(client, for_="10m", note="x", idempotency_key="k")))


def refusal_of(client, **arguments):
    try:
        client.call("lease", **arguments)
    except Refused as refusal:
        return refusal
    return ""


@case
def the_limits_of_agents_apply():
    with store() as one:
        rules = os.path.join(one.where, "rules.conf")
        with open(rules, "w", encoding="utf-8") as file:
            file.write("agent-max-devices = 2\nagent-max-hold = 1h\n")
        with Client(one.path, GPUALLOC_CONFIG=rules) as client:
            assert "agent-max-devices" in str(client.refused("lease", count=3, for_="1h", note="x"))
            assert "agent-max-hold" in str(client.refused("lease", for_="61m", note="x"))
            assert "agent-max-hold" in str(client.refused("run", command=["true"], note="x",
                                                          time_limit="2h"))
            lease = client.call("lease", count=2, for_="50m", note="x")["lease"]
            assert "agent-max-devices" in str(client.refused("run", command=["true"], note="x"))
            assert "agent-max-hold" in str(client.refused("extend", lease=lease, for_="11m"))
            # What an agent starts is an agent, too.
            job = client.call("run", lease=lease, note="x", time_limit="1m",
                              command=[cli.GPUALLOC, "hold", "--machine", one.machine, "--for", "1h",
                                       "-n", "2", "--ignore-env"])["job"]
            eventually(lambda: len(one.leases()["leases"]) == 2)
            outer, inner = one.leases()["leases"]
            assert inner["agent"] == "tester" and set(inner["devices"]) == set(outer["devices"])
            client.call("job_cancel", job=job)


@case
def more_than_it_can_hold_is_refused_not_dropped():
    with store() as one, Client(one.path) as client:
        all_of_it = client.call("lease", count=8, for_="10m", note="all")["lease"]
        waiting = [client.start("lease", for_="10m", note="x", wait="10m") for _ in range(31)]
        over = [client.start("list_gpus") for _ in range(40)]
        answers = [client.answer(number)["result"] for number in over]
        assert any(answer["isError"] and "already" in answer["content"][0]["text"]
                   for answer in answers), answers[0]
        assert client.ask("ping") == {}
        for number in waiting:
            client.cancel(number)
        client.call("release", lease=all_of_it)
        eventually(lambda: no_leases(one))
        jobs = [client.start("run", command=["sleep", "1000"], note="x", memory="1GiB", share=True)
                for _ in range(18)]
        refused = [answer for answer in (client.answer(number)["result"] for number in jobs)
                   if answer["isError"]]
        assert len(refused) == 2 and "16 jobs" in refused[0]["content"][0]["text"], refused


@case
def a_client_that_does_not_read_is_not_waited_for():
    with store() as one:
        child = subprocess.Popen([cli.GPUALLOC, "mcp", "--machine", "dgx1-volta"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 env=environment(GPUALLOC_STATE_DIR=one.path))
        hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize",
                 "params": {"protocolVersion": "2025-11-25", "capabilities": {}}}
        flood = b"".join(json.dumps({"jsonrpc": "2.0", "id": i, "method": "tools/list"}).encode() + b"\n"
                         for i in range(1, 400))
        child.stdin.write(json.dumps(hello).encode() + b"\n")
        child.stdin.flush()
        assert child.stdout.readline()  # from here on it takes signals
        os.set_blocking(child.stdin.fileno(), False)
        sent = os.write(child.stdin.fileno(), flood)
        assert sent > 0
        child.terminate()  # it is not stuck in a write
        assert child.wait(PATIENCE) == 0
        child.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


main()
