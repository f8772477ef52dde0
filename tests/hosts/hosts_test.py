#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--on: several hosts, each a real sshd, asked as one; and hosts that are down, slow, older or lie."""
import fcntl
import json
import os
import pty
import select
import shlex
import shutil
import stat
import struct
import subprocess
import termios

import cli
import sshd
from cli import Skip, case, folder, main, ok, refused
from leasing import HOLD, PATIENCE, Holder, Store
from ports import free_port

WHERE = folder()
LAB = None


def lab():
    global LAB
    if LAB is None:
        why = sshd.missing()
        if why:
            raise Skip(why)
        LAB = sshd.Lab(WHERE.name).__enter__()
    LAB.write("\n".join(f"{host.name} lab" for host in LAB.hosts))
    return LAB


def hosts_file(text):
    path = os.path.join(WHERE.name, "other-hosts")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return {"GPUALLOC_HOSTS": path, "GPUALLOC_SSH": "/bin/false"}


def program(name, body):
    """Something else under the name of gpualloc; a word for the hosts file."""
    path = os.path.join(WHERE.name, name)
    with open(path, "w", encoding="utf-8") as script:
        script.write("#!/bin/sh\n" + body + "\n")
    os.chmod(path, stat.S_IRWXU)
    return f"gpualloc={path}"


# ---- the hosts file ----

@case
def a_mistake_in_the_hosts_file_is_named_with_its_line():
    for text, says in {
            "gpu1 lab\n-oProxyCommand=x\n": ":2: \"-oProxyCommand=x\" cannot be a host",
            "gpu1\n\n# x\ngpu1\n": ":4: the host gpu1 is there twice",
            "gpu1 " + " ".join(f"g{i}" for i in range(100000)): ":1: g64 is one group too many",
            "gpu1 colour=red\n": ":1: there is no option \"colour=red\"; gpualloc=PATH is one",
            "gpu1 gpualloc=a;b\n": ":1: gpualloc=a;b: the path of gpualloc",
            "gpu1 gpualloc=\n": ":1: gpualloc=: the path",
            "gpu1 a/b\n": ":1: \"a/b\" cannot be a group",
            "gpu1 lab lab\n": ":1: the group lab is there twice",
            "all lab\n": ":1: \"all\" means all hosts",
            "gpu1 all\n": ":1: \"all\" cannot be a group",
            "gpu1 lab\nlab\n": ":2: lab is the name of a host and of a group",
            "gpu$(x) lab\n": ":1: \"gpu$(x)\" cannot be a host",
            "a@-b lab\n": ":1: \"a@-b\" cannot be a host",
            "gpu1 \0\n": ":1: the line has a NUL byte",
            "".join(f"h{i}\n" for i in range(257)): ":257: h256 is one host too many"}.items():
        refused(65, "list", "--on", "all", env=hosts_file(text), says=[says])


@case
def what_is_no_host_never_reaches_ssh():
    env = hosts_file("gpu1 lab\n")
    for words in ["-oProxyCommand=x", "gpu1,-x", "a b", "a;b", "$x", "a@-b"]:
        refused(64, "list", f"--on={words}", env=env, says=["is neither a host for ssh nor a group"])
    refused(64, "list", "--on=,", env=env, says=["--on needs a host"])
    refused(64, "list", "--on=all", env=hosts_file("# nobody\n"), says=["no hosts are listed in"])
    refused(69, "list", "--on=gpu1", env=env | {"GPUALLOC_SSH": "/nonexistent/ssh"},
            says=["--on needs OpenSSH's ssh"])


@case
def a_word_that_is_neither_host_nor_group_is_said_to_be_none():
    fails = program("fails", "echo ssh: Could not resolve hostname x: Name or service not known >&2; exit 255")
    env = hosts_file("gpu1 lab\n") | {"GPUALLOC_SSH": fails.removeprefix("gpualloc=")}
    for words in (["list"], ["run", "true"]):
        refused(69, words[0], "--on=labs", *words[1:], env=env, says=["no group of this name"])
        assert "no group" not in cli.run(words[0], "--on=gpu1", *words[1:], env=env).err


