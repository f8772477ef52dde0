#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run --on, over real connections: the command there is as if it ran here, and its lease lives as
long as it does, whatever is killed on the way."""
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import cli
import sshd
from cli import Skip, case, folder, main, refused
from leasing import HOLD, PATIENCE, Holder, Store, line_of
from ports import free_port

WHERE = folder()
LAB = None
SHOW = [sys.executable, "-c", "import os, sys; sys.stdout.write(repr([os.fsencode(a) for a in sys.argv[1:]]))"]
# Says that it runs, then lives until it is ended; SIGTERM ends it.
STAY = ["sh", "-c", "echo in; exec sleep 1000"]


def lab():
    global LAB
    if LAB is None:
        why = sshd.missing()
        if why:
            raise Skip(why)
        LAB = sshd.Lab(WHERE.name).__enter__()
    return LAB


def start(*words, **options):
    return subprocess.Popen([cli.GPUALLOC, "run", *words], env=cli.environment(**lab().env()),
                            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE,
                               "stderr": subprocess.PIPE, "text": True, **options})


def stay(*words):
    """A run on another host that has said that its command runs."""
    process = start(*words, "--", *STAY)
    assert line_of(process) == "in\n", process.communicate()
    return process


def is_free(host):
    """Waits until nobody has anything there."""
    count = "8" if host.machine == "dgx1-volta" else "4"
    return host.run("run", "-n", count, f"--wait={PATIENCE}s", "-q", "true").code == 0 and \
        json.loads(host.run("leases", "--json").out)["leases"] == []


def pids(host):
    """Of the one lease there: the tether, and the processes that have its descriptor."""
    lease, = json.loads(host.run("leases", "--json").out)["leases"]
    out = json.loads(host.run("leases", "--json", "--pids", lease["id"]).out)
    return lease["pid"], [one["pid"] for one in out["processes"]]


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return [int(word) for word in file.read().split()]


def command_of(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
        return file.read().split("\0")


# ---- as if it ran here ----

@case
def arguments_arrive_as_they_are():
    words = ["", "a b", "'", '"', "\\", "$(id)", "`id`", "a\nb", "--", "-x", "*", "!x", "\t", "x" * 100000,
             b"\xff\xfe".decode(errors="surrogateescape"), "ä€😀", ";", "&&", "#", "~", "%s", "{a,b}"]
    result = lab().run("run", "--on", "gpu1", "--", *SHOW, *words)
    assert result.code == 0 and result.err == "", result
    assert result.out == repr([os.fsencode(word) for word in words]), result


@case
def the_status_is_the_commands():
    for command, status in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("exit 69", 69),
                            ("exit 75", 75), ("kill -9 $$", 137), ("kill -15 $$", 143)):
        result = lab().run("run", "--on", "gpu1", "--", "sh", "-c", command)
        assert result.code == status and result.err == "", (command, result)
    assert LAB.run("run", "--on", "gpu1", "nonexistent").code == 127
    assert is_free(LAB.hosts[0])


@case
def bytes_pass_both_ways_and_the_end_of_input_is_no_loss():
    data = bytes(range(256)) * 400
    done = subprocess.run([cli.GPUALLOC, "run", "--on", "gpu1", "--", "sh", "-c", "cat; echo end >&2"],
                          input=data, capture_output=True, timeout=PATIENCE, check=False,
                          env=cli.environment(**lab().env()))
    assert done.returncode == 0 and done.stdout == data and done.stderr == b"end\n", done.stderr


@case
def folder_and_variables_are_those_asked_for():
    show = ["sh", "-c", "pwd; echo \"${ONE-none}|${TWO-none}|${THREE-none}|${HERE-none}\""]
    result = lab().run("run", "--on", "gpu1", "--env", "ONE=a  'b'", "--env", "TWO", "--env", "THREE",
                       "--", *show, env={"TWO": "x\ny", "HERE": "not sent"}, cwd="/usr")
    assert result.out == "/usr\na  'b'|x\ny|none|none\n", result
    result = LAB.run("run", "--on", "gpu1", "--chdir", "/etc", "pwd")
    assert result.out == "/etc\n", result
    result = LAB.run("run", "--on", "gpu1", "--chdir", "/nonexistent", "pwd")
    assert result.code == 65 and "cannot run in /nonexistent" in result.err, result
    assert LAB.run("run", "--on", "gpu1", "--env", "=x", "pwd").code == 64
    for words, instead in {("--chdir", "/"): "cd there", ("--env", "A"): "your whole environment",
                           ("--keep",): "nohup"}.items():
        refused(64, "run", *words, "pwd", says=[words[0] + " goes with --on HOST", instead])
    assert LAB.run("run", "--on", "gpu1", "--bind", "pwd").err.startswith(
        "gpualloc: --bind does not go with --on"), result


@case
def a_fence_there_is_around_the_command_kept_or_not():
    host = lab().hosts[0]
    look = ["sh", "-c", "grep NoNewPrivs /proc/self/status; echo $CUDA_VISIBLE_DEVICES"]
    if host.run("run", "--fence", "true").code:
        raise Skip("this kernel has no fence (Landlock)")
    for ask in ([], ["--keep"]):
        free = LAB.run("run", "--on", "gpu1", *ask, "--", *look)
        assert free.code == 0 and "GPU-" not in free.out, free
        fenced = LAB.run("run", "--on", "gpu1", "--fence", *ask, "--", *look)
        assert "NoNewPrivs:\t1\nGPU-" in fenced.out, fenced
        assert fenced.code == 0, fenced
    # The administrator's word counts there as it does for a run on that host.
    with open(host.env["GPUALLOC_CONFIG"], "w", encoding="utf-8") as config:
        config.write("fence = job\n")
    try:
        assert "NoNewPrivs:\t1\nGPU-" in LAB.run("run", "--on", "gpu1", "--", *look).out
        assert LAB.run("run", "--on", "gpu1", "--format", "index", "--", *look).code == 64
    finally:
        os.unlink(host.env["GPUALLOC_CONFIG"])


@case
def with_json_what_is_said_is_documents_and_the_command_says_what_it_likes():
    run = ["run", "--json", "--on"]
    result = lab().run(*run, "gpu1", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (result.code, result.out, result.err) == (7, "out\n", "err\n"), result
    for code, *words in ((127, "gpu1", "nonexistent"), (64, "gpu1", "--bind", "true"),
                         (64, "gpu1", "-n", "many", "true"), (78, "gpu1", "-n", "99", "true"),
                         (65, "gpu1", "--chdir", "/nonexistent", "true"),
                         (78, "gpu1,gpu2", "-n", "99", "true"), (69, "down", "true")):
        result = LAB.run(*run, *words)
        documents = [json.loads(line) for line in result.err.splitlines()]
        errors = [one["error"] for one in documents if "error" in one]
        assert result.code == code and result.out == "", (words, result)
        assert [error["status"] for error in errors] == [code], (words, result)
        assert "holders" not in errors[0] and errors[0]["message"], result
    result = LAB.run("log", "--json", "--on", "gpu1", "0123456789")
    assert json.loads(result.err)["error"]["status"] == 77, result
    lease = LAB.run("hold", "--on", "gpu1", "-n", "1", "--for", "1h").out.split()[1]
    result = LAB.run("release", "--json", "--on", "gpu1", lease)
    one, = json.loads(result.out)["hosts"]
    assert one["answer"]["leases"][0]["ended"] and one["status"] == 0, result
    assert is_free(LAB.hosts[0])


@case
def the_terminal_is_the_commands():
    lab()
    pid, master = pty.fork()
    if pid == 0:
        os.execve(cli.GPUALLOC, ["gpualloc", "run", "--on", "gpu1", "--", "sh", "-c",
                                 "test -t 0 && test -t 1 && stty size && trap 'echo caught; exit 5' INT;"
                                 "echo ready; while :; do sleep 0.1; done"],
                  cli.environment(**LAB.env()))
    shown = b""
    while b"caught" not in shown:
        assert select.select([master], [], [], PATIENCE)[0], shown
        shown += os.read(master, 4096)
        if b"ready" in shown and b"sent" not in shown:
            os.write(master, b"\x03")
            shown += b"sent"
    while True:  # its last words, and then the end
        try:
            if not os.read(master, 4096):
                break
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5, shown
    assert b"gpu1: dgx1-volta (simulated): GPU" in shown and b"0 0" in shown, shown
    os.close(master)
    assert is_free(LAB.hosts[0])


@case
def signals_reach_the_command_without_a_terminal():
    for number, status in ((signal.SIGTERM, 3), (signal.SIGINT, 4), (signal.SIGUSR1, 5)):
        process = start("--on", "gpu1", "--", "sh", "-c", "trap 'exit 3' TERM; trap 'exit 4' INT;"
                        "trap 'exit 5' USR1; echo in; while :; do sleep 0.1; done")
        assert line_of(process) == "in\n", process.communicate()
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == status, (number, process.returncode, out, err)


@case
def an_agent_is_one_on_the_other_host_too():
    show = ["sh", "-c", "echo $GPUALLOC_AGENT; gpualloc leases --json"]
    for agent in ("tester", None, ""):
        result = lab().run("run", "--on", "gpu1", "--", *show, env={"GPUALLOC_AGENT": agent})
        name, _, leases = result.out.partition("\n")
        assert name == (agent or ""), result
        assert json.loads(leases)["leases"][0].get("agent") == (agent or None), result
    held = json.loads(LAB.run("hold", "--on", "gpu1", "--for", "10m", "--json",
                              env={"GPUALLOC_AGENT": "tester"}).out)
    lease, = json.loads(LAB.hosts[0].run("leases", "--json").out)["leases"]
    assert lease["agent"] == "tester", (held, lease)
    assert LAB.run("release", "--on", "gpu1", lease["id"]).code == 0
    assert is_free(LAB.hosts[0])


@case
def a_command_that_ignores_signals_ends_though_its_tether_was_killed():
    process = start("--on", "gpu1", "--", "sh", "-c", "trap '' TERM INT HUP; echo in; while :; do sleep 0.2; done")
    assert line_of(process) == "in\n", process.communicate()
    tether, _ = pids(LAB.hosts[0])
    os.kill(tether, signal.SIGKILL)
    assert is_free(LAB.hosts[0])
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 69, (process.returncode, err)


# ---- an ssh that is not one ----

def pretender(body):
    """What --on makes of an ssh that does this."""
    path = os.path.join(WHERE.name, "pretender")
    with open(path, "w", encoding="utf-8") as script:
        script.write("#!/bin/sh\ncase $1 in -O) exit 255;; esac\n" + body + "\n")
    os.chmod(path, 0o700)
    return cli.environment(GPUALLOC_SSH=path, XDG_RUNTIME_DIR=WHERE.name, GPUALLOC_HOSTS="/nonexistent")


@case
def an_end_before_the_command_began_is_no_success():
    result = subprocess.run([cli.GPUALLOC, "run", "--on", "gpu1", "true"], text=True,
                            env=pretender("printf '\\ngpualloc-remote 1 0\\n'; exit 0"),
                            capture_output=True, check=False, timeout=PATIENCE)
    assert result.returncode == 69 and "ended and did not say why" in result.stderr, result


@case
def a_newer_gpualloc_is_called_so():
    result = subprocess.run([cli.GPUALLOC, "run", "--on", "gpu1", "true"], text=True, capture_output=True,
                            env=pretender("printf '\\ngpualloc-remote 2 9\\n'; exit 65"),
                            check=False, timeout=PATIENCE)
    assert result.returncode == 69 and "speaks protocol 2" in result.stderr, result


@case
def an_error_of_hold_is_a_document_if_it_is_asked_for():
    for hosts in ("gpu1", "gpu1,gpu2"):
        result = subprocess.run([cli.GPUALLOC, "hold", "--json", "--for", "1h", "--on", hosts],
                                env=pretender("exit 1"), capture_output=True, check=False, timeout=PATIENCE)
        errors = [line["error"] for line in map(json.loads, result.stderr.splitlines()) if "error" in line]
        assert [error["status"] for error in errors] == [result.returncode] == [69], result
        assert result.stdout == b"", result


@case
def a_host_that_does_not_read_can_be_left():
    process = subprocess.Popen([cli.GPUALLOC, "run", "--on", "gpu1", "true", *["x" * 100000] * 15],
                               env=pretender("mkdir $0.started; exec sleep 1000"),
                               stdin=subprocess.DEVNULL)
    started = os.path.join(WHERE.name, "pretender.started")
    until = time.monotonic() + PATIENCE
    while not os.path.isdir(started):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == -signal.SIGINT


# ---- which host ----

@case
def the_best_connected_host_is_taken_then_the_one_with_most_left():
    lab()
    assert LAB.run("pick", "-n", "2", "--on", "gpu3,gpu2,gpu1").out.startswith("gpu2 GPU-")
    store = Store(LAB.hosts[1].where, "dgx1-volta")
    holder = Holder(store, ["-n", "2"], HOLD)
    try:
        # Two pairs of links each; at gpu1 more is left.
        assert LAB.run("pick", "-n", "2", "--on", "gpu3,gpu2,gpu1").out.startswith("gpu1 GPU-")
        document = json.loads(LAB.run("pick", "-n", "2", "--json", "--on", "gpu2,gpu1").out)
        assert [host["answer"]["left"] for host in document["hosts"]] == [4, 6], document
        # Eight are to be had at one host only.
        result = LAB.run("run", "-n", "8", "--on", "lab", "--", "sh", "-c", "echo $GPUALLOC_STATE_DIR")
        assert result.out.strip() == LAB.hosts[0].store, result
        busy = LAB.run("run", "-n", "8", "--on", "gpu2,gpu3", "true")
        assert busy.code == 75 and "gpu2: " in busy.err and "gpu3: " in busy.err, busy
    finally:
        assert holder.end() == 0
    assert LAB.run("run", "-n", "9", "--on", "lab", "true").code == 78


@case
def a_hold_is_at_one_host_and_released_there():
    result = lab().run("hold", "--on", "gpu3,gpu1", "-n", "4", "--for", "10m")
    host, lease = result.out.split()
    assert host == "gpu1" and result.err == "", result
    document = json.loads(LAB.run("leases", "--json", "--on", "gpu1").out)
    assert document["hosts"][0]["answer"]["leases"][0]["id"] == lease, document
    assert LAB.run("release", "--on", "lab", lease).code == 0
    assert is_free(LAB.hosts[0])


# ---- whatever is killed ----

def lost(process, says=""):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 69 and says in err, (process.returncode, out, err)
    assert "gpu1: the connection was lost" in err and "the command there is ended (with --keep it would go on)" in err, err


@case
def a_client_that_is_killed_ends_the_command():
    process = stay("--on", "gpu1", "-n", "8")
    process.kill()
    assert is_free(lab().hosts[0])
    process.communicate()


@case
def an_ssh_that_is_killed_ends_the_command():
    for which in (0, 1):  # the tether, the session
        process = stay("--on", "gpu1", "-n", "8")
        tether = [pid for pid in children(process.pid) if "ControlMaster=yes" in command_of(pid)]
        session = [pid for pid in children(process.pid) if "ControlMaster=no" in command_of(pid)]
        assert len(tether) == len(session) == 1, (tether, session)
        os.kill([tether, session][which][0], signal.SIGKILL)
        lost(process)
        assert is_free(lab().hosts[0])


@case
def an_sshd_that_is_killed_ends_the_command():
    process = stay("--on", "gpu1", "-n", "8")
    pid = parent(pids(lab().hosts[0])[0])
    while "sshd" not in command_of(pid)[0]:
        pid = parent(pid)
    os.kill(pid, signal.SIGKILL)
    lost(process)
    assert is_free(LAB.hosts[0])


@case
def a_gpualloc_there_that_is_killed_ends_the_command():
    for which in ("tether", "session"):
        process = stay("--on", "gpu1", "-n", "8")
        tether, others = pids(lab().hosts[0])
        session, = [pid for pid in others if pid != tether and "remote" in command_of(pid)]
        os.kill(tether if which == "tether" else session, signal.SIGKILL)
        if which == "tether":
            lost(process)
        else:
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 137, process.returncode
        assert is_free(LAB.hosts[0])


@case
def a_host_that_is_down_is_a_failed_transport():
    lab().extra["down"] = free_port()
    LAB.configure()
    result = LAB.run("run", "--on", "down", "true")
    assert result.code == 69 and "down: " in result.err and "Connection refused" in result.err, result
    assert LAB.run("run", "--on", "down,gpu1", "-q", "true").code == 0
    left = [name for _, _, names in os.walk(LAB.sockets) for name in names]
    assert not left, f"sockets are left: {left}"


@case
def a_connection_that_the_user_keeps_open_is_used():
    lab()
    control = os.path.join(LAB.sockets, "own")
    LAB.make_ssh(f'exec ssh -F {WHERE.name}/ssh_config -o ControlPath={control} "$@"')
    master = subprocess.Popen([LAB.ssh, "-M", "gpu1", "echo open; cat"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        # The wrapper's option comes before ours, and the first one counts.
        assert line_of(master) == "open\n"
        before = LAB.hosts[0].logged().count("Accepted publickey")
        result = LAB.run("run", "--on", "gpu1", "--", "sh", "-c", "echo here; exit 3")
        assert (result.code, result.out, result.err) == (3, "here\n", ""), result
        assert LAB.run("list", "--on", "gpu1").code == 0
        assert LAB.hosts[0].logged().count("Accepted publickey") == before
    finally:
        master.communicate()
        LAB.configure()


# ---- waiting ----

@case
def whoever_waits_everywhere_runs_where_it_can_first_and_keeps_at_one_host():
    stores = [Store(host.where, host.machine) for host in lab().hosts[:2]]
    holders = [Holder(store, ["-n", "8"], HOLD) for store in stores]
    waiter = start("--on", "gpu1,gpu2", "-n", "8", "--wait", "--", "sh", "-c",
                   "echo $GPUALLOC_STATE_DIR")
    said = {waiter.stderr.readline().split(":")[1].strip() for _ in range(2)}
    assert said == {"gpu1", "gpu2"}, said
    half = [json.loads(host.run("leases", "--json").out)["waiting"] for host in LAB.hosts[:2]]
    assert [len(waiting) for waiting in half] == [1, 1], half
    # Nothing is kept at the second host: somebody who comes later gets what is free there.
    assert holders[1].end() == 0
    out, err = waiter.communicate(timeout=PATIENCE)
    assert waiter.returncode == 0 and out.strip() == LAB.hosts[1].store, (out, err)
    assert holders[0].end() == 0
    assert all(is_free(host) for host in LAB.hosts[:2])


@case
def nothing_is_kept_at_the_second_host():
    stores = [Store(host.where, host.machine) for host in lab().hosts[:2]]
    holders = [Holder(store, ["-n", "4"], HOLD) for store in stores]
    waiter = start("--on", "gpu1,gpu2", "-n", "8", "--wait", "true")
    for _ in range(2):
        waiter.stderr.readline()
    kept = [json.loads(host.run("leases", "--json").out)["waiting"][0]["keeps"]
            for host in LAB.hosts[:2]]
    assert [len(uuids) for uuids in kept] == [4, 0], kept
    assert stores[1].run("-n", "4", "true").code == 0
    assert stores[0].run("-n", "4", "true").code == 75
    waiter.kill()
    waiter.communicate()
    assert [holder.end() for holder in holders] == [0, 0]
    assert all(is_free(host) for host in LAB.hosts[:2])


@case
def two_who_wait_at_the_same_two_hosts_do_not_deadlock():
    crowd = [start("--on", hosts, "-n", "8", "--wait", "true")
             for hosts in ("gpu1,gpu2", "gpu2,gpu1") * 3]
    for process in crowd:
        out, err = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, (process.returncode, out, err)
    assert all(is_free(host) for host in LAB.hosts[:2])


@case
def a_wait_that_is_over_says_so():
    holder = Holder(Store(lab().hosts[2].where, "rtx8000x4"), ["-n", "4"], HOLD)
    result = LAB.run("run", "--on", "gpu3", "--wait=100ms", "true")
    assert holder.end() == 0
    assert result.code == 124 and result.out == "" and "gpu3: " in result.err, result


# ---- without the connection ----

def kept(*words):
    """The process, and the lease's id, by the first line that the command prints."""
    process = start("--on", "gpu1", "--keep", "-n", "8", "--env", "GO=" + WHERE.name, *words, "--",
                    "sh", "-c", "echo $GPUALLOC_LEASE; read line <$GO/go; echo $line; exit 6")
    return process, line_of(process).strip()


