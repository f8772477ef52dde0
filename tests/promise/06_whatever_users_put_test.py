#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Users may put anything into the folders for users (links, folders, a hundred thousand names, absurd
numbers): everybody can still lease, be shown and wait, and it all goes when the store goes."""
import json
import os
import subprocess

import cli
from cli import GPUALLOC, case, is_sanitized, main
from leasing import HOLD
from people import python, shared_store, two_people
from tracing import Trace

MANY = 10000 if is_sanitized() else 100000  # bob's own next lease sweeps them, one by one

LINK = """
import os, sys
store = sys.argv[1]
for folder in ("records", "queue"):
    for number, name in enumerate(("ledger", "arbiter")):
        try:
            os.link(f"{store}/{name}", f"{store}/{folder}/{number + 1}")
            print(folder, name)
        except OSError:
            pass
        os.symlink(f"{store}/{name}", f"{store}/{folder}/{number + 11}")
"""

CLUTTER = """
import os, sys
store = sys.argv[1]
for folder, names in (("records", [f"{number:010x}" for number in range(40)]),
                      ("queue", [str(number) for number in range(1, 41)])):
    for number, name in enumerate(names):
        path = f"{store}/{folder}/{name}"
        if number % 4 == 0:
            os.mkdir(path)
            open(path + "/file", "w").close()
        elif number % 4 == 1:
            os.mkfifo(path)
        elif number % 4 == 2:
            os.symlink("/etc/shadow", path)
        else:
            open(path, "w").close()
    at = os.open(f"{store}/{folder}", os.O_RDONLY)
    for depth in range(600):
        os.mkdir("deep", dir_fd=at)
        at = os.open("deep", os.O_RDONLY, dir_fd=at)
"""

NAMES = """
import os, sys
store, many = sys.argv[1], int(sys.argv[2])
for number in range(1, many + 1):
    os.mknod(f"{store}/records/{number:010x}")
    os.mknod(f"{store}/queue/{number}")
"""


def do(person, program, *words):
    return subprocess.run([python(person), "-c", program, *words], check=True, capture_output=True,
                          text=True, **person.as_them()).stdout


def all_goes_on(one, ada, bob):
    """Leases work, exclude each other and are shown; a waiter has a place and gets its turn."""
    first = one.hold("-n", "4", "--note", "hers", **ada.as_them())
    second = one.hold("-n", "4", "--note", "his", **bob.as_them())
    shown = {lease["note"]: lease["user"] for lease in one.leases()["leases"]}
    assert shown == {"hers": ada.name, "his": bob.name}, shown
    one.refused(75, "true", says=[ada.name], **ada.as_them())
    waiter = subprocess.Popen(
        [GPUALLOC, "run", "--wait", "--machine", one.machine, "-n", "8", *HOLD],
        env=one.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, **ada.as_them())
    try:
        while waiter.pid not in [waiting["pid"] for waiting in one.leases()["waiting"]]:
            assert waiter.poll() is None, waiter.communicate()
        assert first.end() == 0
        one.refused(75, "true", says=[str(waiter.pid)], **ada.as_them())  # kept for it
        assert second.end() == 0
        granted = waiter.stdout.readline().strip()
    finally:
        said = waiter.communicate("\n")[1]
    assert sorted(granted.split(",")) == list("01234567"), (granted, said)
    assert "without a place" not in said, said


def goes_with_everything(one):
    env = {"GPUALLOC_STATE_DIR": one.path}
    assert "in order" in cli.ok("setup", "--check", env=env)
    assert "is ready" in cli.ok("setup", env=env)
    assert "is gone" in cli.ok("setup", "--remove", env=env)
    assert os.listdir(one.where) == []


@case
def another_name_for_the_ledger():
    with two_people() as (ada, bob), shared_store() as one:
        for name in do(bob, LINK, one.path).splitlines():
            assert name.endswith("ledger"), name  # the arbiter is not even to be linked
        if os.stat(os.path.join(one.path, "ledger")).st_nlink == 1:  # a kernel that never permits it
            os.link(os.path.join(one.path, "ledger"), os.path.join(one.path, "records", "1"))
        all_goes_on(one, ada, bob)
        goes_with_everything(one)


@case
def folders_links_and_pipes_instead_of_records_and_tickets():
    with two_people() as (ada, bob), shared_store() as one:
        do(bob, CLUTTER, one.path)
        all_goes_on(one, ada, bob)
        goes_with_everything(one)


@case
def a_record_under_another_name_does_not_count():
    """If links to other people's files are permitted, her link would show her as the holder of his lease."""
    with two_people() as (ada, bob), shared_store() as one:
        hers = one.hold("-n", "1", "--note", "hers", **ada.as_them())
        record = os.path.join(one.path, "records")
        his = one.hold("-n", "1", "--note", "his", **bob.as_them())
        ids = {lease["note"]: lease["id"] for lease in one.leases()["leases"]}
        os.unlink(os.path.join(record, ids["his"]))
        os.link(os.path.join(record, ids["hers"]), os.path.join(record, ids["his"]))
        shown = {lease["id"]: lease["user"] for lease in one.leases()["leases"]}
        assert shown == {ids["hers"]: ada.name, ids["his"]: None}, shown
        assert hers.end() == 0 and his.end() == 0


@case
def a_hundred_thousand_names():
    with two_people() as (ada, bob), shared_store() as one:
        do(bob, NAMES, one.path, str(MANY))
        trace = Trace("-c", "-e", "trace=all", person=ada)
        done = subprocess.run([*trace.words(), GPUALLOC, "run", "--machine", one.machine, "-n", "8",
                               "true"], env=one.environment(**trace.environment), check=False,
                              capture_output=True, **ada.as_them())
        assert done.returncode == 0, done
        with open(trace.path, encoding="utf-8") as file:
            calls = {line.split()[-1]: int(line.split()[3]) for line in file
                     if line[:1] == " " and len(line.split()) > 4}
        # For each name we look who owns it; only a few thousand of them cost a question to the ledger.
        assert calls["fcntl"] < 10000 and calls["openat"] < 5000, json.dumps(calls)
        # His next lease sweeps them, which may take a busy machine minutes: only the whole test has a limit.
        done = subprocess.run([GPUALLOC, "run", "-q", "--machine", one.machine, "true"], check=False,
                              env=one.environment(), capture_output=True, **bob.as_them())
        assert done.returncode == 0, done
        all_goes_on(one, ada, bob)
        goes_with_everything(one)


main()
