#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""In a user namespace all unmapped uids look the same, root's and everybody else's. Root's store
is used there as outside; a store that somebody else may have made is not taken for root's."""
import os
import subprocess

from cli import GPUALLOC, Skip, case, main
from leasing import HOLD, PATIENCE
from people import shared_store, two_people

MAPPED, BARE = ["unshare", "-Ur"], ["unshare", "-U"]  # as root in there, as nobody at all


def may(words, person=None):
    options = person.as_them() if person else {}
    try:
        done = subprocess.run([*words, "true"], capture_output=True, text=True, check=False,
                              **options)
    except OSError as error:
        raise Skip(str(error)) from error
    if done.returncode != 0:
        raise Skip("no user namespaces: " + done.stderr.strip())


def inside(space, one, *words, person, path=None):
    """The outcome of a run in there."""
    return subprocess.run([*space, GPUALLOC, "run", "--machine", one.machine, *words],
                          env=one.environment(GPUALLOC_STATE_DIR=path or one.path),
                          capture_output=True, text=True, timeout=PATIENCE, check=False,
                          **person.as_them())


def refuses(result, says):
    assert result.returncode == 77 and result.stdout == "", result
    assert "cannot be trusted" in result.stderr and says in result.stderr, result


class Root:
    """Like a person."""

    @staticmethod
    def as_them(**more):
        return more


@case
def leases_inside_and_outside_exclude_each_other():
    with two_people() as (ada, bob), shared_store() as one:
        for space, person in ((MAPPED, ada), (BARE, ada), (MAPPED, Root), (BARE, Root)):
            about = (space, person)
            may(space, person)
            holder = one.hold("-n", "5", before=space, **person.as_them())
            one.refused(75, "-n", "4", "true", says=[str(holder.process.pid)], **bob.as_them())
            rest = one.ok("-n", "3", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES").strip()
            assert not set(rest.split(",")) & set(holder.said.split(",")), (about, rest)
            assert inside(space, one, "-n", "4", "true", person=person).returncode == 75, about
            assert holder.end() == 0, about
            holder = one.hold("-n", "8", **bob.as_them())
            result = inside(space, one, "true", person=person)
            assert result.returncode == 75 and str(holder.process.pid) in result.stderr, result
            assert holder.end() == 0
            result = inside(space, one, "-n", "8", "true", person=person)
            assert result.returncode == 0 and result.stderr == "", result
            assert one.is_free()


@case
def waiters_inside_and_outside_stand_in_one_queue():
    with two_people() as (ada, bob), shared_store() as one:
        may(MAPPED, ada)
        holder = one.hold("-n", "8")
        waiter = subprocess.Popen([*MAPPED, GPUALLOC, "run", "-q", "--wait", "--machine", one.machine,
                                   "-n", "8", *HOLD], env=one.environment(), text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, **ada.as_them())
        while waiter.pid not in [waiting["pid"] for waiting in one.leases()["waiting"]]:
            assert waiter.poll() is None, waiter.communicate()
        assert holder.end() == 0
        assert waiter.stdout.readline()
        one.refused(75, "true", says=[str(waiter.pid)], **bob.as_them())
        assert waiter.communicate(timeout=PATIENCE)[1] == "" and waiter.returncode == 0
        assert one.is_free()


@case
def a_store_she_could_change_does_not_count_as_roots():
    with two_people() as (ada, bob), shared_store() as one:
        may(MAPPED, ada)
        os.chown(one.path, bob.uid, ada.gid)
        os.chmod(one.path, 0o777)
        for space in (MAPPED, BARE):
            refuses(inside(space, one, "true", person=ada), "does not belong to root")
        os.chmod(one.path, 0o755)
        # The folder above is open to everybody: anybody may have made the store.
        os.chmod(one.where, 0o1777)
        for space in (MAPPED, BARE):
            refuses(inside(space, one, "true", person=ada), "anybody could")
        os.chown(one.path, 0, 0)
        assert inside(MAPPED, one, "true", person=bob).returncode == 77
        os.chmod(one.where, 0o755)
        assert inside(MAPPED, one, "true", person=bob).returncode == 0
        one.ok("true", **bob.as_them())


MOUNT = """set -e
mount -t tmpfs -o mode="$2" own "$1"
export GPUALLOC_STATE_DIR="$1/store"
"$3" setup
$5 sh -c 'test "$(stat -c %u "$GPUALLOC_STATE_DIR")" = '"$6"
exec $5 "$3" run --machine "$4" -n 8 true
"""


@case
def her_own_mount_is_hers_alone():
    with two_people() as (ada, _), shared_store() as one:
        space = [*MAPPED, "-m"]
        may(space, ada)
        mount = os.path.join(one.where, "mount")
        os.mkdir(mount)
        holder = one.hold("-n", "8")  # devices leased there are free in hers
        # Also where its owner shows as the overflow uid, as does everybody: it is she all the same.
        for further, owner in (("", "0"), (" ".join(BARE), "65534")):
            for mode, code in (("755", 0), ("777", 77)):  # writers may also replace
                done = subprocess.run(
                    [*space, "sh", "-c", MOUNT, "sh", mount, mode, GPUALLOC, one.machine, further,
                     owner], capture_output=True, text=True, check=False, env=one.environment(),
                    **ada.as_them())
                if "mount:" in done.stderr:
                    raise Skip(done.stderr.strip())
                assert done.returncode == code, (further, mode, done)
                assert ("others may replace it" in done.stderr) == (code == 77), done
        assert os.listdir(mount) == [] and holder.end() == 0 and one.is_free()


main()
