#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nobody can pose as a keeper: no matter which names a stranger takes, a hold can be joined, prolonged and
released."""
import contextlib
import json
import os
import subprocess

import cli
from cli import GPUALLOC, case, main
from leasing import PATIENCE
from people import python, shared_store, two_people

# Takes the name that each lease used to be found by, as soon as its record is there.
SQUATTER = """
import os, socket, sys
records, user = sys.argv[1], sys.argv[2]
doors, told = {}, False
while True:
    for name in os.listdir(records):
        if name not in doors:
            doors[name] = socket.socket(socket.AF_UNIX)
            try:
                doors[name].bind(f"\\0gpualloc/{user}/{name}")
                doors[name].listen()
            except OSError:
                pass
    if not told:
        told = True
        print("there", flush=True)
"""


@contextlib.contextmanager
def squatter(one, stranger, victim):
    child = subprocess.Popen([python(stranger), "-c", SQUATTER, os.path.join(one.path, "records"),
                              str(victim.uid)], stdout=subprocess.PIPE, text=True,
                             **stranger.as_them())
    try:
        assert child.stdout.readline() == "there\n"
        yield
    finally:
        child.kill()
        child.communicate()


@case
def a_hold_stays_hers_even_if_others_take_its_names():
    with two_people() as (ada, bob), shared_store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        with squatter(one, bob, ada):
            for _ in range(30):
                lease = cli.ok("hold", "--machine", one.machine, "--for", "1h", env=env,
                               **ada.as_them()).strip()
                assert cli.ok("run", "--in", lease, "sh", "-c", "echo $GPUALLOC_LEASE", env=env,
                              **ada.as_them()).strip() == lease
                cli.ok("hold", "--extend", lease, "--for", "1h", env=env, **ada.as_them())
                cli.ok("release", lease, env=env, **ada.as_them())
                assert one.leases()["leases"] == [], lease


@case
def no_two_keepers_have_the_same_door():
    with two_people() as (ada, bob), shared_store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        leases = [cli.ok("hold", "--machine", one.machine, "--for", "1h", env=env,
                         **somebody.as_them()).strip() for somebody in (ada, bob, ada, bob)]
        for lease, somebody, other in zip(leases, (ada, bob, ada, bob), (bob, ada, bob, ada)):
            # Not by another user.
            cli.refused(77, "hold", "--extend", lease, "--for", "1h", env=env,
                        says=["is not your lease"], **other.as_them())
            found = json.loads(cli.ok("hold", "--extend", lease, "--for", "1h", "--json", env=env,
                                      **somebody.as_them()))
            assert found["lease"] == lease, found
            cli.ok("release", lease, env=env, **somebody.as_them())
        assert one.leases()["leases"] == []


@case
def a_keeper_without_a_socket_is_still_released():
    with shared_store() as one:
        env = {"GPUALLOC_STATE_DIR": one.path}
        child = subprocess.run(["unshare", "-n", GPUALLOC, "hold", "--machine", one.machine,
                                "--for", "1h"], env=one.environment(), text=True,
                               capture_output=True, timeout=PATIENCE, check=False)
        if child.returncode == 1:
            raise cli.Skip("no network namespaces: " + child.stderr.strip())
        # From another network namespace its socket cannot be reached.
        cli.ok("release", child.stdout.strip(), env=env)
        assert one.leases()["leases"] == []


main()
