#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hostile store: wrong parts are refused, things that strangers put into it are ignored or
shown harmlessly, and nothing leads to a wrong grant."""
import contextlib
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess

import cli
from cli import GPUALLOC, case, folder, main
from leasing import PATIENCE, Store, store
from people import python, shared_store, two_people
from tracing import Trace

ID_BASE = 1 << 62  # where the ledger has the bytes of leases, followed by those of tickets
TICKET_BASE = ID_BASE + (1 << 40)
F_OFD_SETLK = 37


def lock(fd, start, length=1):
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqiq", fcntl.F_WRLCK, os.SEEK_SET, start, length,
                                             0, 0))


def everything_about(one):
    """Every command that reads a store; none may crash, hang or let a control character through."""
    env = {"GPUALLOC_STATE_DIR": one.path}
    results = [cli.run(*words, env=env) for words in (
        ["leases"], ["leases", "--json"], ["list", "--machine", one.machine],
        ["pick", "--machine", one.machine], ["explain", "--machine", one.machine],
        ["setup", "--check"], ["run", "--machine", one.machine, "true"],
        ["hold", "--machine", one.machine, "--for", "1ms"])]
    for result in results:
        assert 0 <= result.code < 128 and "Sanitizer" not in result.err, result
        for text in (result.out, result.err):
            assert not set(text) & set(map(chr, range(32))) - {"\n"}, result
            assert "\x7f" not in text, result
    held = results[-1].out.strip()
    while held and held in [lease["id"] for lease in one.leases()["leases"]]:
        pass  # its keeper ends when its time is up, not when the command ends
    return results


def is_refused(one):
    """Nothing can be leased in it, and the message says why."""
    everything_about(one)
    says = one.refused(77, "true", says=[one.path, "cannot be trusted"])
    env = {"GPUALLOC_STATE_DIR": one.path}
    cli.refused(77, "hold", "--machine", one.machine, "--for", "1h", env=env)
    cli.refused(77, "setup", "--check", env=env)
    return says


@contextlib.contextmanager
def good_store():
    with store() as one:
        one.ask("setup")
        yield one


# ---- parts that are not what they should be ----

@case
def files_in_the_place_of_the_ledger_are_refused():
    with good_store() as one:
        ledger, target = os.path.join(one.path, "ledger"), os.path.join(one.where, "target")
        with open(target, "w", encoding="utf-8") as file:
            file.write("untouched")
        os.chmod(target, 0o640)
        for make in (lambda: os.symlink(target, ledger), lambda: os.mkdir(ledger),
                     lambda: os.mkfifo(ledger), lambda: os.symlink("/dev/null", ledger),
                     lambda: os.symlink(one.where + "/none", ledger)):
            os.unlink(ledger)
            make()
            is_refused(one)
            cli.run("setup", env={"GPUALLOC_STATE_DIR": one.path})
            is_refused(one)  # a link is not followed to repair what is there
            with open(target, encoding="utf-8") as file:
                assert file.read() == "untouched"
                assert os.fstat(file.fileno()).st_mode & 0o777 == 0o640
            if os.path.isdir(ledger) and not os.path.islink(ledger):
                os.rmdir(ledger)
                os.mknod(ledger)
        assert not os.path.exists(one.where + "/none")


@case
def folders_that_are_not_folders_or_open_to_all_are_refused():
    for name in ("records", "queue"):
        with good_store() as one:
            part = os.path.join(one.path, name)
            os.rename(part, part + "-moved")
            one.ok("true")  # missing folders are made
            shutil.rmtree(part)
            os.symlink(part + "-moved", part)
            is_refused(one)
            os.unlink(part)
            os.mknod(part)
            is_refused(one)
            os.unlink(part)
            os.mkdir(part)
            os.chmod(part, 0o777)
            assert "not sticky" in is_refused(one)
            os.chmod(part, 0o1777)
            one.ok("true")
            os.chmod(one.path, 0o777)
            assert "not sticky" in is_refused(one)


@case
def without_an_arbiter_it_goes_on_without_order():
    with good_store() as one:
        arbiter, target = os.path.join(one.path, "arbiter"), os.path.join(one.where, "target")
        os.mknod(target)
        os.unlink(arbiter)
        os.symlink(target, arbiter)
        with open(target, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which would cost the next one 2 s
            result = one.run("-n", "8", "true")
        assert result.code == 0 and "the store has no arbiter" in result.err, result
        everything_about(one)


@case
def things_that_belong_to_others_are_refused():
    with two_people() as (ada, bob), shared_store() as one:
        for name in ("", "ledger", "records", "queue"):
            path = os.path.join(one.path, name)
            os.chown(path, bob.uid, bob.gid)
            one.refused(77, "true", says=[one.path, "cannot be trusted"], **ada.as_them())
            one.refused(77, "true", says=[one.path, "cannot be trusted"])  # for root too
            os.chown(path, 0, 0)
            one.ok("true", **ada.as_them())
        os.chown(one.where, bob.uid, bob.gid)
        one.refused(77, "true", says=["above it"], **ada.as_them())
        os.chown(one.where, 0, 0)
        for name in ("ledger", "records", "queue"):
            path = os.path.join(one.path, name)
            mode = os.stat(path).st_mode & 0o7777
            os.chmod(path, 0)
            one.refused(77, "true", says=[one.path], **ada.as_them())
            os.chmod(path, mode)


# ---- what strangers put into it ----

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x7f\x9b31m\r\x08"


def bad_records(one):
    """Things put in place of records, by the name of their kind."""
    secret = os.path.join(one.where, "secret")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("pid 1\nnote secret-of-root\n")
    os.chmod(secret, 0o600)

    def text(content):
        def make(path):
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, 0o644)
        return make

    escapes = ESCAPES.encode("latin-1")
    return {
        "symlink": lambda path: os.symlink(secret, path),
        "fifo": os.mkfifo,
        "folder": os.mkdir,
        "empty": text(b""),
        "garbage": text(os.urandom(1 << 20)),
        "little garbage": text(os.urandom(4000)),
        "zeros": text(bytes(4096)),
        "escapes": text(b"pid 1\nnote a" + escapes + b"b\ncommand c" + escapes + b"d\ndevice GPU-" +
                        escapes + b" 0:1\nboot " + escapes + b"\ncgroup " + escapes + b"\n"),
        "absurd numbers": text(b"pid 99999999999999999999\nsince -5\nmemory 1e9\n"),
        "huge numbers": text(b"pid 9223372036854775807\nsince 9223372036854775807\n"
                             b"memory 9223372036854775807\nnote huge\n"),
        "many devices": text(b"device GPU-1 0:1\n" * 240),
        "the whole ledger": text(b"note all\ndevice GPU-1 0:ffffffff\n"),
        "half a line": text(b"pid"),
        "unreadable": lambda path: (text(b"pid 1\n")(path), os.chmod(path, 0)),
    }


@case
def records_of_strangers_are_ignored_or_harmless():
    with good_store() as one:
        holder = one.hold("--only", "0", "--note", "real")
        real = one.leases()["leases"][0]
        fd = os.open(os.path.join(one.path, "ledger"), os.O_RDWR)
        kinds = bad_records(one)
        for number, make in zip(range(0, 1000, 2), kinds.values()):
            make(os.path.join(one.path, "records", f"{number:010x}"))
            lock(fd, ID_BASE + number)  # and so it is alive
        everything_about(one)
        shown = {lease["id"]: lease for lease in one.leases()["leases"]}
        assert shown.pop(real["id"]) == real
        assert set(shown) == {f"{2 * number:010x}" for number in range(len(kinds))}, shown
        assert "secret-of-root" not in str(shown)
        # Devices that nobody leased are free, whatever records say; leased ones are not.
        assert len(one.ok("-n", "7", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES").split(",")) == 7
        says = one.refused(75, "--only", "0", "true")
        assert str(holder.process.pid) in says, says
        os.close(fd)
        # Dead now: they are not shown, and our own are gone.
        assert [lease["id"] for lease in one.leases()["leases"]] == [real["id"]]
        everything_about(one)
        shutil.rmtree(os.path.join(one.path, "records", f"{4:010x}"))
        assert holder.end() == 0 and one.is_free()


@case
def a_forged_record_does_not_take_anothers_lease():
    with two_people() as (ada, bob), shared_store() as one:
        holder = one.hold("-n", "8", "--note", "hers", **ada.as_them())
        lease = one.leases()["leases"][0]["id"]
        path = os.path.join(one.path, "records", lease)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        # Her record is lost (root removed it), and he writes one with her words.
        os.unlink(path)
        shown, = one.leases()["leases"]
        assert shown["user"] is None and shown["id"] == lease, shown
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chown(path, bob.uid, bob.gid)
        shown, = one.leases()["leases"]
        assert shown["user"] == bob.name, shown  # his words, under his name
        env = {"GPUALLOC_STATE_DIR": one.path}
        cli.refused(77, "release", lease, env=env, **bob.as_them())
        one.refused(75, "true", env={"GPUALLOC_LEASE": lease, "GPUALLOC_FD": "512"},
                    **ada.as_them())
        assert holder.end() == 0
        one.ok("-n", "8", "true", **ada.as_them())


@case
def thousands_of_tickets_delay_nobody_for_long():
    with two_people() as (ada, bob), shared_store() as one:
        trace = Trace("-e", "trace=openat", person=ada)
        fd = os.open(os.path.join(one.path, "ledger"), os.O_RDWR)
        lock(fd, TICKET_BASE + 1, 3000)
        record = one.run("true")  # where the ledger has a device, from a record of it
        assert record.code == 0
        for number in range(1, 3001):
            path = os.path.join(one.path, "queue", str(number))
            with open(path, "w", encoding="utf-8") as file:
                file.write("pid 1\nsince 1\ncount 1\nmemory 0\nrequest " + ESCAPES[0] + "\n"
                           "places 0:20000000\n")
            os.chown(path, bob.uid, bob.gid)
        one.ok("-n", "8", "true", **ada.as_them())
        one.ok("-n", "8", "--wait=60s", "true", **ada.as_them())
        # Reading tickets costs time, so only a limited number per user is read.
        done = subprocess.run([*trace.words(), GPUALLOC, "run", "--machine", one.machine, "-n", "8",
                               "true"], env=one.environment(**trace.environment), check=False,
                              capture_output=True, **ada.as_them())
        opened = [re.search(r' "(\d+)", ', line) for _, line in trace.calls()]
        opened = {match.group(1) for match in opened if match}
        assert done.returncode == 0, done
        assert opened == {str(n + 1) for n in range(64)}, f"{len(opened)} were read"
        text = cli.ok("leases", env={"GPUALLOC_STATE_DIR": one.path})
        assert "\x1b" not in text
        os.close(fd)
        # Dead now; root's next lease removes them.
        one.ask("leases")
        assert os.listdir(os.path.join(one.path, "queue")) == []


@case
def nothing_is_kept_for_a_dead_waiter_whose_ticket_is_kept_alive():
    with good_store() as one:
        holder = one.hold("-n", "1")
        waiter = subprocess.Popen([GPUALLOC, "run", "--wait", "--machine", one.machine, "-n", "8",
                                   "true"], env=one.environment(), stderr=subprocess.DEVNULL)
        while waiter.pid not in [waiting["pid"] for waiting in one.leases()["waiting"]]:
            assert waiter.poll() is None
        one.refused(75, "true")  # kept for it
        waiter.kill()
        waiter.wait()
        number, = os.listdir(os.path.join(one.path, "queue"))
        fd = os.open(os.path.join(one.path, "ledger"), os.O_RDWR)
        lock(fd, TICKET_BASE + int(number))
        one.ok("-n", "7", "true")
        os.close(fd)
        assert holder.end() == 0 and one.is_free()


SIT = """
import fcntl, signal, sys
file = open(sys.argv[1])
fcntl.flock(file, int(sys.argv[2]))
print("sits", flush=True)
sys.stdin.read()
"""


@case
def a_process_that_blocks_the_arbiter_costs_two_seconds_and_is_named():
    with two_people() as (ada, bob), shared_store() as one:
        for kind, stopped in ((fcntl.LOCK_EX, False), (fcntl.LOCK_SH, True)):
            child = subprocess.Popen([python(bob), "-c", SIT, os.path.join(one.path, "arbiter"),
                                      str(int(kind))], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, **bob.as_them())
            try:
                assert child.stdout.readline() == "sits\n"
                if stopped:
                    child.send_signal(signal.SIGSTOP)
                    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
                result = one.run("-n", "8", "true", **ada.as_them())
                assert result.code == 0, result
                assert child.poll() is None  # nobody waited for it
                for part in (str(child.pid), bob.name, "without order"):
                    assert part in result.err, (part, result)
                assert ("stopped" in result.err) == stopped, result
                # A refusal names him too; and even without order nobody gets a device twice.
                held = one.hold("-n", "8" if stopped else "4", **ada.as_them())
                if stopped:
                    one.refused(75, "true", says=[str(child.pid), bob.name], **ada.as_them())
                else:
                    rest = one.hold("-n", "4", **ada.as_them())
                    both = (held.said + "," + rest.said).split(",")
                    assert len(set(both)) == len(both) == 8, both
                    rest.kill()
                held.kill()
            finally:
                child.kill()
                child.communicate()
        assert one.is_free()


@case
def a_stopped_claimer_delays_others_for_two_seconds():
    with good_store() as one:
        # Stopped when its claim begins: strangers' locks cannot be waited for, so it is
        # caught by the arbiter that we have, and stopped before it is let go.
        with open(os.path.join(one.path, "arbiter"), encoding="utf-8") as arbiter:
            fcntl.flock(arbiter, fcntl.LOCK_EX)
            child = subprocess.Popen([GPUALLOC, "run", "--machine", one.machine, "-n", "8", "true"],
                                     env=one.environment(), stderr=subprocess.PIPE)
            path = f"/proc/{child.pid}/fd"
            while not any(name.endswith("/arbiter") for name in links(path)):
                assert child.poll() is None
            child.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        one.ok("-n", "8", "true")
        holder = one.hold("-n", "8")
        child.send_signal(signal.SIGCONT)
        assert child.communicate(timeout=PATIENCE)[1] and child.returncode == 75
        assert holder.end() == 0 and one.is_free()


def links(path):
    found = []
    for name in os.listdir(path):
        with contextlib.suppress(OSError):
            found.append(os.readlink(os.path.join(path, name)))
    return found


@case
def full_folders_cost_only_records():
    if os.geteuid() != 0:
        raise cli.Skip("only root can mount a small file system")
    with folder() as where:
        words = ["mount", "-t", "tmpfs", "-o", "nr_inodes=6,mode=755", "tmpfs", where]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise cli.Skip("cannot mount: " + done.stderr.strip())
        one = Store(where)
        try:
            one.ask("setup")
            result = one.run("-n", "8", "true")
            assert result.code == 0 and "record could not be written" in result.err, result
            holder = one.hold("-n", "8")
            one.refused(75, "true", says=["without a record"])
            assert one.leases()["leases"][0]["user"] is None
            assert holder.end() == 0
            everything_about(one)
        finally:
            subprocess.run(["umount", "-l", where], check=True)  # a keeper may yet end


main()
