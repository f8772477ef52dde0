#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Help, completion, manual and version: one table, and all four agree with it."""
import json
import os
import re
import subprocess

from cli import (BUILT_IN, GPUALLOC, ROOT, case, environment, folder, main, ok, refused, run,
                 widest)
from help_tables import commands, options


def manual(page):
    with open(os.path.join(ROOT, "..", "docs", page), encoding="utf-8") as file:
        return file.read()


@case
def alone_it_prints_help_to_stderr():
    result = run()
    assert result.code == 64 and result.raw == b"" and result.err == ok("--help"), result
    assert ok("help") == ok("--help") == ok("-h")
    for command in commands():
        assert ok("--help", command) == ok("-h", command) == ok("help", command), command
    refused(64, "--help", "lsit", says=["did you mean list?"])
    refused(64, "--help", "list", "topo", says=["topo"])
    assert commands() == ["cdi", "doctor", "explain", "hold", "kernelspec", "leases", "list", "log", "mcp",
                          "pick", "release", "run", "setup", "slurm", "snapshot", "topo", "usage",
                          "completion", "help", "remote", "version"]


@case
def every_command_explains_itself_in_80_columns():
    assert widest(ok("--help")) <= 80
    for command in commands():
        text = ok("help", command)
        assert text == ok(command, "--help") == ok(command, "-h"), command
        assert text.startswith(f"usage: gpualloc {command}"), text
        assert widest(text) <= 80, f"{command}: {widest(text)} columns"
        assert "help" in options(command), command
        if "machine" in options(command):
            for machine in BUILT_IN:
                assert re.search(rf"^  {machine} ", text, re.M), f"{command}: {machine}"


@case
def every_example_works():
    for command in commands():
        example = re.search(r"^example:\n  (.+)$", ok("help", command), re.M)
        assert example, command
        with folder() as where:
            os.symlink(GPUALLOC, os.path.join(where, "gpualloc"))
            path = where + ":" + os.environ["PATH"]
            env = environment(PATH=path, GPUALLOC_STATE_DIR=os.path.join(where, "leases"))
            done = subprocess.run(["sh", "-c", example[1]], cwd=where, capture_output=True,
                                  text=True, env=env, check=False)
        assert done.returncode == 0 and not done.stderr, (example[1], done)
        assert done.stdout or command == "release", (example[1], done)


@case
def near_misses_are_understood():
    for typed, meant in (("lst", "list"), ("lits", "list"), ("snap", "snapshot"),
                         ("tpoo", "topo"), ("versoin", "version")):
        refused(64, typed, says=[f'"{typed}" is not a command', f"did you mean {meant}?"])
    refused(64, "help", "lsit", says=["did you mean list?"])
    for typed, meant in (("jsno", "json"), ("machines=x", "machine"), ("dedline=3s", "deadline")):
        refused(64, "list", "--" + typed, says=[f"did you mean --{meant}?"])
    refused(64, "list", "--machine", "dgx1-vola", says=["did you mean --machine dgx1-volta?"])


@case
def the_manual_has_every_command_and_option():
    page = manual("gpualloc.1.scd")
    sections = dict(re.findall(r"^## (gpualloc .+?)\n(.*?)(?=^##? |\Z)", page, re.M | re.S))
    for command in commands():
        heading = [name for name in sections if f"gpualloc {command}" in name]
        assert len(heading) == 1, f"{command} has {len(heading)} sections"
        for option in options(command):
            assert f"*--{option}*" in sections[heading[0]] or command in ("help", "completion",
                                                                          "version"), \
                f"{command} --{option}"
            assert f"*--{option}*" in page, option
    known = {option for command in commands() for option in options(command)} | \
        {"version", "now"}  # that of systemctl
    for option in re.findall(r"--([a-z][a-z-]+)", page):
        assert option in known, f"the manual tells of --{option}, which is not there"
    for command in re.findall(r"^## gpualloc ([a-z]+)", page, re.M):
        assert command in commands(), command


@case
def the_manual_has_every_policy():
    page = manual("gpualloc.1.scd")
    policies = re.search(r"^policies:\n((?:  .*\n)+)", ok("help", "pick"), re.M)[1]
    names = re.findall(r"^  ([a-z0-9-]+)", policies, re.M)
    assert len(names) == 12, names
    section = page[page.index("# POLICIES"):]
    for name in names:
        assert f"*{name}*" in section, name


@case
def the_version_is_one():
    text = ok("version")
    assert re.fullmatch(r"gpualloc \d+\.\d+\.\d+\n", text) and text == ok("--version")
    assert json.loads(ok("version", "--json")) == {
        "schema": 1, "command": "version", "version": text.split()[1]}


main()
