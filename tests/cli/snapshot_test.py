#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc snapshot: the file stands for the machine and can be passed on."""
import json
import os
import re

from cli import BUILT_IN, ROOT, case, folder, machine_file, main, ok, on_terminal, run

FILES = ["busy.json", "crowded.json", "odd.json", "empty.json"]


def strings(value):
    """Every string in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


@case
def a_snapshot_is_shown_as_the_machine_itself():
    with folder() as where:
        path = os.path.join(where, "machine.json")
        for machine in BUILT_IN + [machine_file(name) for name in FILES]:
            ok("snapshot", "-o", path, "--machine", machine)
            for words in (["list"], ["list", "--json"], ["list", "--csv"], ["topo"],
                          ["topo", "--json"], ["topo", "--svg", "-"]):
                shown, copied = run(*words, "--machine", machine), run(*words, "--machine", path)
                assert copied.code == shown.code and copied.raw == shown.raw, \
                    f"{words} of {machine}: {copied!r}"


@case
def a_snapshot_of_a_snapshot_is_the_same_bytes():
    with folder() as where:
        for machine in BUILT_IN + [machine_file(name) for name in FILES]:
            first, second = os.path.join(where, "1.json"), os.path.join(where, "2.json")
            ok("snapshot", "-o", first, "--machine", machine)
            ok("snapshot", "--output", second, "--machine", first)
            with open(first, "rb") as one, open(second, "rb") as other:
                assert one.read() == other.read(), machine
            assert ok("snapshot", "--machine", first) == open(first, encoding="utf-8").read()
            assert sorted(os.listdir(where)) == ["1.json", "2.json"]
    with open(machine_file("busy.json"), encoding="utf-8") as file:
        assert file.read() == ok("snapshot", "--machine", machine_file("busy.json"))


def hidden_words(machine):
    """Things that must not be in an anonymous snapshot."""
    yield machine.get("name")
    for gpu in machine["devices"]:
        yield gpu.get("serial")
        for device in [gpu] + gpu.get("mig", []):
            yield device.get("uuid")
            for process in device.get("processes", []):
                yield process.get("user")
                yield process.get("name")


def shape(value, key=None):
    """A document without the parts that are replaced."""
    if isinstance(value, dict):
        return {name: shape(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one, key) for one in value]
    return None if isinstance(value, str) and key in ("uuid", "serial", "user", "name") else value


@case
def an_anonymous_snapshot_names_nobody_and_keeps_the_structure():
    for name in FILES:
        before = json.loads(ok("snapshot", "--machine", machine_file(name)))
        text = ok("snapshot", "--anonymous", "--machine", machine_file(name))
        after = json.loads(text)
        for word in filter(None, hidden_words(before)):
            assert not any(word in string for string in strings(after)), f"{name}: {word}"
        assert shape(before) == shape(after), name
        models = [[gpu.get("name") for gpu in one["devices"]] for one in (before, after)]
        assert models[0] == models[1], name
        with folder() as where:
            path = os.path.join(where, "a.json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            assert ok("snapshot", "--machine", path) == text
            assert ok("snapshot", "--anonymous", "--machine", path) == text, \
                "what has no names has none to lose"
            shown = ok("topo" if name == "empty.json" else "list", "--machine", path)
            assert max(map(len, shown.splitlines())) <= 80, shown


@case
def equal_users_stay_equal():
    after = json.loads(ok("snapshot", "--anonymous", "--machine", machine_file("busy.json")))
    first, second = after["devices"][1]["processes"]
    assert first["user"] != second["user"] and first["name"] == second["name"]


@case
def it_says_what_it_wrote_on_a_terminal_only():
    with folder() as where:
        path = os.path.join(where, "machine.json")
        shown = on_terminal("snapshot", "-o", path, "--machine", "dgx1-volta")
        size = os.path.getsize(path)
        # A terminal is narrow: the sentence is broken between words.
        assert " ".join(shown.split()) == \
            f"gpualloc: wrote {path} (dgx1-volta (simulated), 8 GPUs, {size} bytes)", shown
        assert on_terminal("snapshot", "-q", "-o", path, "--machine", "dgx1-volta") == ""
        result = run("snapshot", "-o", path, "--machine", "dgx1-volta")
        assert (result.code, result.out, result.err) == (0, "", "")


@case
def a_matrix_becomes_a_machine_file():
    path = os.path.join(ROOT, "machines", "topo", "8xv100-kvm.txt")
    machine = json.loads(run("snapshot", "-q", "--machine", path).out)
    assert machine["gpualloc_machine"] == 1 and len(machine["devices"]) == 8
    assert re.match("8xv100", machine["name"])


main()
