#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup --fence, as far as it goes on the kernel that is here. Where that lets us, a fence is put
up around device numbers that no GPU here has; tests/fence has what it does.

Environment: PROBE_PATH, where gpualloc-probe is to be installed; HAS_FENCE, empty if the command was built
without the fence."""
import atexit
import contextlib
import fcntl
import json
import os
import pty
import subprocess
import sys
import time

from cli import GPUALLOC, Skip, case, environment, folder, main, ok, refused, run
from people import two_people

PINS, PROBE = "/sys/fs/bpf/gpualloc", os.environ["PROBE_PATH"]
LOCK = "/run/gpualloc-fence.lock"


def strange_machine(where, **changes):
    """Two GPUs whose device nodes no real GPU has."""
    path = os.path.join(where, "machine.json")
    machine = json.loads(ok("snapshot", "--machine", "dgx1-volta"))
    gpus = [{**gpu, "minor": 240 + gpu["index"], **changes} for gpu in machine["devices"][:2]]
    cut = {key: [row[:2] for row in machine[key][:2]] for key in ("pcie", "nvlink") if key in machine}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"gpualloc_machine": 1, "devices": gpus, **cut}, file)
    return path


@contextlib.contextmanager
def place(*lines, **changes):
    """(folder, machine file, environment with a store and a configuration of its own)"""
    with folder() as where:
        config = os.path.join(where, "gpualloc.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
        os.chmod(config, 0o644)
        yield where, strange_machine(where, **changes), {
            "GPUALLOC_STATE_DIR": os.path.join(where, "store"), "GPUALLOC_CONFIG": config}


def as_root():
    if os.geteuid() != 0:
        raise Skip("needs root")
    if os.path.exists("/proc/driver/nvidia/version"):
        raise Skip("there are GPUs here")
    if os.path.exists(PINS):
        raise Skip("a fence stands here")


@case
def what_does_not_go_together_is_refused():
    with place() as (_, machine, env):
        for words in (["--check", "--remove"], ["--config", env["GPUALLOC_CONFIG"]],
                      ["--config", env["GPUALLOC_CONFIG"], "--check"]):
            refused(64, "setup", "--fence", *words, env=env)
        assert "--fence" in refused(64, "setup", "--machine", machine, env=env)


@case
def only_root_may():
    if os.geteuid() == 0:
        with two_people() as (ada, _), folder() as where:
            os.chmod(where, 0o755)
            machine = strange_machine(where)
            os.chmod(machine, 0o644)
            users_are_refused(machine, **ada.as_them())
    else:
        with folder() as where:
            users_are_refused(strange_machine(where))


def users_are_refused(machine, **options):
    refused(77, "setup", "--fence", "--machine", machine, says=["only root"], **options)
    refused(77, "setup", "--fence", "--remove", says=["only root"], **options)
    # But what they can see is told.
    refused(77, "setup", "--fence", "--check", says=["only root", PROBE, "set-gid bit"], **options)
    document = json.loads(refused(77, "setup", "--fence", "--check", "--json", **options))
    assert document["error"]["status"] == 77, document


@case
def a_mistake_in_the_configuration_stops_it_before_anything_is_made():
    as_root()
    with place("fence-exempt = user nobody", "fence-exempt = user no-such-user-here",
               "fence-exempt = cgroup /") as (_, machine, env):
        said = refused(78, "setup", "--fence", "--machine", machine, env=env)
        for line in (2, 3):
            assert f"{env['GPUALLOC_CONFIG']}:{line}: " in said, said
        assert said.count(env["GPUALLOC_CONFIG"]) == 2, said
        assert not os.path.exists(env["GPUALLOC_STATE_DIR"]) and not os.path.exists(PINS)


@case
def without_device_nodes_there_is_nothing_to_fence():
    as_root()
    with place(display=True) as (_, machine, env):
        said = refused(78, "setup", "--fence", "--machine", machine, env=env)
        assert "no device node" in said and "display" in said, said
        assert not os.path.exists(env["GPUALLOC_STATE_DIR"]) and not os.path.exists(PINS)


@case
def where_there_is_no_fence_that_is_said():
    as_root()
    with place() as (_, machine, env):
        needs_fence()
        refused(77, "setup", "--fence", "--check", "--machine", machine, env=env, says=["no fence"])
        assert ok("setup", "--fence", "--remove", env=env) == "there was no fence\n"
        gone = json.loads(ok("setup", "--fence", "--remove", "--json", env=env))
        assert gone == {"schema": 1, "command": "setup", "fence": {"stands": False, "removed": False}}


def needs_fence():
    if not os.environ["HAS_FENCE"]:
        raise Skip("no fence here: it was built without")


def in_namespace(script, *words, env=None):
    """As root of a mount namespace in which the script has been run."""
    done = subprocess.run(["unshare", "--mount", "sh", "-ec", f'{script}\nexec "$@"', "sh", *words], text=True,
                          env=environment(**(env or {})), capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if "mount:" in done.stderr:
        raise Skip(f"cannot mount: {done.stderr.strip()}")
    return done


@case
def a_simulated_machine_says_nothing_about_these_gpus():
    as_root()
    with place() as (_, _, env):
        refused(64, "setup", "--fence", "--machine", "dgx1-volta", env=env, says=["simulated"])
        refused(64, "setup", "--fence", env={**env, "GPUALLOC_MACHINE": "dgx1-volta"}, says=["GPUALLOC_MACHINE"])
        assert not os.path.exists(env["GPUALLOC_STATE_DIR"])


@case
def what_is_half_there_is_not_called_a_fence():
    as_root()
    needs_fence()
    with place() as (_, machine, env):
        script = "mount -t bpf bpf /sys/fs/bpf; mkdir /sys/fs/bpf/gpualloc"
        done = in_namespace(script, GPUALLOC, "setup", "--fence", "--check", "--machine", machine, env=env)
        assert done.returncode == 78 and "cannot be looked at" in done.stderr and "puts it up" in done.stderr, done
        done = in_namespace(script, GPUALLOC, "setup", "--fence", "--remove", env=env)
        assert done.returncode == 0 and "the fence is gone" in done.stdout, done


@case
def where_nothing_can_be_pinned_there_is_no_fence():
    as_root()
    needs_fence()
    with place() as (_, machine, env):
        for hidden in ("tmpfs", "bpf"):
            # Whatever another file system, or a user, has there under the name of the fence.
            script = f"mount -t {hidden} {hidden} /sys/fs/bpf; mkdir /sys/fs/bpf/gpualloc /sys/fs/bpf/gpualloc/maps"
            if hidden == "bpf":
                script += "; chown 65534 /sys/fs/bpf/gpualloc"
            done = in_namespace(script, GPUALLOC, "setup", "--fence", "--check", "--machine", machine, env=env)
            assert done.returncode == 77 and "no fence stands" in done.stderr, done
            done = in_namespace(script, GPUALLOC, "setup", "--fence", "--remove", env=env)
            assert done.returncode == 0 and done.stdout == "there was no fence\n", done


@case
def nothing_that_a_user_has_put_there_is_emptied():
    as_root()
    needs_fence()
    with place() as (where, _, env):
        victim = os.path.join(where, "victim")
        os.mkdir(victim)
        with open(os.path.join(victim, "file"), "w", encoding="ascii"):
            pass
        script = f"mount -t bpf bpf /sys/fs/bpf; ln -s {victim} /sys/fs/bpf/gpualloc_new"
        done = in_namespace(script, GPUALLOC, "setup", "--fence", "--remove", env=env)
        assert done.returncode == 0 and os.path.exists(os.path.join(victim, "file")), done


def waits_for_lock(process):
    with open("/proc/locks", encoding="ascii") as file:
        return any("->" in line.split() and str(process.pid) in line.split() for line in file)


@case
def two_at_once_change_it_one_after_the_other():
    as_root()
    needs_fence()
    with place() as (_, _, env), open(LOCK, "w", encoding="ascii") as lock:
        os.chmod(lock.name, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen([GPUALLOC, "setup", "--fence", "--remove"], env=environment(**env), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while not waits_for_lock(process):
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            fcntl.flock(lock, fcntl.LOCK_UN)
            out, err = process.communicate()
        assert process.returncode == 0 and out == "there was no fence\n", (out, err)


@case
def who_takes_it_down_is_told_that_it_comes_back():
    as_root()
    needs_fence()
    wants = "/etc/systemd/system/multi-user.target.wants"
    with place() as (_, _, env):
        script = f"mkdir -p {wants}; mount -t tmpfs tmpfs {wants}; : >{wants}/gpualloc-fence.service"
        done = in_namespace(script, GPUALLOC, "setup", "--fence", "--remove", env=env)
        assert done.returncode == 0 and "systemctl disable --now gpualloc-fence.service" in done.stderr, done
        done = in_namespace(script, GPUALLOC, "setup", "--fence", "--remove", "-q", env=env)
        assert done.returncode == 0 and done.stderr == "", done


@case
def a_store_is_kept_if_nobody_knows_whether_a_fence_asks_it():
    as_root()
    needs_fence()
    with place() as (_, _, env):
        ok("setup", env=env)
        script = "mount -t bpf bpf /sys/fs/bpf; mkdir /sys/fs/bpf/gpualloc"
        done = in_namespace(script, GPUALLOC, "setup", "--remove", env=env)
        assert done.returncode == 75 and "setup --fence --remove" in done.stderr, done
        ok("setup", "--remove", env=env)


@case
def a_build_without_the_fence_says_so():
    as_root()
    if os.environ["HAS_FENCE"]:
        return
    with place() as (_, machine, env):
        for words in (["--machine", machine], ["--check", "--machine", machine], ["--remove"]):
            refused(78, "setup", "--fence", *words, env=env, says=["built without the fence"])
        assert not os.path.exists(env["GPUALLOC_STATE_DIR"])


@case
def it_stands_whole_or_nothing_is_left():
    as_root()
    with place("fence-exempt = group root", "fence-exempt = cgroup /no-such.slice") as (_, machine, env):
        result = run("setup", "--fence", "--machine", machine, env=env)
        try:
            if result.code == 78:  # what it lacks is said
                assert result.raw == b"" and result.err.startswith("gpualloc: "), result
                assert not os.path.exists(PINS) and not is_set(PROBE)
                if "programs" not in result.err:  # what shows before they are loaded
                    assert not os.path.exists(env["GPUALLOC_STATE_DIR"]), result
                return
            assert result.code == 0, result
            a_fence_that_stands(result, machine, env)
        finally:
            run("setup", "--fence", "--remove", env=env)
        assert not os.path.exists(PINS)


def is_set(path):
    return os.path.exists(path) and os.stat(path).st_mode & 0o2000


def a_fence_that_stands(result, machine, env):
    words = ["--machine", machine]
    assert "/dev/nvidia240-241" in result.out and "/no-such.slice" in result.err, result
    seen = json.loads(ok("setup", "--fence", "--check", "--json", *words, env=env))["fence"]
    assert [node["number"] for node in seen["nodes"]] == ["195:240", "195:241"], seen
    assert seen["stands"] and seen["kind"] in ("lsm", "functions") and seen["since"] > 0, seen
    assert {"kind": "group", "name": "root", "id": 0} in seen["exempt"], seen
    # The store that it asks stays; another that is made does not concern it.
    refused(75, "setup", "--remove", env=env, says=["--fence --remove"])
    # What would be put up now is something else.
    with open(env["GPUALLOC_CONFIG"], "w", encoding="utf-8") as file:
        file.write("fence-exempt = user nobody\n")
    refused(77, "setup", "--fence", "--check", *words, env=env, says=["user nobody", "group 0"])
    os.rename(env["GPUALLOC_STATE_DIR"], env["GPUALLOC_STATE_DIR"] + "-old")
    refused(77, "setup", "--fence", "--check", *words, env=env, says=["another ledger"])
    run("setup", "--fence", *words, env=env)
    ok("setup", "--fence", "--check", *words, env=env)
    assert "is gone" in ok("setup", "--fence", "--remove", env=env)


@contextlib.contextmanager
def probe_with_its_bit():
    """What makes a command of a user run where the probe has its bit, as behind a fence."""
    above = os.path.dirname(PROBE)
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    if above in ("/", "/usr", "/usr/libexec", "/opt", "/tmp", "/home", "/root"):
        raise Skip(f"no folder for the probe that may be covered: {above}")
    script = (f'mount -t tmpfs tmpfs {above} && mkdir -p {os.path.dirname(PROBE)} && : >{PROBE} && '
              f'chmod 2755 {PROBE} && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"')
    yield ["unshare", "--mount", "sh", "-c", script, "sh"]


@case
def who_leases_beside_the_fence_is_told():
    as_root()
    fake = {"GPUALLOC_NVML": os.environ["FAKE_NVML"],
            "FAKE_MACHINE": os.path.join(os.environ["TEST_ROOT"], "machines/files/lab.json")}
    with probe_with_its_bit() as before, folder() as where:
        os.chmod(where, 0o1777)
        env = environment(**fake, GPUALLOC_STATE_DIR=os.path.join(where, "store"))

        def told(*words, **more):
            done = subprocess.run([*before, GPUALLOC, *words], env={**env, **more}, text=True,
                                  capture_output=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode in (126, 127) or "mount:" in done.stderr:
                raise Skip(f"cannot mount: {done.stderr.strip()}")
            assert done.returncode == 0, done
            return "a fence stands" in done.stderr

        assert told("run", "-n", "1", "true")
        assert told("run", "-n", "1", "--ignore-leases", "true")
        assert not told("run", "-q", "-n", "1", "true")
        assert not told("run", "--machine", "dgx1-volta", "true")
        assert not told("pick", "-n", "1")  # a script's


@case
def getgpu_says_on_a_terminal_that_its_program_has_no_lease():
    as_root()
    getgpu = os.path.join(os.environ["COMPAT"], "getgpu")
    with probe_with_its_bit() as before, folder() as where:
        os.chmod(where, 0o1777)
        env = environment(GPUALLOC_MACHINE="a100-mig", GPUALLOC_HOLD="1ms",
                          GPUALLOC_STATE_DIR=os.path.join(where, "store"))
        master, slave = pty.openpty()
        with subprocess.Popen([*before, getgpu], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=slave) as child:
            os.close(slave)
            said = b""
            with contextlib.suppress(OSError):
                while part := os.read(master, 4096):
                    said += part
            uuid = child.stdout.read()
        os.close(master)
        if b"mount:" in said:
            raise Skip(f"cannot mount: {said.decode().strip()}")
        assert child.returncode == 0 and uuid.startswith(b"MIG-"), (child.returncode, said)
        assert b"a fence stands" in said and b"cudawrap" in said, said


def with_pins():
    """Again in a place where programs can be pinned: containers have none."""
    pins = os.path.dirname(PINS)
    if os.geteuid() == 0 and not os.path.ismount(pins) and "WITH_PINS" not in os.environ:
        os.environ["WITH_PINS"] = "tried"
        with contextlib.suppress(OSError):
            os.execvp("unshare", ["unshare", "--mount", "sh", "-c", f'mount -t bpf bpf {pins} 2>/dev/null; exec "$@"',
                                  "sh", sys.executable, *sys.argv])


def leave_no_lock():
    with contextlib.suppress(FileNotFoundError):
        os.unlink(LOCK)


with_pins()
if not os.path.exists(LOCK):
    atexit.register(leave_no_lock)
main()
