#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""With --json whatever is said on stderr is JSON too: one document a line, an error or a note."""
import json
import os
import subprocess

import cli
from cli import GPUALLOC, case, environment, folder, main
from leasing import HOLD, Holder, store

NOWHERE = {"PATH": "/nonexistent", "GPUALLOC_NVML": "/nonexistent"}


def said(result):
    """The errors and the notes on stderr; nothing else may be there, nor anything on stdout."""
    assert result.raw == b"", result
    documents = [json.loads(line) for line in result.err.splitlines()]
    assert documents and all(one.pop("schema") == 1 and len(one) == 1 for one in documents), result
    return ([one["error"] for one in documents if "error" in one],
            [one["note"] for one in documents if "note" in one])


def error_of(code, *words, kind, **options):
    result = cli.run(*words, **options)
    assert result.code == code, f"{words}: expected exit {code}: {result!r}"
    (error,), _ = said(result)
    assert error["status"] == code and error["kind"] == kind, error
    assert error["message"] and isinstance(error["remedies"], list), error
    return error


def commands_with_json():
    """Asked of the command itself, so that a new one is tested too."""
    words = [line.split()[0] for line in cli.ok("--help").splitlines() if line.startswith("  ")]
    return [word for word in words if word.isalpha() and
            "--json" in cli.run(word, "--help").out]


@case
def every_command_that_has_json_says_its_mistakes_in_json():
    commands = commands_with_json()
    assert {"list", "hold", "leases", "log", "pick", "release", "run", "usage", "topo"} <= \
        set(commands), commands
    for command in commands:
        error = error_of(64, command, "--json", "--no-such-option", kind="usage")
        assert "--no-such-option" in error["message"] and "gpualloc: " not in error["message"]
        assert error["remedies"] == [f"try `gpualloc {command} --help`"], error
        assert not cli.run(command, "--no-such-option").err.startswith("{")
    error_of(64, "list", "--json", "--csv", kind="usage")
    error_of(64, "list", "--json=yes", "--json", kind="usage")
    error_of(64, "pick", "--format", "json", "--count", "many", kind="usage")
    error_of(64, "pick", "--format=json", "--count", "many", kind="usage")
    assert cli.run("pick", "--format=uuid", "--count", "many").err.startswith("gpualloc: ")
    assert cli.run("list", "--", "--json").err.startswith("gpualloc: ")


