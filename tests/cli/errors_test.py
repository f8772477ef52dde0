#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong: the exit status, a sentence that helps, and nothing on stdout."""
import fcntl
import json
import os
import subprocess
import termios

from cli import (GPUALLOC, Skip, case, environment, folder, is_sanitized, machine_file, main, ok,
                 refused, run)

NOWHERE = {"PATH": "/nonexistent", "GPUALLOC_NVML": "/nonexistent"}


def written(where, content, name="machine.json"):
    path = os.path.join(where, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


@case
def a_wrong_command_line_is_64():
    for words in (["list", "--no-such-thing"], ["list", "-x"], ["list", "-xq"], ["list", "extra"],
                  ["list", "--machine"], ["snapshot", "-o"], ["list", "--csv=yes"],
                  ["help", "list", "topo"], ["topo", "list"], ["version", "--machine", "dgx2"]):
        says = refused(64, *words)
        assert f"Try `gpualloc {words[0]} --help`." in says, says
    refused(64, "--nothing", says=["Try `gpualloc --help`."])
    refused(64, "--machine", "dgx2", "list", says=["gpualloc list --machine"])
    refused(64, "list", "--machine", says=["--machine needs a value"])
    refused(64, "list", "-q", "extra", says=['"extra"'])


@case
def an_unknown_machine_is_64():
    refused(64, "list", "--machine", "no-such-machine", says=["no-such-machine", "dgx1-volta"])
    refused(64, "list", "--machine", "", says=["dgx1-volta"])
    refused(64, "list", "--machine", "/nonexistent/machine.json", says=["No such file"])
    refused(64, "list", env={"GPUALLOC_MACHINE": "no-such-machine"}, says=["no-such-machine"])


@case
def durations_are_read_strictly():
    for word in ("10", "s", "-1s", "1.5s", "10 s", "10S", "0s", "25h", "1:30", "", "99999999999ms",
                 "0x10s", "+1s", "30m1h"):
        refused(64, "list", "--machine", "dgx2", f"--deadline={word}",
                says=[f'--deadline: "{word}" '])
    refused(64, "list", "--machine", "dgx2", "--deadline=10", says=["did you mean 10s"])
    for word in ("1ms", "500ms", "10s", "2m", "24h", "1m30s", "0:00:10"):
        ok("list", "--machine", "dgx2", "--deadline", word)
    refused(64, "list", "--machine", "dgx2", env={"GPUALLOC_DEADLINE": "soon"},
            says=["GPUALLOC_DEADLINE", "soon"])
    ok("list", "--machine", "dgx2", "--deadline", "1s", env={"GPUALLOC_DEADLINE": "soon"})
    ok("version", env={"GPUALLOC_DEADLINE": "soon"})


@case
def a_bad_file_is_65_and_names_the_place():
    with folder() as where:
        path = written(where, b'{"gpualloc_machine": 1,\n "devices": [}\n')
        for command in ("list", "topo", "snapshot"):
            refused(65, command, "--machine", path, says=[path, "line 2"])
        path = written(where, b'{"gpualloc_machine": 1, "devices": [{"index": 0}, {"index": 1}],'
                              b' "pcie": [["X", "PIX"], ["SYS", "X"]]}')
        refused(65, "list", "--machine", path, says=[path, "pcie[1][0]"])
        path = written(where, b'{"gpualloc_machine": 1, "devices": [{"index": "0"}]}')
        refused(65, "list", "--machine", path, says=[path, "devices[0].index"])
        for content in (b"", b"hello\n", b"\0\1\2", b"[]", b"{}", b"\xff\xfe"):
            refused(65, "list", "--machine", written(where, content), says=[path])
        refused(65, "list", "--machine", where, says=["directory"])


@case
def no_file_can_put_escape_codes_on_the_terminal():
    with folder() as where:
        path = written(where, b"x", "\033[31mred\a.json")
        assert "\033" not in refused(65, "list", "--machine", path)
        assert "\033" not in refused(64, "list", "--machine", "\033[31m")
        assert "\033" not in refused(64, "\033[31m")
        path = written(where, b'{"gpualloc_machine": 1, "name": "\\u001b[31m", "devices": '
                              b'[{"index": 0, "name": "a\\u001b]0;b\\u0007c"}], "pcie": [["X"]]}')
        for words in (["list"], ["list", "--csv"], ["topo"], ["topo", "--svg", "-"]):
            assert "\033" not in ok(*words, "--machine", path), words


@case
def a_lack_of_permission_is_77():
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with folder() as where:
        try:
            run("version", **nobody)
        except PermissionError as error:
            raise Skip("only root reaches this build") from error
        os.chmod(where, 0o555)
        path = written(where, b"{}") if nobody else "/etc/shadow"
        if nobody:
            os.chmod(path, 0o600)
        refused(77, "list", "--machine", path, says=[path, "Permission denied"], **nobody)
        refused(77, "snapshot", "-o", os.path.join(where, "x"), "--machine", "dgx2",
                says=["Permission denied"], **nobody)
        os.chmod(where, 0o700)


@case
def no_driver_is_69_with_what_was_tried_and_what_to_do():
    for command in ("list", "topo", "snapshot"):
        refused(69, command, env=NOWHERE, says=["--machine dgx1-volta"])
    says = refused(69, "list", env=NOWHERE)
    if "/nonexistent" not in says:
        raise Skip("this build has no source that asks a driver")
    assert "nvidia-smi" in says, says


@case
def the_environment_names_a_machine_and_the_option_wins():
    env = {"GPUALLOC_MACHINE": "rtx8000x4"}
    assert ok("list", env=env) == ok("list", "--machine", "rtx8000x4")
    assert ok("list", "--machine", "dgx2", env=env) == ok("list", "--machine", "dgx2")
    refused(69, "list", env={**NOWHERE, "GPUALLOC_MACHINE": ""})


@case
def a_full_disk_is_74_with_a_sentence():
    for words in (["list"], ["list", "--json"], ["list", "--csv"], ["topo"], ["topo", "--json"],
                  ["topo", "--svg", "-"], ["snapshot"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([GPUALLOC, *words, "--machine", "dgx2"], stdout=full,
                                  stderr=subprocess.PIPE, env=environment(), check=False)
        assert done.returncode == 74, (words, done)
        sentence = b"cannot write to stdout: No space left on device"
        if "--json" in words:
            assert json.loads(done.stderr)["error"]["message"].encode() == sentence, done
        else:
            assert done.stderr == b"gpualloc: " + sentence + b"\n", done
    with open("/dev/full", "wb") as full:
        for words in (["help"], ["--help"], ["version"], ["completion", "bash"], ["list", "-h"]):
            assert subprocess.run([GPUALLOC, *words], stdout=full, stderr=subprocess.DEVNULL,
                                  env=environment(), check=False).returncode == 74, words


@case
def a_closed_stdout_is_74_and_no_file_takes_its_place():
    with folder() as where:
        path = os.path.join(where, "machine.json")
        ok("snapshot", "-o", path, "--machine", "dgx2")
        before = open(path, "rb").read()
        done = subprocess.run(["sh", "-c", '"$0" list --machine "$1" >&-', GPUALLOC, path],
                              stderr=subprocess.PIPE, env=environment(), check=False)
        assert done.returncode == 74 and b"cannot write to stdout" in done.stderr, done
        assert open(path, "rb").read() == before
        done = subprocess.run(["sh", "-c", '"$0" list --machine "$1" 2>&- <&-', GPUALLOC, path],
                              stdout=subprocess.PIPE, env=environment(), check=False)
        assert done.returncode == 0 and done.stdout.startswith(b"dgx2"), done


@case
def a_broken_pipe_is_quiet():
    for restore in (True, False):  # SIGPIPE as usual, and ignored
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([GPUALLOC, "topo", "--machine", "nvl72"], stdout=writer,
                              stderr=subprocess.PIPE, restore_signals=restore, env=environment(),
                              check=False)
        os.close(writer)
        assert done.stderr == b"" and done.returncode != 0, done


def peak_of(*words):
    """Exit status, stderr and the most memory in bytes that a command had."""
    child = subprocess.Popen([GPUALLOC, *words], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, env=environment())
    says = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, says, usage.ru_maxrss * 1024


@case
def a_gibibyte_of_garbage_is_refused_within_bounded_memory():
    with folder() as where:
        path = os.path.join(where, "garbage.json")
        with open(path, "wb") as file:
            file.write(b"{")
            file.truncate(1 << 30)
        code, says, peak = peak_of("list", "--machine", path)
        assert code == 65 and path.encode() in says, (code, says)
        assert is_sanitized() or peak < 200 << 20, peak
        code, says, peak = peak_of("list", "--machine", "/dev/zero")
        assert code == 65 and b"/dev/zero" in says, (code, says)
        assert is_sanitized() or peak < 400 << 20, peak


@case
def a_fifo_is_read_to_its_end():
    with folder() as where:
        path = os.path.join(where, "fifo")
        os.mkfifo(path)
        child = subprocess.Popen([GPUALLOC, "list", "--machine", path], stdout=subprocess.PIPE,
                                 env=environment())
        with open(machine_file("busy.json"), "rb") as source, open(path, "wb") as fifo:
            content = source.read()
            fifo.write(content[:100])
            fifo.flush()
            while fcntl.ioctl(fifo, termios.FIONREAD, bytes(4)) != bytes(4) and not child.poll():
                os.sched_yield()  # until the first part has been read
            fifo.write(content[100:])
        assert child.communicate()[0].startswith(b"node7: 3 GPUs") and child.returncode == 0


@case
def an_argument_list_without_a_name_does_not_crash():
    assert run("--").code == 64 and run("").code == 64


main()
