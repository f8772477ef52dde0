#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/LEASES.md says happens with the programs that people put around others: who passes the
lease's descriptor on, who closes it, and what the lease does then. Programs that are not here are
skipped by name."""
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile

import cli
from cli import Skip, case, main
from leasing import Store
from people import shared_store, two_people

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
# Whether it has the descriptor, and then it waits for us.
HAS = "if [ -e /proc/self/fd/$GPUALLOC_FD ]; then echo has; else echo lost; fi; read line; exit 0"
PASS_ON = {
    "nohup": ["nohup"], "setsid": ["setsid", "--wait"], "timeout": ["timeout", "60"],
    "nice": ["nice"], "env": ["env", "A=b"], "xargs": ["xargs", "-a", "/dev/null"],
    "strace": ["strace", "-f", "-o", "/dev/null"],
    "gdb": ["gdb", "-q", "-batch", "-nx", "-iex", "set startup-with-shell off", "-ex", "run",
            "--args"],
    "bash": ["bash", "-c", '"$@"', "bash"]}


def ask_about(*words):
    """Whether a program that these start has the descriptor."""
    with cli.folder() as where:
        one = Store(where)
        script = os.path.join(where, "has")
        with open(script, "w", encoding="utf-8") as file:
            file.write(HAS)
        result = one.run("-n", "1", *words, "sh", script)
        assert result.code == 0 and one.is_free(), f"{words}: {result!r}"
        found = [word for word in ("has", "lost") if word in result.out.split()]
        assert len(found) == 1, f"{words}: {result!r}"
        return found[0]


@case
def programs_that_start_others_pass_it_on():
    missing = [name for name in PASS_ON if not shutil.which(name)]
    for name, words in PASS_ON.items():
        if name not in missing:
            assert ask_about(*words) == "has", name
    if missing:
        raise Skip(f"without {', '.join(missing)}; the others pass it on")


@case
def so_does_script_on_a_terminal_of_its_own():
    if not shutil.which("script"):
        raise Skip("no script here")
    with cli.folder() as where:
        one = Store(where)
        result = one.run("-n", "1", "script", "-qec", f"sh -c '{HAS.replace('read line; ', '')}'",
                         "/dev/null")
        assert result.code == 0 and "has" in result.out, result


@case
def bash_closes_it_for_a_daemon_that_is_not_to_keep_the_lease():
    if not shutil.which("bash"):
        raise Skip("no bash here")
    with cli.folder() as where:
        one = Store(where)
        script = 'sh -c "$1" {GPUALLOC_FD}>&-'
        result = one.run("-n", "1", "bash", "-c", script, "bash", HAS)
        assert result.out == "lost\n", result


def lease_after(one, code, *options, free):
    """A job whose program does something and then waits: whether its device can be had then."""
    holder = one.hold("-n", "8", *options, command=[
        sys.executable, "-c", f"import os, sys, subprocess, multiprocessing\n{code}\n"
        "print('ready', flush=True)\nsys.stdin.read()"])
    assert holder.said == "ready", holder.said
    if free:
        one.ok("-n", "8", "true")
    else:
        one.refused(75, "-n", "1", "true")
    assert holder.end() == 0


CLOSE_ALL = "os.closerange(3, 4096)"


@case
def who_closes_every_descriptor_lets_go_unless_supervised():
    with cli.folder() as where:
        one = Store(where)
        lease_after(one, CLOSE_ALL, free=True)
        lease_after(one, CLOSE_ALL, "--supervise", free=False)
        assert one.is_free()


# The child goes on when its parent has ended, and says so once it runs.
LEAVES = """
import os, sys, subprocess, multiprocessing
def work():
    print("works", flush=True)
    sys.stdin.close()
    os.read(0, 1)
if __name__ == "__main__":
    START
    os._exit(0)
"""
STARTS = {
    "subprocess": "subprocess.Popen([sys.executable, '-c', 'import os; print(\"works\", flush=True); "
                  "os.read(0, 1)'])",
    "fork": "if os.fork() == 0: print('works', flush=True); os.read(0, 1); os._exit(0)",
}


@case
def pythons_subprocess_closes_it_and_fork_passes_it_on():
    for start, is_kept in (("subprocess", False), ("fork", True)):
        for options in ((), ("--supervise",)):
            with cli.folder() as where:
                one = Store(where)
                program = LEAVES.replace("START", STARTS[start])
                holder = one.hold("-n", "8", *options, command=[sys.executable, "-c", program])
                assert holder.said == "works"
                if options or is_kept:
                    if not options:
                        holder.process.wait(timeout=60)
                    one.refused(75, "-n", "1", "true")
                else:
                    assert holder.process.wait(timeout=60) == 0
                    one.ok("-n", "8", "true")
                assert holder.end() == 0
                one.ok("--wait", "-n", "8", "true")


MULTI = """
import multiprocessing, os, sys
def work(way):
    fd = int(os.environ["GPUALLOC_FD"])
    there = os.path.exists(f"/proc/self/fd/{fd}") and \
        os.readlink(f"/proc/self/fd/{fd}").endswith("/ledger")
    print(way, "has" if there else "lost", flush=True)