@case
def the_kind_says_what_the_status_says():
    error_of(69, "list", "--json", kind="no-source", env=NOWHERE)
    error_of(78, "pick", "--json", "-n", "99", "--machine", "dgx2", kind="impossible")
    with folder() as where:
        path = os.path.join(where, "machine.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[]")
        error_of(65, "list", "--json", "--machine", path, kind="data")
        with store() as one:
            error_of(77, "leases", "--json", "--pids", "0123456789", kind="permission",
                     env={"GPUALLOC_STATE_DIR": one.path})
    with open("/dev/full", "wb") as full:
        done = subprocess.run([GPUALLOC, "list", "--json", "--machine", "dgx2"], stdout=full,
                              stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == 74 and json.loads(done.stderr)["error"]["kind"] == "io", done


@case
def what_is_busy_is_said_with_everybody_who_has_something():
    with store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        ours = ["--json", "--machine", one.machine]
        lease = cli.ok("hold", "--machine", one.machine, "-n", "8", "--for", "1h", "--note", "mine",
                       env=env).strip()
        errors = [error_of(75, "hold", *ours, "--for", "1h", kind="busy", env=env),
                  error_of(75, "pick", *ours, kind="busy", env=env),
                  error_of(75, "explain", *ours, kind="busy", env=env),
                  error_of(124, "hold", *ours, "--for", "1h", "--wait=10ms", "-q", kind="timeout",
                           env=env)]
        for error in errors:
            holder, = error["holders"]
            assert holder["id"] == lease and holder["note"] == "mine", error
            assert len(holder["devices"]) == 8 and holder["until"] > holder["since"], error
            assert lease in error["message"], error
        assert any("--wait" in remedy for remedy in errors[0]["remedies"]), errors[0]
        assert "holders" not in error_of(78, "pick", *ours, "-n", "9", kind="impossible", env=env)
        _, notes = said(cli.run("hold", *ours, "--for", "1h", "--wait=10ms", env=env))
        assert notes and notes[0].startswith("waiting"), notes
        one.ask("release", lease)


@case
def also_what_is_no_command_and_what_has_no_json():
    error_of(64, "nonsense", "--json", kind="usage")
    error_of(64, "--json", kind="usage")
    error_of(64, "--json", "list", kind="usage")
    error_of(64, "--json=1", kind="usage")
    error_of(64, "-n", "2", "run", "--json", "true", kind="usage")
    error_of(64, "completion", "--json", kind="usage")
    for word in ("--json=1", "--js=1"):
        error_of(64, "list", word, kind="usage")
        error_of(64, "run", word, "true", kind="usage")
    error_of(77, "log", "--json", "none", kind="permission")
    for others in (["nonsense", "--", "--json"], ["run", "--bogus", "echo", "--json"],
                   ["--bogus", "run", "echo", "--json"], ["run", "--note", "--json", "--bogus", "x"],
                   ["run", "--bogus", "--", "--json"]):
        result = cli.run(*others)
        assert result.code == 64 and result.err.startswith("gpualloc: "), (others, result)


@case
def run_says_json_until_the_command_says_what_it_likes():
    with store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        run = ["run", "--json", "--machine", one.machine]
        result = cli.run(*run, "--", "sh", "-c", "echo out; echo err >&2; exit 7", env=env)
        assert (result.code, result.out, result.err) == (7, "out\n", "err\n"), result
        error_of(127, *run, "no-such-program", kind="not-found", env=env)
        error_of(64, *run, "--wait=soon", "true", kind="usage", env=env)
        error_of(64, *run, "--container", "true", kind="usage", env=env)
        error_of(78, *run, "-n", "99", "true", kind="impossible", env=env)
        error_of(77, "run", "--json", "--in", "0123456789", "true", kind="permission", env=env)
        lease = cli.ok("hold", "--machine", one.machine, "-n", "8", "--for", "1h", env=env).strip()
        error = error_of(75, *run, "true", kind="busy", env=env)
        assert [holder["id"] for holder in error["holders"]] == [lease], error
        (error,), (note,) = said(cli.run(*run, "--wait=10ms", "true", env=env))
        assert error["status"] == 124 and note.startswith("waiting, next in the queue: "), note
        result = cli.run("run", "--json", "--machine", one.machine, "--ignore-leases", "echo", "--json",
                         env=env)
        assert result.out == "--json\n" and "note" in json.loads(result.err), result
        one.ask("release", lease)


@case
def release_says_what_was_ended_and_what_was_left():
    with store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        lease = cli.ok("hold", "--machine", one.machine, "--for", "1h", env=env).strip()
        holder = Holder(one, ["--in", lease], HOLD, machine=False)
        document = json.loads(cli.ok("release", "--json", lease, env=env))
        assert document["schema"] == 1 and document["command"] == "release", document
        ended, = document["leases"]
        assert ended["id"] == lease and not ended["ended"] and ended["unseen"] == 0, ended
        keeper, = (each for each in ended["processes"] if each["ended"])
        left, = (each for each in ended["processes"] if not each["ended"])
        assert keeper["left"] is None and keeper["command"].startswith("gpualloc-hold"), keeper
        assert left["pid"] == holder.process.pid and "--yes" in left["left"], left
        errors, notes = said(cli.run("release", "--json", lease, env=env))
        assert "--yes" in errors[0]["message"] and str(left["pid"]) in notes[1], notes
        ended, = json.loads(cli.ok("release", "--json", "--yes", lease, env=env))["leases"]
        assert ended["ended"] and [each["pid"] for each in ended["processes"]] == [left["pid"]]
        holder.end()
        error_of(77, "release", "--json", lease, kind="permission", env=env)


@case
def whatever_bytes_are_quoted_it_is_a_document():
    for word in ("\udcff\udc80", "\033[31m\a\"\\\n", "a" * 20000, "\u202e", "\ud83d\ude00"[:1]):
        try:
            error = error_of(64, "list", "--json", word, kind="usage")
        except UnicodeEncodeError:
            continue
        assert "\033" not in error["message"], error


main()
