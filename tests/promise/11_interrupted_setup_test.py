#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every step of `gpualloc setup` may be its last. Killed before each of its system calls, it never leaves
something that passes for a store but that users cannot use: --check says what is wrong, and another setup
repairs it."""
import os
import re
import shutil
import stat
import subprocess
import tempfile

import cli
from cli import GPUALLOC, case, main
from leasing import Store
from people import shared_store, two_people
from tracing import Trace

PARTS = ["arbiter", "ledger", "queue", "records"]


def set_up(one, trace, *options):
    """Its exit status, under strace with these options."""
    return subprocess.run([*trace.words(), *options, GPUALLOC, "setup"], check=False, umask=0o077,
                          env=one.environment(**trace.environment), capture_output=True).returncode


def points_of(one, trace):
    """The calls of an undisturbed setup from the first that touches the store: each by its name and
    its number among those of that name."""
    assert set_up(one, trace) == 0
    calls = [re.match(r"\w+(?=\()", line) for _, line in trace.calls()]
    first = next(i for i, (_, line) in enumerate(trace.calls())
                 if one.path in line and not line.startswith("execve"))
    names = [call.group(0) if call else "" for call in calls]
    return [(name, names[:i + 1].count(name)) for i, name in enumerate(names) if name and i >= first]


def is_whole(one, person):
    """Anybody can lease, and nothing lies around that is not part of the store."""
    assert "in order" in cli.ok("setup", "--check", env={"GPUALLOC_STATE_DIR": one.path})
    one.ok("-n", "8", "true", **person.as_them())
    assert sorted(os.listdir(one.path)) == PARTS, os.listdir(one.path)
    assert sorted(os.listdir(one.where)) == ["store"], os.listdir(one.where)


def check_says_the_truth(one, person, about):
    """"In order" means that users can use it; otherwise it says what is wrong and how to repair it."""
    check = cli.run("setup", "--check", env={"GPUALLOC_STATE_DIR": one.path})
    lease = one.run("-n", "8", "true", **person.as_them())
    if check.code == 0:
        assert lease.code == 0 and lease.err == "", f"{about}: {check!r}, but {lease!r}"
    else:
        assert check.code == 77 and "gpualloc setup" in check.err, f"{about}: {check!r}"
        assert lease.code == 77 and lease.raw == b"", f"{about}: {lease!r}"
        assert "gpualloc setup" in lease.err, f"{about}: {lease!r}"
    return check.code


@case
def killed_before_any_of_its_calls():
    with two_people() as (ada, _):
        where = tempfile.mkdtemp(prefix="gpualloc-test-")
        os.chmod(where, 0o755)
        one, trace = Store(where), Trace()
        try:
            points, unfinished = points_of(one, trace), 0
            is_whole(one, ada)
            for name, number in points:
                about = f"killed before {name} {number}"
                shutil.rmtree(one.path)
                code = set_up(one, trace, "-e", f"inject={name}:signal=KILL:when={number}")
                if code != -9:
                    continue
                unfinished += check_says_the_truth(one, ada, about) != 0
                cli.ok("setup", env={"GPUALLOC_STATE_DIR": one.path})
                is_whole(one, ada)
            assert unfinished > 10, f"of {len(points)} points only {unfinished} came in between"
        finally:
            one.remove()


@case
def folders_that_an_earlier_release_left_closed_are_seen_and_opened():
    with two_people() as (ada, _), shared_store() as one:
        for name in ("", "records", "queue", "ledger", "arbiter"):
            path = os.path.join(one.path, name)
            before = stat.S_IMODE(os.stat(path).st_mode)
            os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)
            cli.refused(77, "setup", "--check", env={"GPUALLOC_STATE_DIR": one.path},
                        says=["gpualloc setup"])
            cli.ok("setup", env={"GPUALLOC_STATE_DIR": one.path})
            assert stat.S_IMODE(os.stat(path).st_mode) == before, name
            is_whole(one, ada)


@case
def parts_given_to_a_group_stay_as_they_are():
    with two_people() as (_, bob), shared_store() as one:
        modes = {"": 0o750, "records": 0o3770, "queue": 0o3770, "ledger": 0o660, "arbiter": 0o440}
        for name, mode in modes.items():
            os.chown(os.path.join(one.path, name), 0, bob.gid)
            os.chmod(os.path.join(one.path, name), mode)
        cli.ok("setup", env={"GPUALLOC_STATE_DIR": one.path})
        assert "in order" in cli.ok("setup", "--check", env={"GPUALLOC_STATE_DIR": one.path})
        for name, mode in modes.items():
            assert stat.S_IMODE(os.stat(os.path.join(one.path, name)).st_mode) == mode, name
        one.ok("-n", "8", "true", **bob.as_them())


main()
