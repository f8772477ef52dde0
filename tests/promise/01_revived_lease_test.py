#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A lease that has ended stays ended, no matter who locks its byte of the ledger: a program that still has
its name in the environment gets nothing that somebody else holds by now."""
import contextlib
import json
import os
import shutil
import subprocess
import sys

import cli
from cli import GPUALLOC, Skip, case, main
from leasing import HOLD, PATIENCE, store
from locking import before_claiming, ended_lease, locked_id
from people import shared_store, two_people

COMPAT = os.environ["COMPAT"]


def told(one, lease):
    return {"GPUALLOC_STATE_DIR": one.path, "GPUALLOC_LEASE": lease, "GPUALLOC_FD": "512",
            "GPUALLOC_MACHINE": one.machine}


@contextlib.contextmanager
def wrapped():
    """A program wrapped by cudawrap; returns the link to call it by."""
    with cli.folder() as folder:
        os.chmod(folder, 0o755)
        os.symlink(shutil.which("true"), os.path.join(folder, "CUDAWRAP_job"))
        link = os.path.join(folder, "job")
        os.symlink(os.path.join(COMPAT, "cudawrap"), link)
        yield link


def asks(link):
    """Every command that asks whether it is inside a lease, and its exit status from outside while everything
    is taken."""
    return [([GPUALLOC, "run", "true"], 75), ([GPUALLOC, "hold", "--for", "1h"], 75),
            ([GPUALLOC, "pick"], 75), ([os.path.join(COMPAT, "getgpu")], 75), ([link], 75),
            ([GPUALLOC, "list"], 0), ([GPUALLOC, "explain"], 75)]


def outcome(words, env, person):
    return subprocess.run(words, env=cli.environment(**env), capture_output=True, text=True,
                          timeout=PATIENCE, check=False, **person.as_them())


def is_not_revived_for_anybody(one, ada, bob, kind, refusal):
    lease = ended_lease(one, **ada.as_them())
    holder = one.hold("-n", "8", **bob.as_them())
    with locked_id(one, lease, kind, bob), wrapped() as link:
        for words, status in asks(link):
            done = outcome(words, told(one, lease), ada)
            assert done.returncode == (refusal or status), (words, done)
            assert refusal is None or "GPUALLOC_FD" in done.stderr, (words, done)
            assert refusal is None or done.stdout == "", (words, done)
    assert holder.end() == 0


@case
def a_read_lock_revives_nothing():
    with two_people() as (ada, bob), shared_store() as one:
        is_not_revived_for_anybody(one, ada, bob, "read", None)


@case
def a_write_lock_leaves_it_uncertain_so_it_is_refused():
    with two_people() as (ada, bob), shared_store() as one:
        is_not_revived_for_anybody(one, ada, bob, "write", 77)
        # A name without a record of hers belongs to nobody, no matter who locks its byte.
        with locked_id(one, "0123456789", "write", bob):
            result = one.run("true", env=told(one, "0123456789"), **ada.as_them())
            assert result.code == 0 and "not inside the lease that GPUALLOC_LEASE names" in result.err, result


@case
def the_claim_checks_again_afterwards():
    """She is inside when her lease ends; by then he has its device and has locked its byte."""
    with two_people() as (ada, bob), shared_store() as one:
        outer = one.hold("-n", "8", command=["sh", "-c", "echo $GPUALLOC_LEASE; read line"],
                         **ada.as_them())
        inner = before_claiming(one, "-n", "1", "echo", "inside",
                               env=told(one, outer.said), **ada.as_them())
        outer.kill()
        holder = one.hold("-n", "8", **bob.as_them())
        with locked_id(one, outer.said, "write", bob):
            code, out, err = inner.go()
        assert code == 77 and out == "" and "has ended" in err, (code, out, err)
        assert holder.end() == 0


INNER = r"""
import os, subprocess, sys
words = sys.argv[2:]
keep = [int(os.environ["GPUALLOC_FD"])] if sys.argv[1] == "with" else []
done = subprocess.run(words, pass_fds=keep, capture_output=True, text=True)
print(done.returncode, done.stdout.strip(), done.stderr.replace("\n", " "), flush=True)
sys.stdin.read()
"""


def inside(one, how, before=()):
    """The result of a run that a job starts, with or without the lease's descriptor."""
    words = [GPUALLOC, "run", "--wait", "--machine", one.machine, "echo", "in"]
    return one.hold("-n", "8", command=[sys.executable, "-c", INNER, how, *before, *words])


@case
def children_are_inside_with_the_descriptor_and_without():
    with store() as one:
        for how in ("with", "without"):
            holder = inside(one, how)
            assert holder.said == "0 in", holder.said
            assert holder.end() == 0


@case
def if_its_processes_are_hidden_it_neither_waits_nor_goes_on():
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("needs root and unshare")
    apart = ["unshare", "--fork", "--pid", "--mount-proc"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        raise Skip("no pid namespaces here")
    with store() as one:
        holder = inside(one, "without", before=apart)
        assert holder.said.startswith("77") and "GPUALLOC_FD" in holder.said, holder.said
        assert holder.end() == 0
        holder = inside(one, "with", before=apart)
        assert holder.said == "0 in", holder.said
        assert holder.end() == 0


@case
def a_forged_record_gives_no_room_on_other_devices():
    """Her record is lost, and he writes one for her lease, with her locks and the name of his GPU."""
    with two_people() as (ada, bob), shared_store() as one:
        job = ["sh", "-c", f"echo $GPUALLOC_LEASE; read line; {GPUALLOC} run -q --ignore-env echo in "
               "2>&1; echo $?; exit 0"]
        outer = one.hold("--only", "0", command=job, env={"GPUALLOC_MACHINE": one.machine},
                         **ada.as_them())
        path = os.path.join(one.path, "records", outer.said)
        his = one.hold("--only", "5", command=HOLD, **bob.as_them())
        listed = json.loads(one.ask("list", "--json", "--machine", one.machine))
        uuids = [device["uuid"] for device in listed["devices"]]
        with open(path, encoding="utf-8") as file:
            text = file.read()
        os.unlink(path)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(uuids[0], uuids[5]))
        os.chown(path, bob.uid, bob.gid)
        out, _ = outer.process.communicate("\n", timeout=PATIENCE)
        assert "in\n" not in out and out.splitlines()[-1] != "0", out
        assert his.end() == 0


main()