@case
def completion_offers_hosts_and_groups():
    out = ok("completion", "hosts", env=hosts_file("gpu1 lab big\ngpu2 lab # x\n"))
    assert out == "all\tall 2\ngpu1\thost\nlab\tgroup\nbig\tgroup\ngpu2\thost\n", out


# ---- looking ----

@case
def several_hosts_are_one_table():
    result = lab().run("list", "--on", "lab")
    assert result.code == 0 and result.err == "", result
    lines = result.out.splitlines()
    assert lines[0] == "3 hosts: 20 devices, 20 free", result
    assert lines[2].split()[:4] == ["HOST", "GPU", "NAME", "STATE"], result
    assert [line.split()[:2] for line in lines[3:]] == \
        [["gpu1", str(i)] for i in range(8)] + [["gpu2", str(i)] for i in range(8)] + \
        [["gpu3", str(i)] for i in range(4)], result
    assert cli.widest(result.out) <= 80, result


@case
def leases_of_several_hosts_are_one_table():
    host = lab().hosts[1]
    store = Store(os.path.join(WHERE.name, "gpu2"), host.machine)
    holder = Holder(store, ["-n", "2", "--note", "mine"], HOLD)
    result = LAB.run("leases", "--on", "all")
    listed = LAB.run("list", "--on", "gpu2,gpu1")
    pids = LAB.run("leases", "--on", "gpu2", "--pids", result.out.splitlines()[1].split()[1])
    assert holder.end() == 0
    assert pids.out.startswith("gpu2:\n") and str(holder.process.pid) in pids.out.split(), pids
    line = result.out.splitlines()[1].split()
    assert line[0] == "gpu2" and line[4] == "2" and "sh -c echo" in result.out, result
    assert "16 devices, 14 free" in listed.out and listed.out.count("leased") == 2, listed
    assert lab().run("leases", "--on", "all").out == "no leases on 3 hosts\n"


@case
def json_has_each_host_with_its_answer_or_its_error():
    lab().extra["closed"] = free_port()
    LAB.configure()
    result = LAB.run("list", "--json", "--on", "gpu1,closed")
    assert result.code == 0, result
    document = json.loads(result.out)
    assert document["schema"] == 1 and document["command"] == "list", document
    here, closed = document["hosts"]
    assert here["host"] == "gpu1" and here["status"] == 0 and here["error"] is None
    assert here["answer"] == json.loads(LAB.hosts[0].run("list", "--json").out), here
    assert closed["status"] == 69 and closed["answer"] is None
    assert "Connection refused" in closed["error"], closed
    assert "closed: " in result.err and "Connection refused" in result.err, result


@case
def other_commands_show_each_host_below_its_name():
    result = lab().run("explain", "-n", "2", "--on", "gpu1,gpu3")
    assert result.code == 0 and result.err == "", result
    parts = result.out.split("\n\ngpu3:\n")
    own = LAB.hosts[0].run("explain", "-n", "2").out
    assert parts[0] + "\n" == "gpu1:\n" + own, result
    lines = LAB.run("list", "--csv", "--on", "gpu1,gpu3").out.splitlines()
    assert lines[0].startswith("host,index,uuid") and len(lines) == 13, lines
    assert lines[1].startswith("gpu1,0,GPU-") and lines[12].startswith("gpu3,3,GPU-"), lines
    impossible = LAB.run("explain", "-n", "9", "--on", "gpu1,gpu3")
    assert impossible.code == 78 and impossible.out == "", impossible
    assert "gpualloc: gpu1: " in impossible.err and "gpualloc: gpu3: " in impossible.err, impossible


