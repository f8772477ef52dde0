#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What users see behind the administrator's fence, through gpualloc-probe. The fence is played by the
modes of files that stand for device nodes: only the probe's group may open them. The probe finds our
fake library as it finds a driver's, for in a mount namespace of the test's own the loader knows it."""
import contextlib
import functools
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import time

from cli import GPUALLOC, Result, Skip, case, environment, in_time, is_sanitized, machine_file, main, ok
from people import shared_store, two_people

PROBE, PLACE, FAKE = os.environ["PROBE"], os.environ["PROBE_PATH"], os.environ["FAKE_NVML"]
SONAME = "libnvidia-ml.so.1"
GROUP = 61777  # a number that nobody has
PATIENCE = 60
ENTER = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir -p "$2"
mount --bind "$3/cache" /etc/ld.so.cache
echo ready
exec cat
"""


def existing(path):
    return path if os.path.isdir(path) else existing(os.path.dirname(path))


class Fenced:
    """A machine of eight GPUs that nobody but root and the probe's group may open."""

    def __init__(self, where, person):
        self.where, self.person, self.inside, self.store = where, person, None, "/nonexistent/store"
        self.started = []
        self.library = os.path.join(where, "lib", SONAME)
        os.mkdir(os.path.join(where, "lib"))
        os.mkdir(os.path.join(where, "dev"))
        shutil.copy(FAKE, self.library)
        self.show("dgx1-volta")
        for name in ["nvidiactl", *(f"nvidia{minor}" for minor in range(16))]:
            with open(self.at("dev", name), "w", encoding="ascii"):
                pass
            os.chown(self.at("dev", name), 0, GROUP)
            os.chmod(self.at("dev", name), 0o666 if name == "nvidiactl" else 0o660)
        self.play()

    def at(self, *names):
        return os.path.join(self.where, *names)

    def show(self, spec):
        with open(self.at("machine.json"), "w", encoding="utf-8") as file:
            file.write(ok("snapshot", "--machine", spec))

    def play(self, **settings):
        settings = {"FAKE_MACHINE": self.at("machine.json"), "FAKE_NODES": self.at("dev"), **settings}
        with open(self.library + ".conf", "w", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def enter(self):
        with open(self.at("ld.so.conf"), "w", encoding="ascii") as file:
            file.write(f"{self.at('lib')}\ninclude /etc/ld.so.conf\n")
        subprocess.run(["ldconfig", "-X", "-C", self.at("cache"), "-f", self.at("ld.so.conf")], check=True,
                       capture_output=True)
        cover = existing(os.path.dirname(PLACE))
        if cover in ("/", "/usr", "/opt", "/tmp", "/home", "/root"):
            raise Skip(f"no folder for the probe that may be covered: {cover}")
        self.inside = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", ENTER, "sh", cover, os.path.dirname(PLACE), self.where],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.inside.stdout.readline() != "ready\n":
            raise Skip("cannot mount: " + self.inside.communicate()[1].strip().replace("\n", " "))
        self.put(PROBE)

    def leave(self):
        for process in self.started:
            if process.poll() is None:  # the case has failed
                pids = descendants(process.pid)
                process.kill()
                process.communicate()
                gone(pids)
        if self.inside:
            self.inside.communicate()

    def put(self, what, mode=0o2755, owner=0, group=GROUP):
        """Puts a file, or a script's text, where the probe is expected."""
        place = f"/proc/{self.inside.pid}/root{PLACE}"
        if os.path.lexists(place):
            os.unlink(place)
        if what.startswith("#!"):
            with open(place, "w", encoding="ascii") as file:
                file.write(what)
        else:
            shutil.copy(what, place)
        os.chown(place, owner, group)
        os.chmod(place, mode)

    def words(self, *words, options=(), as_root=False):
        return ["nsenter", f"--mount=/proc/{self.inside.pid}/ns/mnt", "setpriv",
                *([] if as_root else [f"--reuid={self.person.uid}", f"--regid={self.person.gid}", "--clear-groups"]),
                *options, "--", *words]

    def start(self, *words, options=(), as_root=False, env=None, **more):
        # Meson's own LD_LIBRARY_PATH leads to other fakes.
        env = environment(**{"GPUALLOC_STATE_DIR": self.store, "LD_LIBRARY_PATH": None, **(env or {})})
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        process = subprocess.Popen(self.words(*words, options=options, as_root=as_root), env=env, cwd="/", **pipes)
        self.started.append(process)
        return process

    def run(self, *words, **more):
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=PATIENCE)
        return Result(process.returncode, out, err.decode(errors="replace"))

    def list(self, *words, **more):
        """(devices, notes) as the user sees them."""
        result = self.run(GPUALLOC, "list", "--json", *words, **more)
        assert result.code == 0, result
        return json.loads(result.out)["devices"], result.err

    def sees_all(self, **more):
        devices, notes = self.list(**more)
        return len(devices) == 8 and all(device["state"] == "free" for device in devices) and not notes