if __name__ == "__main__":
    for way in ("fork", "spawn"):
        process = multiprocessing.get_context(way).Process(target=work, args=(way,))
        process.start()
        process.join()
"""


@case
def multiprocessing_passes_it_on_with_fork_and_not_with_spawn():
    with cli.folder() as where:
        one, path = Store(where), os.path.join(where, "multi.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(MULTI)
        assert one.ok("-n", "1", sys.executable, path) == "fork has\nspawn lost\n"


# Sends the descriptor into a socket, and ends before anybody has taken it out.
SEND = """
import os, socket, sys
link = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(link, [b"x"], [int(os.environ["GPUALLOC_FD"])])
print("sent", flush=True)
"""


@case
def a_descriptor_on_its_way_keeps_it():
    import socket
    with cli.folder() as where:
        one = Store(where)
        ours, theirs = socket.socketpair()
        holder = one.hold("-n", "8", command=[sys.executable, "-c", SEND, str(theirs.fileno())],
                          pass_fds=[theirs.fileno()])
        theirs.close()
        assert holder.said == "sent" and holder.process.wait(timeout=60) == 0
        one.refused(75, "-n", "1", "true")
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        one.refused(75, "-n", "1", "true")
        os.close(fds[0])
        ours.close()
        one.ok("--wait", "-n", "8", "true")
        assert holder.end() == 0 and one.is_free()


@case
def a_stopped_program_keeps_it():
    with cli.folder() as where:
        one = Store(where)
        holder = one.hold("-n", "8")
        os.kill(holder.process.pid, 19)
        assert os.WIFSTOPPED(os.waitpid(holder.process.pid, os.WUNTRACED)[1])
        one.refused(75, "-n", "1", "true")
        os.kill(holder.process.pid, 18)
        assert holder.end() == 0 and one.is_free()


@case
def a_server_that_was_started_inside_keeps_it_and_an_older_one_holds_nothing():
    if not shutil.which("tmux"):
        raise Skip("no tmux here")
    with cli.folder() as where:
        one, tmux = Store(where), ["tmux", "-L", f"gpualloc-test-{os.getpid()}", "-f", "/dev/null"]
        environment = {**one.environment(), "TMUX_TMPDIR": where}
        try:
            one.ok("-n", "8", "sh", "-c", '"$@"; true', "sh", *tmux, "new", "-d", "sleep", "1d",
                   env={"TMUX_TMPDIR": where})
            one.refused(75, "-n", "1", "true")
        finally:
            subprocess.run([*tmux, "kill-server"], env=environment, check=False)
        one.ok("--wait", "-n", "8", "true")
        subprocess.run([*tmux, "new", "-d", "sleep", "1d"], env=environment, check=True)
        try:
            one.ok("-n", "8", "sh", "-c", '"$@"; true', "sh", *tmux, "new", "-d", "sleep", "1d",
                   env={"TMUX_TMPDIR": where})
            one.ok("-n", "8", "true")
        finally:
            subprocess.run([*tmux, "kill-server"], env=environment, check=False)


@case
def a_store_on_an_overlay_is_refused():
    if os.geteuid() != 0:
        raise Skip("only root can mount")
    with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as where:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS) != 0 or \
                libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) != 0:
            raise Skip("no mount namespace to be had here")
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(os.path.join(where, name))
        options = ",".join(f"{kind}={where}/{name}" for kind, name in
                           (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")))
        done = subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay",
                               f"{where}/merged"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"no overlay can be mounted here: {done.stderr.strip()}")
        try:
            result = cli.run("setup", env={"GPUALLOC_STATE_DIR": f"{where}/merged/store"})
            assert result.code == 77 and "tmpfs, ext4, xfs" in result.err, result
        finally:
            subprocess.run(["umount", f"{where}/merged"], check=True)


@case
def in_another_pid_namespace_it_excludes_others_and_shows_its_own_number():
    words = ["unshare", "--pid", "--fork"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        raise Skip("no pid namespace to be had here")
    with cli.folder() as where:
        one = Store(where)
        holder = one.hold("-n", "8", before=words)
        assert [lease["pid"] for lease in one.leases()["leases"]] == [1], one.leases()
        one.refused(75, "-n", "1", "true")
        assert holder.end() == 0 and one.is_free()


@case
def a_store_given_to_a_group_is_closed_to_others():
    with two_people() as (ada, bob), shared_store() as one:
        ledger = os.path.join(one.path, "ledger")
        group = 54321
        os.chown(ledger, 0, group)
        os.chmod(ledger, 0o660)
        one.ok("-n", "8", "true", **ada.as_them(extra_groups=[group]))
        one.refused(77, "-n", "1", "true", **bob.as_them())


main()