@case
def watching_keeps_one_connection_a_host_and_shows_who_does_not_answer():
    lab().extra["closed"] = free_port()
    LAB.configure()
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 200, 0, 0))
    screen = subprocess.Popen([cli.GPUALLOC, "list", "--watch", "--interval", "200ms", "--on",
                               "gpu1,gpu3,closed"], env=cli.environment(**LAB.env()),
                              stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)

    def until(*words):
        shown = b""
        while not all(word in shown for word in words):
            assert select.select([master], [], [], PATIENCE)[0], shown
            shown += os.read(master, 65536)

    until(b"gpu1 7", b"gpu3 3", b"Connection refused", b"3 hosts")
    holder = Holder(Store(LAB.hosts[2].where, "rtx8000x4"), ["-n", "1"], HOLD)
    until(b"leased", b"gpu3 0")
    assert holder.end() == 0
    logs = [LAB.hosts[i].logged().count("Accepted publickey") for i in (0, 2)]
    until(b"gpu1 7")
    until(b"gpu1 7")
    assert logs == [LAB.hosts[i].logged().count("Accepted publickey") for i in (0, 2)], logs
    os.write(master, b"q")
    while True:
        try:
            if not os.read(master, 65536):
                break
        except OSError:
            break
    assert screen.wait(PATIENCE) == 0
    os.close(master)
    assert os.listdir(LAB.sockets) == [], os.listdir(LAB.sockets)


# ---- hosts that do not answer ----

@case
def a_host_without_an_answer_is_a_line_and_hides_nobody():
    good = json.dumps({"schema": 1, "command": "list", "devices": []})
    greeting = "cat >/dev/null; echo; echo gpualloc-remote"
    trouble = {
        "older": ('echo "gpualloc: \\"remote\\" is not a command of gpualloc 0.0.1, which has list" >&2;'
                  ' exit 64', "its gpualloc is older than --on; update it"),
        "garbage": (greeting + " 1 9; printf '\\033[2J]{'", "what came back is no JSON"),
        "newer": (greeting + " 1 9; echo '{\"schema\":2,\"command\":\"list\"}'", "has schema 2"),
        "protocol": (greeting + " 2 9; echo", "speaks protocol 2, and this one 1: update the older"),
        "other": (greeting + " 1 9; echo '{\"schema\":1,\"command\":\"leases\"}'", "not what list"),
        "wrong": (greeting + " 1 9; echo '[1]'", "has schema 0"),
        "silent": ("exit 3", "does not answer as gpualloc does (exit status 3)"),
        "deaf": ("exec <&-; echo hello", "does not answer as gpualloc does (exit status 0)"),
        "endless": (greeting + " 1 9; exec cat /dev/zero", "sent more than 32 MiB"),
        "hung": ("exec sleep 1000", "did not answer within 20 s"),
        "chatty": (f"echo welcome; {greeting} 1 9; echo '{good}'", None),
    }
    lab().extra.update({name: LAB.hosts[0].port for name in trouble})
    LAB.configure()
    LAB.write("\n".join([f"{name} {program(name, body)}" for name, (body, _) in trouble.items()] +
                        ["gpu1", "nothing gpualloc=/nonexistent/gpualloc"]))
    LAB.extra["nothing"] = LAB.hosts[0].port
    LAB.configure()
    result = LAB.run("list", "--deadline", "10s", "--on", "all")
    assert result.code == 0 and "2 hosts: 8 devices" in result.out, result
    assert "\033" not in result.err, result
    said = dict(line.removeprefix("gpualloc: ").split(": ", 1) for line in result.err.splitlines())
    for name, (_, says) in trouble.items():
        assert says is None or says in said[name], (name, says, result.err)
    assert "has no /nonexistent/gpualloc that ssh finds" in said["nothing"], result.err
    assert "chatty" not in said and "gpu1" not in said, result.err
    alone = LAB.run("list", "--on", "silent")
    assert alone.code == 69 and alone.out == "", alone