@contextlib.contextmanager
def fenced(is_played=False, **settings):
    """If the probe is played, by scripts, no set-gid program of ours is started."""
    if is_sanitized() and not is_played:
        raise Skip("the sanitizer cannot look into a set-gid program")
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    if SONAME in known:
        raise Skip("the loader finds a driver's library, which is never loaded in a test")
    with two_people() as (ada, _):
        where = tempfile.mkdtemp(prefix="gpualloc-test-")
        os.chmod(where, 0o755)
        machine = Fenced(where, ada)
        try:
            machine.play(**settings)
            machine.enter()
            yield machine
        finally:
            machine.leave()
            shutil.rmtree(where)


def descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                for child in map(int, file.read().split()):
                    found += [child, *descendants(child)]
    return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(what):
    """Waits for it; a test that waits for ever fails by its own timeout."""
    while not what():
        time.sleep(0.01)


def probes_below(process):
    """The probe that a command has started, and its children: once the driver is being asked. None if
    the command has ended before that was seen."""
    def look():
        found.clear()
        for pid in descendants(process.pid):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe").endswith("/gpualloc-probe"):
                    found.append(pid)
        with contextlib.suppress(OSError):
            return len(found) >= 2 and all(SONAME in maps(pid) for pid in found[1:])
        return False

    found = []
    until(lambda: look() or process.poll() is not None)
    return list(found) if process.poll() is None else None