@case
def what_is_kept_goes_on_without_the_connection_and_its_log_says_how():
    lab().hosts[0].env["XDG_STATE_HOME"] = WHERE.name
    LAB.hosts[0].stop()
    LAB.hosts[0].start()
    LAB.configure()
    os.mkfifo(os.path.join(WHERE.name, "go"))
    # With the connection it is as without --keep.
    process, lease = kept()
    with open(os.path.join(WHERE.name, "go"), "w", encoding="utf-8") as go:
        go.write("hello\n")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (6, "hello\n", ""), (process.returncode, out, err)
    for which in ("client", "ssh", "hangup"):
        process, lease = kept()
        tether = [pid for pid in children(process.pid) if "ControlMaster=yes" in command_of(pid)]
        if which == "hangup":
            process.send_signal(signal.SIGHUP)
        else:
            os.kill(process.pid if which == "client" else tether[0], signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
        if which != "client":
            assert process.returncode == 69 and f"`gpualloc log --on gpu1 {lease}`" in err, err
        assert json.loads(LAB.hosts[0].run("leases", "--json").out)["leases"][0]["id"] == lease
        assert LAB.run("log", "--on", "gpu1", lease).out == f"gpu1:\n{lease}\n"
        follower = subprocess.Popen([cli.GPUALLOC, "log", "--follow", lease], text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=cli.environment(**LAB.hosts[0].env))
        with open(os.path.join(WHERE.name, "go"), "w", encoding="utf-8") as go:
            go.write("later\n")
        out, err = follower.communicate(timeout=PATIENCE)
        assert out == f"{lease}\nlater\n" and "ended with status 6" in err, (out, err)
        assert is_free(LAB.hosts[0])
    assert LAB.run("log", "--on", "gpu1", "0000000000").code == 77
    assert LAB.run("log", "--on", "gpu1", "../x").code == 77


@case
def a_signal_ends_what_is_kept():
    process, _ = kept()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, process.returncode
    assert is_free(LAB.hosts[0])


# ---- the other end, without ssh ----

def request(*words, **options):
    text = "".join(f"{word}\0" for word in words).encode()
    process = subprocess.Popen([cli.GPUALLOC, "remote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=cli.environment(**options), bufsize=0)
    process.stdin.write(b"gpualloc-request 1 %d\n" % len(text) + text)
    return process


def event(process):
    while True:
        assert select.select([process.stdout], [], [], PATIENCE)[0], "nothing was said"
        line = process.stdout.readline()
        if not line or line.startswith(b"{"):
            return json.loads(line) if line else None


@case
def what_is_granted_is_dropped_unless_somebody_says_go():
    with folder() as where:
        store = Store(where, "dgx1-volta")
        for last in (b"", b"stop\n", b"ping\n"):
            process = request("mjob", "arun", "a-n8", "atrue", GPUALLOC_MACHINE="dgx1-volta",
                              GPUALLOC_STATE_DIR=store.path)
            granted = event(process)
            assert granted["event"] == "granted" and granted["schema"] == 1, granted
            assert len(store.leases()["leases"]) == 1
            out, err = process.communicate(last, timeout=PATIENCE)
            assert process.returncode == 0 and b"ready" not in out, (out, err)
            assert store.is_free()


@case
def silence_ends_what_waits_and_what_was_granted():
    with folder() as where:
        store = Store(where, "dgx1-volta")
        env = {"GPUALLOC_MACHINE": "dgx1-volta", "GPUALLOC_STATE_DIR": store.path}
        process = request("mjob", "s1", "arun", "a-n8", "atrue", **env)
        assert event(process)["event"] == "granted"
        # Its input stays open, and nothing comes.
        assert process.wait(timeout=PATIENCE) == 0
        assert store.is_free()
        process.communicate()
        holder = store.hold("-n", "8")
        process = request("mjob", "s1", "arun", "a-n8", "a--wait", "atrue", **env)
        assert process.wait(timeout=PATIENCE) == 124
        process.communicate()
        assert holder.end() == 0 and store.is_free()


@case
def only_a_run_is_a_job_and_only_its_token_is_a_session():
    with folder() as where:
        for words, status in ((["alist"], 65), (["arun", "a--bind", "atrue"], 64),
                              (["arun"], 64), (["arun", "anonexistent"], 127)):
            process = request("mjob", *words, GPUALLOC_STATE_DIR=where + "/store",
                              GPUALLOC_MACHINE="dgx1-volta")
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == status, (words, out, err)
    for token in ("x", "0" * 32, "../../etc", ""):
        assert cli.run("remote", token).code == 69, token


if __name__ == "__main__":
    try:
        main()
    finally:
        if LAB:
            LAB.__exit__()
        WHERE.cleanup()
