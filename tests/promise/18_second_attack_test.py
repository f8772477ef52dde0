#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a second attack found, by other means than the first: a lease that ends while somebody joins
it, queue numbers that one lock covers, keepers of whom nobody was told, records under other
people's names, stores whose name depends on the folder, and descriptors that were slipped to
somebody."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

import cli
from cli import GPUALLOC, Skip, case, main
from leasing import PATIENCE, line_of, store
from people import python, shared_store, two_people


def env_of(one, **more):
    return {"GPUALLOC_STATE_DIR": one.path, **more}


def child(*words, **options):
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **options)


# ---- joining ----

TOLD = ["sh", "-c", "echo $GPUALLOC_LEASE; read line; exit 0"]
SAY = ["sh", "-c", "echo in $CUDA_VISIBLE_DEVICES with $GPUALLOC_FD"]


def joins(one, lease, fault):
    """run --in, to whom the kernel says this when it takes over a descriptor."""
    strace = shutil.which("strace")
    if not strace or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True,
                                    check=False).returncode != 0:
        raise Skip("no strace, or it may not trace")
    words = [strace, "-o", "/dev/null", "-e", "trace=pidfd_getfd", "-e",
             f"inject=pidfd_getfd:{fault}", GPUALLOC, "run", "--in", lease, *SAY]
    done = subprocess.run(words, env=one.environment(ASAN_OPTIONS="detect_leaks=0"),
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@case
def nothing_runs_in_a_lease_that_ends_meanwhile():
    """What EBADF says: the process has just closed the descriptor, and with it the lease."""
    with store() as one:
        holder = one.hold("-n", "8", command=TOLD)
        code, out, err = joins(one, holder.said, "error=EBADF")
        assert (code, out) == (77, ""), (code, out, err)
        code, out, err = joins(one, holder.said, "error=EMFILE")
        assert code == 74 and out == "" and "descriptor" in err, (code, out, err)
        # One that has ended may have left children, which have the lease.
        code, out, err = joins(one, holder.said, "error=ESRCH:when=1")
        assert code == 0 and out.split()[0] == "in" and len(out.split()) == 4, (code, out, err)
        # Where nobody may take descriptors, the command runs, and says that it prolongs nothing.
        code, out, err = joins(one, holder.said, "error=EPERM")
        assert code == 0 and len(out.split()) == 3 and "ptrace_scope" in err, (code, out, err)
        holder.end()


# ---- the queue ----

LOCK_ALL = r"""
import fcntl, os, struct, sys
ledger = os.open(sys.argv[1], os.O_RDWR)
lock = fcntl.F_RDLCK if sys.argv[2] == "read" else fcntl.F_WRLCK
fcntl.fcntl(ledger, 37, struct.pack("hhqqiq", lock, 0, (1 << 62) + (1 << 40), 1 << 40, 0, 0))
print("locked", flush=True)
sys.stdin.read()
"""


@case
def one_lock_on_all_numbers_makes_nobody_search_for_ever():
    with two_people() as (ada, bob), shared_store() as one:
        for kind in ("read", "write"):
            holder = one.hold("-n", "8", **ada.as_them())
            liar = child(python(bob), "-c", LOCK_ALL, os.path.join(one.path, "ledger"), kind,
                         **bob.as_them())
            assert line_of(liar) == "locked\n"
            waiter = child(GPUALLOC, "run", "--machine", one.machine, "--wait=1s", "true",
                           env=one.environment(), **ada.as_them())
            try:
                _, err = waiter.communicate(timeout=PATIENCE)
            finally:
                waiter.kill()
                liar.communicate()
            assert waiter.returncode == 124 and "without a place" in err, (kind, err)
            assert holder.end() == 0


# ---- keepers ----

def keeps(words, answer):
    """A keeper as it is executed, with its answer's pipe as descriptor 3, and SIGPIPE ignored."""
    def become():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.dup2(answer, 3)

    return subprocess.Popen(words, stdin=subprocess.DEVNULL, preexec_fn=become,
                            close_fds=False, restore_signals=False)


@case
def a_keeper_of_whom_nobody_was_told_ends():
    compat = os.environ["COMPAT"]
    with contextlib.ExitStack() as files:
        nothing = os.open("/dev/null", os.O_RDWR)
        files.callback(os.close, nothing)
        for words in ([GPUALLOC, "--keep", str(nothing), str(nothing), "3600000", "x", "-1", "-1"],
                      [os.path.join(compat, "getgpu"), "--keep", "3600000", "GPU-nobody's"]):
            reading, writing = os.pipe()
            os.close(reading)
            keeper = keeps(words, writing)
            os.close(writing)
            try:
                assert keeper.wait(timeout=PATIENCE) == 0, words
            finally:
                keeper.kill()
                keeper.wait()


# A program that goes on in a child of its own, sixty times, and in every third executes itself.
CHAIN = r"""
import os, sys
for left in range(int(sys.argv[2]) - 1, -1, -1):
    if os.fork():
        os._exit(0)
    if left % 3 == 0 and left:
        os.execv(sys.executable, [sys.executable, "-SEc", sys.argv[1], sys.argv[1], str(left)])
print("there", flush=True)
sys.stdin.read()
"""


def links(pid):
    found = []
    with contextlib.suppress(FileNotFoundError):  # closed, or ended
        for fd in os.listdir(f"/proc/{pid}/fd"):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


@case
def getgpus_keeper_stays_while_its_program_moves_from_process_to_process():
    reading, writing = os.pipe()
    uuid = f"GPU-nobody's-{os.getpid()}"
    keeper = keeps([os.path.join(os.environ["COMPAT"], "getgpu"), "--keep", "3600000", uuid],
                   writing)
    os.close(writing)
    try:
        program = child(sys.executable, "-SEc", CHAIN, CHAIN, "60",
                        env={**os.environ, "CUDA_VISIBLE_DEVICES": uuid})
        assert line_of(program) == "there\n"
        assert keeper.poll() is None, "it ended before its program"
        while not any("pidfd" in link for link in links(keeper.pid)):
            assert keeper.poll() is None, "it ended before its program"
        program.communicate()
        assert keeper.wait(timeout=PATIENCE) == 0
    finally:
        keeper.kill()
        keeper.wait()
        os.close(reading)


@case
def a_keeper_ends_when_told_to_whatever_its_caller_ignores():
    def deafen():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

    with store() as one:
        words = [GPUALLOC, "hold", "--machine", one.machine, "--for", "1h", "--json"]
        held = json.loads(subprocess.run(words, env=one.environment(), check=True, text=True,
                                         stdout=subprocess.PIPE, preexec_fn=deafen).stdout)
        with open(f"/proc/{held['pid']}/status", encoding="utf-8") as file:
            masks = dict(line.split(":\t") for line in file.read().splitlines() if "Sig" in line)
        term = 1 << signal.SIGTERM - 1
        cli.ok("release", held["lease"], env=env_of(one))
        assert not (int(masks["SigBlk"], 16) | int(masks["SigIgn"], 16)) & term, masks


# ---- stores ----

@case
def a_store_is_the_same_from_every_folder():
    """Else a lease within a lease would be one in another store, beside everybody."""
    with store() as one:
        where, name = os.path.split(one.path)
        os.mkdir(os.path.join(where, "elsewhere"), 0o755)
        for folder in (where, os.path.join(where, "elsewhere")):
            cli.refused(77, "run", "--machine", one.machine, "true", cwd=folder,
                        env={"GPUALLOC_STATE_DIR": name}, says=["begins with /"])


# ---- records ----

# Makes a record of each id that it sees held, at once.
NAMER = r"""
import fcntl, os, signal, struct, sys
ledger, seen = os.open(sys.argv[1] + "/ledger", os.O_RDWR), set()
ask = struct.pack("hhqqiq", fcntl.F_RDLCK, 0, 1 << 62, 1 << 40, 0, 0)
print("there", flush=True)
while True:
    kind, _, start, _, _, _ = struct.unpack("hhqqiq", fcntl.fcntl(ledger, 36, ask))
    if kind != fcntl.F_UNLCK and start not in seen:
        seen.add(start)
        try:
            os.close(os.open(f"{sys.argv[1]}/records/{start - (1 << 62):010x}",
                             os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except OSError:
            pass
"""


@case
def nobody_is_quick_enough_to_put_their_name_on_a_lease():
    with two_people() as (ada, bob), shared_store() as one:
        liar = child(python(bob), "-c", NAMER, one.path, **bob.as_them())
        try:
            assert line_of(liar) == "there\n"
            for _ in range(20):
                inside = one.ok("sh", "-c", f"{GPUALLOC} run --machine {one.machine} sh -c 'exit 0' &&"
                                " stat -c %u $GPUALLOC_STATE_DIR/records/$GPUALLOC_LEASE",
                                **ada.as_them())
                assert inside.strip() == str(ada.uid), inside
        finally:
            liar.kill()
            liar.communicate()


# ---- descriptors ----

RECEIVER = r"""
import socket, sys
door = socket.socket(socket.AF_UNIX)
door.bind("")
door.listen()
print(door.getsockname()[1:].decode(), flush=True)
visitor, _ = door.accept()
got = socket.recv_fds(visitor, 10, 1)
print("got", flush=True)
sys.stdin.read()
"""
GIVER = r"""
import os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.connect("\0" + sys.argv[1])
socket.send_fds(door, [b"x"], [int(os.environ["GPUALLOC_FD"])])
print(os.environ["GPUALLOC_LEASE"], flush=True)
sys.stdin.read()
"""


@case
def root_ends_no_process_that_was_slipped_a_descriptor():
    with two_people() as (ada, bob), shared_store() as one:
        for is_hidden in (False, True):
            innocent = child(python(ada), "-c", RECEIVER, **ada.as_them())
            door = line_of(innocent).strip()
            holder = one.hold("-n", "8", command=[python(bob), "-c", GIVER, door], **bob.as_them())
            assert line_of(innocent) == "got\n"
            if is_hidden:  # then nobody can tell whose the lease is
                os.unlink(os.path.join(one.path, "records", holder.said))
            result = cli.run("release", "--yes", holder.said, env=env_of(one))
            assert result.code == 75 and f"process {innocent.pid} " in result.err, result
            assert innocent.poll() is None and "left running" in result.err, result
            innocent.communicate()
            assert holder.end() == (0 if is_hidden else -signal.SIGTERM)


main()
