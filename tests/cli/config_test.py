#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the administrator says in gpualloc.conf, as users see it, and what is logged."""
import contextlib
import json
import os
import re
import socket

import cli
from cli import case, main
from leasing import PATIENCE, Store, store


class Ruled(Store):
    """A store with its own configuration; the log is a socket that the test reads."""

    def __init__(self, one):
        super().__init__(one.where, one.machine)
        self.file = os.path.join(self.where, "gpualloc.conf")
        self.log = os.path.join(self.where, "log")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.log)
        self.socket.settimeout(PATIENCE)

    def says(self, *lines):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        os.chmod(self.file, 0o644)

    def variables(self):
        return {"GPUALLOC_STATE_DIR": self.path, "GPUALLOC_CONFIG": self.file}

    def environment(self, **more):
        return super().environment(**{"GPUALLOC_CONFIG": self.file, **more})

    def run(self, *words, env=None, **options):
        return super().run(*words, env={"GPUALLOC_CONFIG": self.file, **(env or {})}, **options)

    def ask(self, *words):
        return cli.ok(*words, env=self.variables())

    def command(self, *words):
        return cli.run(*words[:1], "--machine", self.machine, *words[1:], env=self.variables())

    def states(self):
        return {device["index"]: (device["state"], device["reason"]) for device in
                json.loads(self.command("list", "--json").out)["devices"]}

    def logged(self):
        line = self.socket.recv(8192).decode()
        found = re.fullmatch(r"<30>gpualloc\[\d+\]: (\w+)((?: [a-z]+=[^ ]+)*)", line)
        assert found, line
        return found[1], dict(word.split("=", 1) for word in found[2].split())


@contextlib.contextmanager
def ruled(*lines, machine="dgx1-volta"):
    with store(machine) as one:
        two = Ruled(one)
        two.holders = one.holders  # ended with it
        two.says(*lines)
        with two.socket:
            yield two


