#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Leases in odd surroundings: limits on files, no /proc, jobs that ignore Ctrl-C, a umask that closes
everything, a private store whose name somebody took, characters that reverse text."""
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import unicodedata

import cli
from cli import GPUALLOC, Skip, case, is_sanitized, machine_file, main
from leasing import PATIENCE, TIMES, Terminal, store
from people import shared_store, two_people

RECORD = "record could not be written"


def no_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


# ---- a limit on files ----

@case
def without_files_one_leases_without_a_record():
    with store() as one:
        one.ask("setup")
        result = one.run("-n", "8", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES", preexec_fn=no_files)
        assert result.code == 0 and len(result.out.split(",")) == 8, result
        assert RECORD in result.err, result
        holder = one.hold("-n", "5", preexec_fn=no_files)
        one.refused(75, "-n", "4", "true", says=["without a record"])
        one.ok("-n", "3", "true")
        assert [lease["note"] for lease in one.leases()["leases"]] == ["held, no record"]
        assert holder.end() == 0 and one.is_free()


@case
def its_messages_may_go_to_a_file_too():
    with store() as one:
        one.ask("setup")
        with open(os.path.join(one.where, "log"), "wb") as log:
            done = subprocess.run([GPUALLOC, "run", "--machine", one.machine, "true"],
                                  env=one.environment(), stderr=log, preexec_fn=no_files,
                                  timeout=PATIENCE, check=False)
        assert done.returncode == 0, done
        # The command has the limit and its signal as they were.
        result = one.run("sh", "-c", f"echo much > {one.where}/file", preexec_fn=no_files)
        assert result.code == -signal.SIGXFSZ or result.code > 0, result


@case
def hold_and_getgpu_do_without_a_record():
    with store("a100-mig") as one:
        one.ask("setup")
        env = {"GPUALLOC_STATE_DIR": one.path}
        result = cli.run("hold", "--machine", one.machine, "--for", "1h", env=env,
                         preexec_fn=no_files)
        assert result.code == 0 and RECORD in result.err, result
        assert [lease["id"] for lease in one.leases()["leases"]] == [result.out.strip()]
        cli.ok("release", result.out.strip(), env=env)
        done = subprocess.run([os.path.join(os.environ["COMPAT"], "getgpu")], text=True,
                              env=one.environment(GPUALLOC_MACHINE=one.machine,
                                                  GPUALLOC_HOLD="1h"),
                              capture_output=True, preexec_fn=no_files, timeout=PATIENCE,
                              check=False)
        assert done.returncode == 0 and done.stdout.startswith("MIG-"), done
        assert RECORD in done.stderr, done
        leases = one.leases()["leases"]
        assert len(leases) == 1, leases
        os.kill(int(one.ask("leases", "--pids", leases[0]["id"])), signal.SIGKILL)
        one.ok("--wait=60s", "--mig", "-n", "1", "--only", done.stdout.strip(), "true")


@case
def without_files_one_can_still_wait():
    with store() as one:
        one.ask("setup")
        holder = one.hold("-n", "8")
        waiter = subprocess.Popen([GPUALLOC, "run", "--machine", one.machine, "--wait", "true"],
                                  env=one.environment(), stderr=subprocess.PIPE, text=True,
                                  preexec_fn=no_files)
        assert holder.end() == 0
        said = waiter.communicate(timeout=PATIENCE)[1]
        assert waiter.returncode == 0, said


# ---- time limits ----

WITHOUT_PROC = ("mount --make-rprivate / && mount -t tmpfs none /proc || exit 99; "
                "exec \"$0\" run --machine \"$1\" --time-limit \"$2\" sh -c "
                "\"$3\"")


def without_proc(one, limit, script):
    """The exit status of a command with that time limit, and its messages."""
    if is_sanitized():
        raise Skip("a sanitizer cannot do without /proc")
    try:
        job = subprocess.Popen(["unshare", "-m", "sh", "-c", WITHOUT_PROC, GPUALLOC, one.machine,
                                limit, script], env=one.environment(), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise Skip(str(error)) from error
    try:
        said = job.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        for lease in one.leases()["leases"]:
            for pid in one.ask("leases", "--pids", lease["id"]).split():
                os.kill(int(pid), signal.SIGKILL)
        job.communicate()
        raise
    if job.returncode in (1, 99):
        raise Skip("no mount namespaces: " + said)
    return job.returncode, said


@case
def a_time_limit_needs_no_proc():
    with store() as one:
        one.ask("setup")
        code, said = without_proc(one, "50ms", "exec sleep 1000")
        assert code == -signal.SIGTERM and "time limit" in said, (code, said)
        assert one.is_free()
        # In a session of its own, which the command has left behind.
        for limit in TIMES:
            code, said = without_proc(one, limit, "setsid sleep 1000 & exit 5")
            if code != -signal.SIGTERM:  # else it was ended before it could exit
                break
        assert code == 5 and "time limit" in said, (code, said)
        assert one.is_free()


# ---- Ctrl-C ----

DEAF = ("sh -c 'trap \"\" INT; trap \"echo asked\" TERM; echo deaf; "
        "while :; do sleep 1000 & wait $!; done' & exit 3")


@case
def ctrl_c_ends_what_the_command_left():
    with store() as one:
        job = Terminal(GPUALLOC, "run", "--supervise", "--machine", one.machine, "sh", "-c", DEAF,
                       env=one.environment())
        job.until(r"deaf[\s\S]*Ctrl-C asks|Ctrl-C asks[\s\S]*deaf")  # in whichever order
        job.type("\x03")
        job.until("asked")
        job.type("\x03")
        assert job.end() == 3 and one.is_free()


# ---- private stores ----

@contextlib.contextmanager
def private_store_of(person):
    """The two places where it may be; both are removed afterwards."""
    paths = [f"{above}/gpualloc-{person.uid}" for above in ("/tmp", "/dev/shm")]
    try:
        yield paths
    finally:
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)


@case
def a_umask_does_not_close_a_private_store():
    with two_people() as (ada, _), private_store_of(ada) as paths:
        for _ in range(2):
            cli.ok("run", "--private", "--machine", "dgx1-volta", "true",
                   **ada.as_them(umask=0o777))
        made = [path for path in paths if os.path.exists(path)]
        # Nor what an earlier one with that umask left.
        os.chmod(os.path.join(made[0], "records"), 0)
        os.chmod(made[0], 0)
        cli.ok("run", "--private", "--machine", "dgx1-volta", "true", **ada.as_them())


@case
def a_private_store_made_by_somebody_else_is_refused_with_a_way_out():
    with two_people() as (ada, bob), private_store_of(ada) as paths, shared_store() as one:
        for path in paths:
            os.mkdir(path, 0o700)
            os.chown(path, bob.uid, bob.gid)
        cli.refused(77, "run", "--private", "--machine", "dgx1-volta", "true",
                    says=[f"belongs to {bob.name}", "GPUALLOC_STATE_DIR=FOLDER"],
                    **ada.as_them())
        hers = os.path.join(one.where, "hers")
        os.mkdir(hers)
        os.chown(hers, ada.uid, ada.gid)
        cli.ok("run", "--machine", "dgx1-volta", "true",
               env={"GPUALLOC_STATE_DIR": hers + "/store"}, **ada.as_them())


@case
def a_private_lease_beside_a_store_for_everybody_is_refused():
    env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": machine_file("lab.json")}
    with two_people() as (ada, _), private_store_of(ada) as paths, shared_store() as one:
        env["GPUALLOC_STATE_DIR"] = one.path
        for words in (["run"], ["hold", "--for", "1h"]):
            cli.refused(77, *words, "--private", *(["true"] if words == ["run"] else []), env=env,
                        says=[one.path, "leave out --private"], **ada.as_them())
        assert not any(os.path.exists(path) for path in paths)
        os.chmod(os.path.join(one.path, "ledger"), 0o600)  # restricted to others
        result = cli.run("run", "--private", "--ignore-processes", "true", env=env,
                         **ada.as_them())
        assert result.code == 0 and "but you cannot use it" in result.err, result


# ---- text ----

@case
def characters_that_reverse_text_are_never_shown():
    odd = "\u202egnihtyna\u2066 a\u200bb\u200fc\ufeffd\u00ade\U000e0041f"
    with store() as one:
        holder = one.hold("--note", "note " + odd,
                          command=["sh", "-c", f"echo {odd}; read line; exit 0"])
        holder.said = ""
        shown = [one.ask("leases"), one.ask("leases", "--json"),
                 one.ask("leases", "--json", "--pids", one.leases()["leases"][0]["id"]),
                 one.ask("list", "--machine", one.machine, "--json"),
                 one.refused(75, "-n", "8", "true")]
        for name in os.listdir(os.path.join(one.path, "records")):
            with open(os.path.join(one.path, "records", name), encoding="utf-8") as file:
                shown.append(file.read())
        for text in shown:
            found = {hex(ord(char)) for char in text if unicodedata.category(char) == "Cf"}
            assert not found and "\\u20" not in text, (found, text)
        assert holder.end() == 0


main()
