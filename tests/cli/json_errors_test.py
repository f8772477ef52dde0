#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""With --json whatever is said on stderr is JSON too: one document a line, an error or a note."""
import json
import os
import subprocess

import cli
from cli import GPUALLOC, case, environment, folder, main
from leasing import store

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
    assert {"list", "hold", "leases", "pick", "usage", "topo"} <= set(commands), commands
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
def whatever_bytes_are_quoted_it_is_a_document():
    for word in ("\udcff\udc80", "\033[31m\a\"\\\n", "a" * 20000, "\u202e", "\ud83d\ude00"[:1]):
        try:
            error = error_of(64, "list", "--json", word, kind="usage")
        except UnicodeEncodeError:
            continue
        assert "\033" not in error["message"], error


main()