@case
def devices_taken_out_of_use_are_given_to_nobody():
    with ruled("exclude = 3  # dead fan") as one:
        assert one.states()[3] == ("drained", "dead fan")
        one.refused(78, "-n", "8", "true", says=["dead fan"])
        one.refused(78, "--only", "3", "true", says=["drained: dead fan"])
        assert "3" not in one.ok("-n", "7", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES").strip() \
            .split(",")
        result = one.command("pick", "--only", "3", "--ignore-leases")
        assert result.code == 78 and "dead fan" in result.err, result
        assert "dead fan" in one.command("explain", "-n", "2").out
        result = one.command("hold", "--only", "3", "--for", "1s")
        assert result.code == 78 and result.raw == b"", result


@case
def a_missing_file_says_nothing():
    with ruled() as one:
        os.unlink(one.file)
        one.ok("-n", "8", "true")


@case
def mistakes_stop_leasing_but_not_showing():
    with ruled("exclude = 3 # dead fan", "max-device = 3", "keep = soon", "exclude = 44") as one:
        says = [f"{one.file}:2: ", "max-device", f"{one.file}:3: ", "soon", f"{one.file}:4: "]
        one.refused(78, "true", says=says)
        one.refused(78, "--ignore-leases", "true", says=says)
        for words in (["hold", "--for", "1s"], ["pick"]):
            result = one.command(*words)
            assert result.code == 78 and result.raw == b"", result
            assert all(part in result.err for part in says), result
        for words in (["list"], ["explain"]):
            result = one.command(*words)
            assert result.code == 0 and "dead fan" in result.out, result
            notes = [line for line in result.err.splitlines() if one.file in line]
            assert len(notes) == 3 and all("note: " in note for note in notes), result


@case
def a_file_that_others_could_write_is_not_obeyed():
    with ruled("exclude = 3") as one:
        os.chmod(one.file, 0o666)
        one.refused(78, "true", says=["can be written by users other than its owner"])


@case
def a_user_gets_up_to_the_limit():
    with ruled("max-devices = 3") as one:
        one.refused(78, "-n", "4", "true", says=["max-devices", "3"])
        # Also while too few are free: nobody is told to wait for what is never allowed.
        others = one.hold("-n", "6", env={"GPUALLOC_CONFIG": "/nonexistent"})
        one.refused(78, "-n", "4", "true", says=["max-devices", "3"])
        one.refused(78, "--wait=60s", "-n", "4", "true", says=["max-devices", "3"])
        others.end()
        first = one.hold("-n", "2")
        one.refused(75, "-n", "2", "true", says=["your leases have 2"])
        one.ok("true")
        # Inside a lease they are counted already.
        one.ok("-n", "1", "sh", "-c", f"{cli.GPUALLOC} run true")
        first.end()
        one.ok("--wait=60s", "-n", "3", "true")


@case
def holds_have_an_end():
    with ruled("max-hold = 2h") as one:
        result = one.command("hold", "--for", "3h")
        assert result.code == 78 and "max-hold" in result.err and "7200 s" in result.err, result
        result = one.command("hold", "--for", "2h")
        assert result.code == 0, result
        one.ask("release", result.out.strip())


@case
def a_group_has_its_own():
    with ruled("group = 2 root", "group = 3 nogroup") as one:
        if os.geteuid() != 0:
            raise cli.Skip("needs root, who is in the group root and in no other")
        states = one.states()
        assert states[2][0] == "free", states
        assert states[3] == ("excluded", "only for members of the group nogroup"), states


@case
def only_devices_on_the_list_are_given():
    with ruled() as one:
        ids = os.path.join(one.where, "ids")
        uuid = one.command("pick", "--only", "5").out.strip()
        with open(ids, "w", encoding="utf-8") as file:
            file.write(f"# ours\n{uuid}\n")
        os.chmod(ids, 0o644)
        one.says(f"allow-list = {ids}")
        assert one.ok("sh", "-c", "echo $CUDA_VISIBLE_DEVICES").strip() == "5"
        one.refused(78, "-n", "2", "true", says=[f"not listed in {ids}"])


@case
def some_processes_do_not_count_as_use():
    with ruled() as one:
        machine = json.loads(one.command("snapshot").out)
        for device in machine["devices"]:
            device["processes"] = [{"pid": 7, "type": "C", "user": "ann", "memory": 1,
                                    "name": "/usr/bin/nvidia-cuda-mps-server"}]
        one.machine = os.path.join(one.where, "machine.json")
        with open(one.machine, "w", encoding="utf-8") as file:
            json.dump(machine, file)
        one.refused(75, "true", says=["nvidia-cuda-mps-server"])
        one.says("ignore-process = nvidia-cuda-mps-server")
        one.ok("-n", "8", "true")


@case
def the_log_has_a_lease_from_its_grant_to_its_release():
    with ruled() as one:
        one.says(f"log = {one.log}")
        one.ok("-n", "2", "--supervise", "true")
        event, grant = one.logged()
        assert event == "grant" and len(grant["devices"].split(",")) == 2, grant
        assert grant["uid"] == str(os.geteuid()) and "until" not in grant, grant
        event, end = one.logged()
        assert event == "end" and end.pop("until") >= end["since"], end
        assert end == grant


@case
def the_log_has_the_end_of_a_killed_holder_once():
    with ruled() as one:
        one.says(f"log = {one.log}")
        one.hold("-n", "1").kill()
        _, grant = one.logged()
        one.ask("leases")
        one.ask("leases")
        event, end = one.logged()
        assert event == "end" and end["lease"] == grant["lease"], end
        one.socket.setblocking(False)
        try:
            raise AssertionError(one.socket.recv(8192))
        except BlockingIOError:
            pass


@case
def the_log_has_the_end_of_a_hold():
    with ruled() as one:
        one.says(f"log = {one.log}")
        for words, ends in ((["--for", "1h"], True), (["--for", "1s"], False)):
            lease = one.command("hold", *words).out.strip()
            if ends:
                one.ask("release", lease)
            assert [one.logged() for _ in range(2)][1][1]["lease"] == lease


@case
def a_log_that_accepts_nothing_stops_nobody():
    with ruled() as one:
        one.says("log = /nonexistent/log")
        one.ok("true")
        one.says(f"log = {one.log}")
        for _ in range(20):  # more than the socket has room for
            one.ok("--supervise", "true")


main()