def maps(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        return file.read()


def gone(pids):
    until(lambda: not any(map(is_alive, pids)))
    return True


@case
def users_see_every_gpu_through_the_probe():
    with fenced() as machine:
        assert machine.sees_all(), machine.list()
        result = machine.run(GPUALLOC, "snapshot")
        snapshot = json.loads(result.out)
        assert snapshot["fenced"] is True and snapshot["source"] == "nvml", result
        machine.put(PROBE, mode=0o755)
        devices, _ = machine.list()
        assert {device["state"] for device in devices} == {"unhealthy"}, devices


@case
def the_probe_tells_what_root_sees():
    with fenced() as machine:
        for spec in ("dgx1-volta", "a100-mig", "hgx-h100", machine_file("lab.json")):
            machine.show(spec)
            mine, roots = (machine.run(GPUALLOC, "snapshot", as_root=as_root) for as_root in (False, True))
            assert mine.code == 0 and roots.code == 0, (mine, roots)
            mine, roots = json.loads(mine.out), json.loads(roots.out)
            assert mine.pop("fenced") is True and "fenced" not in roots
            assert mine == roots, (spec, mine, roots)


@case
def a_person_waiting_at_a_terminal_sees_what_is_asked():
    with fenced(FAKE_SLOW_GPU="400") as machine:
        master, slave = pty.openpty()
        process = machine.start(GPUALLOC, "list", stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):
            while part := os.read(master, 65536):
                shown += part
        os.close(master)
        assert process.wait() == 0, shown
        assert b"\r\033[Kgpualloc: the driver (NVML) is slow to answer: asking GPU " in shown, shown


@case
def programs_get_uuids_and_numbers_are_refused():
    with fenced() as machine, shared_store() as store:
        machine.store = store.path
        with open(machine.at("machine.json"), encoding="utf-8") as file:
            uuids = [device["uuid"] for device in json.load(file)["devices"]]
        result = machine.run(GPUALLOC, "run", "-n", "2", "printenv", "CUDA_VISIBLE_DEVICES")
        assert result.code == 0 and set(result.out.strip().split(",")) <= set(uuids), result
        result = machine.run(GPUALLOC, "run", "--format", "index", "true")
        assert result.code == 78 and result.raw == b"" and "administrator's fence" in result.err, result
        # That is about CUDA's numbers; what is listed has the machine's own.
        devices, _ = machine.list()
        assert [device["index"] for device in devices] == list(range(8))


@case
def only_a_file_of_roots_with_the_bit_is_asked():
    tell = "#!/bin/sh\necho asked >>{}; exit 1\n"
    with fenced(is_played=True) as machine:
        trace = machine.at("trace")
        with open(trace, "w", encoding="ascii"):
            pass
        os.chmod(trace, 0o666)
        for mode, owner, asked in ((0o2755, 0, True), (0o755, 0, False), (0o2775, 0, False), (0o2757, 0, False),
                                   (0o2745, 0, False), (0o6755, 0, False), (0o2755, machine.person.uid, False)):
            machine.put(tell.format(trace), mode=mode, owner=owner)
            os.truncate(trace, 0)
            devices, _ = machine.list()
            assert {device["state"] for device in devices} == {"unhealthy"}, (oct(mode), owner, devices)
            assert (os.path.getsize(trace) > 0) == asked, (oct(mode), owner)
        # Nor a link, whoever made it; nor if a library is named.
        place = f"/proc/{machine.inside.pid}/root{PLACE}"
        machine.put(tell.format(trace))
        os.rename(place, place + ".real")
        os.symlink(PLACE + ".real", place)
        os.truncate(trace, 0)
        machine.list()
        assert os.path.getsize(trace) == 0
        os.rename(place + ".real", place)
        machine.list(env={"GPUALLOC_NVML": machine.library})
        assert os.path.getsize(trace) == 0


@case
def nothing_of_the_callers_reaches_the_probe():
    with fenced(FAKE_HANG="0", FAKE_HANG_IN="GetUUID") as machine:
        evil = machine.at("evil")
        os.mkdir(evil)
        shutil.copy(FAKE, os.path.join(evil, SONAME))
        read, write = os.pipe()
        os.set_inheritable(write, True)
        process = machine.start(
            PLACE, pass_fds=[write], env={"LD_PRELOAD": os.environ["FAST_CLOCK"], "LD_LIBRARY_PATH": evil,
                                          "FAKE_MACHINE": "/nonexistent", "GPUALLOC_NVML": os.path.join(evil, SONAME)})
        # Before the bit counts, setpriv and nsenter are those that the variables are for.
        pids = []
        until(lambda: pids.extend(probe_tree(process.pid)) or pids)
        for pid in pids:
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
            assert status["Gid"].split() == [str(machine.person.gid), *[str(GROUP)] * 3], status
            assert "fast_clock" not in maps(pid) and evil not in maps(pid), maps(pid)
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            links = {name: os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
            assert f"pipe:[{os.fstat(write).st_ino}]" not in links.values(), links
            with open(f"/proc/{pid}/limits", encoding="ascii") as file:
                assert "Max core file size        0                    0 " in file.read()
        # The child that asks has device nodes open, which is what nobody may take from it.
        assert any(machine.at("dev", "nvidia0") == os.readlink(f"/proc/{pids[1]}/fd/{fd}")
                   for fd in os.listdir(f"/proc/{pids[1]}/fd")), pids
        for pid in pids:
            assert attack(machine, pid) == "", pid
        process.kill()
        process.communicate()
        os.close(read)
        os.close(write)
        assert gone(pids)


def probe_tree(pid):
    """A probe and its first child, once the child has opened a GPU; else nothing."""
    with contextlib.suppress(OSError):
        if os.readlink(f"/proc/{pid}/exe").endswith("/gpualloc-probe"):
            for child in descendants(pid):
                if any("/dev/nvidia0" in os.readlink(f"/proc/{child}/fd/{fd}")
                       for fd in os.listdir(f"/proc/{child}/fd")):
                    return [pid, child]
    return []


def attack(machine, pid):
    """What the user can do with the process: what worked is printed."""
    script = r"""
import ctypes, os, sys
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
for name in ("fd", "fdinfo", "map_files"):
    try:
        print(name, os.listdir(f"/proc/{pid}/{name}"))
    except OSError:
        pass
for name in ("mem", "maps", "environ", "fd/0", "cwd", "root", "exe", "auxv"):
    try:
        open(f"/proc/{pid}/{name}", "rb").read(1)
        print(name)
    except OSError:
        pass
if libc.ptrace(16, pid, None, None) == 0:
    print("ptrace")
held = os.pidfd_open(pid)
for fd in range(32):
    if libc.syscall(438, held, fd, 0) >= 0:
        print("pidfd_getfd", fd)
class IO(ctypes.Structure):
    _fields_ = [("soft", ctypes.c_ulong), ("hard", ctypes.c_ulong)]
if libc.prlimit(pid, 7, ctypes.byref(IO(0, 0)), None) == 0:
    print("prlimit")
"""
    result = machine.run("/usr/bin/python3", "-c", script, str(pid))
    assert result.code == 0, result
    return result.out


@case
def arguments_are_refused():
    with fenced() as machine:
        result = machine.run(PLACE, "--help")
        assert result.code == 64 and result.raw == b"" and "takes no arguments" in result.err, result
        result = machine.run(PLACE)
        assert result.code == 0 and b'"devices"' in result.raw and result.err == "", result


@case
def the_rights_of_a_callers_own_group_are_not_taken_for_the_probes():
    with fenced() as machine:
        caller = machine.at("caller")
        shutil.copy("/usr/bin/env", caller)
        os.chown(caller, 0, GROUP + 1)
        os.chmod(caller, 0o2755)
        assert b'"devices"' in machine.run(caller, PLACE).raw
        machine.put(PROBE, mode=0o755)
        result = machine.run(caller, PLACE)
        assert result.code == 77 and b"got no rights" in result.raw, result


@case
def closed_descriptors_do_not_become_device_nodes():
    with fenced(FAKE_HANG="0", FAKE_HANG_IN="GetUUID") as machine:
        process = machine.start("sh", "-c", f"exec {PLACE} <&- 2>&-")
        pids = []
        until(lambda: pids.extend(probe_tree(process.pid)) or pids)
        for pid in pids:
            for fd in "012":
                assert "/dev/nvidia" not in os.readlink(f"/proc/{pid}/fd/{fd}"), (pid, fd)
        process.kill()
        process.communicate()
        assert gone(pids)
        # The answer has nowhere to go, and that is all.
        machine.play()
        assert machine.run("sh", "-c", f"exec {PLACE} <&- >&- 2>&-").code in (69, 141)


def asking(machine, deadline):
    """A command whose driver hangs, and the probe that asks it, seen before the deadline."""
    process = machine.start(GPUALLOC, "list", "--machine", "nvml", "--deadline", deadline)
    pids = probes_below(process)
    assert pids, f"{deadline} were too short"
    return process, pids


def ends_at_its_deadline(machine, deadline):
    process, pids = asking(machine, deadline)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 69 and out == b"", (out, err)
    seconds = "0.7" if deadline == "700ms" else deadline[:-1]
    assert f"did not answer within {seconds} s when asked to start".encode() in err, err
    assert b"--deadline" in err and gone(pids), err


@case
def the_deadline_is_passed_on_and_nobody_is_left():
    with fenced(FAKE_HANG="init") as machine:
        in_time(functools.partial(ends_at_its_deadline, machine), "700ms", "3s", "12s")
        # What is not a number in a pipe means nothing.
        for words in ("printf 1x", "printf -- -1", "printf 99999999999999999999", "printf 0"):
            machine.play()
            assert machine.run("sh", "-c", f"{words} | {PLACE}").code == 0


def only_the_third_is_sick(machine, deadline):
    devices, notes = machine.list("--deadline", deadline)
    states = [device["state"] for device in devices]
    assert states == ["free"] * 2 + ["unhealthy"] + ["free"] * 5, devices
    assert "administrator's fence" not in notes, notes


@case
def a_sick_gpu_hurts_no_other():
    for play in ({"FAKE_HANG": "2"}, {"FAKE_CRASH": "2"}, {"FAKE_LOST": "2"}):
        with fenced(**play) as machine:
            in_time(functools.partial(only_the_third_is_sick, machine), "1s", "4s", "16s")


def is_given_up_after(machine, number, says, deadline):
    process, pids = asking(machine, deadline)
    with contextlib.suppress(ProcessLookupError):  # its time was up
        os.kill(pids[0], number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 69 and out == b"" and says in err, (number, out, err)
    assert gone(pids)


@case
def a_probe_that_is_stopped_or_killed():
    with fenced(FAKE_HANG="init") as machine:
        for number, says in ((signal.SIGSTOP, b"did not answer within"), (signal.SIGKILL, b"was ended by signal 9")):
            in_time(functools.partial(is_given_up_after, machine, number, says), "500ms", "2s", "8s")


@case
def a_caller_that_is_killed_leaves_nobody():
    with fenced(FAKE_HANG="init") as machine:
        process = machine.start(GPUALLOC, "list", "--deadline", "1h")
        pids = probes_below(process)
        process.kill()
        process.communicate()
        assert gone(pids)


@case
def what_makes_no_sense_is_not_believed():
    with fenced(is_played=True) as machine:
        os.chmod(machine.at("dev", "nvidia3"), 0o666)
        for body, says in (("echo hello", "makes no sense"), ("echo '=3'; echo '[]'", "makes no sense"),
                           ("exit 3", "exit status 3"), ("kill -SEGV $$", "signal 11"),
                           ("yes '~wait'", "makes no sense"), ("echo =67108864; yes 0", "makes no sense"),
                           ("exec cat /dev/zero", "makes no sense"), ("printf '!5 0 is in a bad mood\\n'", "bad mood")):
            machine.put("#!/bin/sh\nPATH=/usr/bin:/bin\n" + body + "\n")
            devices, notes = machine.list()
            assert says in notes and "administrator's fence" in notes and PLACE in notes, (body, notes)
            free = [device["index"] for device in devices if device["state"] == "free"]
            assert free == [3], (body, devices)
        machine.put("#!/bin/sh\nprintf '!3 0 NVML: is on holiday\\n'\n")
        result = machine.run(GPUALLOC, "list", "--machine", "nvml")
        assert result.code == 69 and "NVML: is on holiday" in result.err, result


@case
def another_copys_probe_is_found_by_its_bit():
    with fenced() as machine:
        usual = "/usr/libexec/gpualloc/gpualloc-probe"
        if usual == PLACE:
            raise Skip("the probe's place is the usual one")
        machine.put(PROBE, mode=0o755)
        for words in (["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/usr/libexec"],
                      ["mkdir", os.path.dirname(usual)], ["cp", PROBE, usual], ["chown", f"0:{GROUP}", usual],
                      ["chmod", "2755", usual]):
            result = machine.run(*words, as_root=True)
            assert result.code == 0, result
        assert machine.sees_all(), machine.list()


@case
def a_user_namespace_is_behind_the_fence_too():
    with fenced() as machine, shared_store() as store:
        machine.store = store.path
        os.chmod(machine.at("dev", "nvidia3"), 0o666)
        for words in (["unshare", "--user"], ["unshare", "--user", "--map-root-user"]):
            if machine.run(*words, "true").code != 0:
                raise Skip("no user namespaces here")
            result = machine.run(*words, GPUALLOC, "list", "--json")
            assert "got no rights" in result.err and "administrator's fence" in result.err, (words, result)
            free = [device["index"] for device in json.loads(result.out)["devices"] if device["state"] == "free"]
            assert free == [3], result
            result = machine.run(*words, GPUALLOC, "run", "--require", "3", "--format", "index", "true")
            assert result.code == 78 and "CUDA's numbering is not certain" in result.err, (words, result)
        # Nor does a library of the user's own make CUDA count what it cannot open.
        snapshot = machine.run(GPUALLOC, "snapshot", env={"GPUALLOC_NVML": machine.library})
        assert json.loads(snapshot.out)["fenced"] is True, snapshot


@case
def who_may_gain_no_rights_sees_what_he_may_open():
    with fenced() as machine, shared_store() as store:
        machine.store = store.path
        os.chmod(machine.at("dev", "nvidia3"), 0o666)
        for options, words, says in ((["--no-new-privs"], [], "got no rights"),
                                     ([], ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh"], "limits")):
            result = machine.run(*words, GPUALLOC, "list", "--json", options=options)
            document = json.loads(result.out)
            assert says in result.err and "administrator's fence" in result.err, (says, result.err)
            free = [device["index"] for device in document["devices"] if device["state"] == "free"]
            assert free == [3], document["devices"]
            # Its numbers are as uncertain as through the probe.
            result = machine.run(*words, GPUALLOC, "run", "--require", "3", "--format", "index", "true", options=options)
            assert result.code == 78 and "CUDA's numbering is not certain" in result.err, result


main()