@case
def what_a_host_prints_cannot_make_the_terminal_do_anything():
    lab()
    LAB.extra["evil"] = LAB.hosts[0].port
    LAB.configure()
    body = r"cat >/dev/null; printf '\ngpualloc-remote 1 9\na\033[2J\302\233b\377c\341\230\203d\n'"
    LAB.write(f"evil {program('evil', body)}")
    for words in (["explain"], ["list", "--csv"], ["topo"]):
        result = LAB.run(*words, "--on", "evil")
        assert result.code == 0 and result.err == "", result
        assert b"a?[2J?b?c\xe1\x98\x83d\n" in result.raw.replace(b"??", b"?"), result.raw


@case
def a_key_that_is_missing_and_a_host_key_that_is_another_are_named():
    lab()
    config = os.path.join(WHERE.name, "ssh_config")
    with open(config, encoding="utf-8") as file:
        text = file.read()
    with open(config, "w", encoding="utf-8") as file:
        file.write(text.replace(f"IdentityFile {LAB.key}\n", "IdentityFile none\n"))
    result = LAB.run("list", "--on", "gpu1")
    assert result.code == 69 and "asks for a password, or for a key that is not here" in result.err, \
        result
    with open(config, "w", encoding="utf-8") as file:
        file.write(text.replace("HostKeyAlias lab", "HostKeyAlias other"))
    result = LAB.run("list", "--on", "gpu1")
    assert result.code == 69 and "Host key verification failed" in result.err, result
    LAB.configure()


@case
def any_login_shell_will_do():
    """sshd hands the user's shell a line; whichever that is, the words are the same."""
    shells = [shell for shell in ("sh", "bash", "dash", "zsh", "tcsh", "csh", "fish")
              if shutil.which(shell)]
    assert len(shells) >= 2, shells
    lab()
    note = "a 'b' \"c\" $(d) `e` \\ {f} !g ~ *"
    for shell in shells:
        # What ssh is given after the host is what it would send.
        LAB.make_ssh('while [ "$1" != -- ]; do shift; done; shift 2; '
                     f"PATH={shlex.quote(LAB.binaries)}:$PATH GPUALLOC_MACHINE=dgx1-volta "
                     f"exec {shell} -c \"$*\"")
        result = LAB.run("release", "--on", "gpu1", note)
        assert result.code == 77, (shell, result)
        assert f'you have no lease "{note}"' in result.err, (shell, result)
    LAB.configure()


@case
def remote_takes_only_requests():
    for text, says in {"": "there is no request on standard input",
                       "hello\n": "does not begin with a request",
                       "gpualloc-request 2 0\n": "another version's words",
                       "gpualloc-request 1 99999999\n": "too large",
                       "gpualloc-request 1 -1\n": "too large",
                       "gpualloc-request 1 9\nmask\0alis": "cut off",
                       "gpualloc-request 1 4\nmask": "cut off",
                       "gpualloc-request 1 0\n": "cut off",
                       "gpualloc-request 1 5\nmask\0": "has no command",
                       "gpualloc-request 1 5\nmxyz\0": "a mode that is not known",
                       "gpualloc-request 1 3\nzx\0": "a word that is not known",
                       "gpualloc-request 1 3\nv=\0": "a variable without a name",
                       "gpualloc-request 1 4\ns99\0": "a silence out of range"}.items():
        result = remote(text.encode())
        assert result.code == 65 and says in result.err and result.out == "", (text, result)
    result = remote(b"gpualloc-request 1 14\nmask\0aversion\0after")
    assert result.code == 0 and result.out.startswith("\ngpualloc-remote 1 "), result
    assert result.out.splitlines()[2] == ok("version").strip(), result


def remote(data):
    done = subprocess.run([cli.GPUALLOC, "remote"], input=data, capture_output=True, timeout=60,
                          env=cli.environment())
    return cli.Result(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


if __name__ == "__main__":
    try:
        main()
    finally:
        if LAB:
            LAB.__exit__()
        WHERE.cleanup()
