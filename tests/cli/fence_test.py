#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc run --fence: behind it, only the device nodes of one's own devices can be opened. The nodes
are stand-ins in a /dev of the test's own."""
import errno
import json
import os
import subprocess

from cli import GPUALLOC, Skip, case, environment, is_sanitized, main, ok
from leasing import PATIENCE, store
from people import python, shared_store, two_people

NOTE = "gpualloc: note: behind the fence, set-uid programs such as sudo and su do not work\n"

# A name that begins with "cap" or "dri" lies in its folder. Opening a stand-in works, except one with
# NVIDIA's own number: there is no driver behind it (ENXIO).
COMMON = ["null", "zero", "nvidiactl", "nvidia-uvm", "nvidia-modeset"]
MAKE_NODES = """
import os, stat, sys
os.umask(0)
for name in sys.argv[1:]:
    os.mknod("/dev/" + name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
"""
MAKE = """
set -e
mount -t tmpfs -o mode=755 gpualloc-test /dev
mkdir -m 755 /dev/nvidia-caps /dev/dri; mkdir -m 1777 /dev/shm /dev/mqueue
python3 -c "$MAKE_NODES" $COMMON $NODES
for minor in $NUMBERS; do mknod -m 666 /dev/gpu-no-$minor c 195 $minor; done
ln -s /proc/self/fd /dev/fd
[ -z "$MINORS" ] || { mount -t tmpfs gpualloc-test /proc/driver; mkdir /proc/driver/nvidia-caps
  printf '%s\\n' "$MINORS" >/proc/driver/nvidia-caps/mig-minors; }
"$@"
"""

# Prints for each path what opening it came to: 0, or an errno.
LOOK = """
import json, os, sys
def look(path):
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        return 0
    except OSError as error:
        return error.errno
print(json.dumps({path: look("/dev/" + path) for path in sys.argv[1:]}), flush=True)
"""
EIGHT = [f"nvidia{i}" for i in range(8)]
LOOKED_AT = COMMON + EIGHT


def may_fence():
    if os.geteuid() != 0:
        raise Skip("only root can make device files")
    probe = ["unshare", "-m", "sh", "-c", "mount -t tmpfs t /dev && mknod -m 666 /dev/null c 1 3 && "
             ": >/dev/null"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skip("device files cannot be made here")
    done = subprocess.run([GPUALLOC, "run", "--fence", "--machine", "dgx1-volta", "--ignore-leases",
                           "true"], env=environment(), capture_output=True, text=True, check=False)
    if done.returncode == 77:
        raise Skip("no Landlock here: " + done.stderr.strip())


def with_nodes(*words, nodes=(), numbers=(), minors="", common=tuple(COMMON)):
    """Words that run words where /dev has the stand-ins."""
    settings = {"COMMON": common, "NODES": nodes or EIGHT, "NUMBERS": numbers, "MINORS": [minors]}
    return ["env", f"MAKE_NODES={MAKE_NODES}", *(f"{name}={' '.join(map(str, value))}" for name, value in settings.items()),
            "unshare", "-m", "sh", "-c", MAKE, "sh", *words]


def start(one, *words, env=None, before=(), **more):
    command = with_nodes(*before, GPUALLOC, "run", "--machine", one.machine, *words, **more)
    return subprocess.run(command, env=one.environment(**(env or {})), capture_output=True, text=True,
                          timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)


def look_words(paths=tuple(LOOKED_AT), interpreter="/usr/bin/python3"):
    return [interpreter, "-c", LOOK, *paths]


def looked(result):
    """What opening came to, by name; the last line says it."""
    assert result.returncode == 0, result
    return json.loads(result.stdout.splitlines()[-1])


def only(found, *names):
    """Whether of what was looked at nothing but these, and the common ones, is hidden by EACCES."""
    expected = {path: 0 if path in COMMON or path in names else errno.EACCES for path in found}
    assert found == expected, (found, names)


@case
def only_ones_own_nodes_can_be_opened():
    may_fence()
    with store() as one:
        result = start(one, "--fence", "--only", "1,6", "-n", "2", *look_words())
        only(looked(result), "nvidia1", "nvidia6")
        assert result.stderr == NOTE, result
        result = start(one, "-q", "--fence", "--only", "1,6", "-n", "2", *look_words())
        assert result.stderr == "", result
        found = looked(start(one, "--only", "1", *look_words()))
        assert set(found.values()) == {0}, found


@case
def a_node_under_another_name_is_known_by_its_number():
    may_fence()
    with store() as one:
        numbers = (0, 1, 2, 254)
        found = looked(start(one, "--fence", "--only", "1",
                             *look_words([f"gpu-no-{i}" for i in numbers]), numbers=numbers))
        denied = [name for name, number in found.items() if number == errno.EACCES]
        assert denied == ["gpu-no-0", "gpu-no-2"], found


@case
def a_dri_node_that_sys_does_not_show_is_hidden():
    may_fence()
    name = "dri/renderD65000"  # more than any machine has
    before = ["sh", "-c", f'mknod -m 666 /dev/{name} c 226 65000 && exec "$@"', "sh"]
    with store() as one:
        for fence, denied in ((["--fence"], True), ([], False)):
            found = looked(start(one, *fence, "--only", "1", *look_words([name]), before=before))
            assert (found[name] == errno.EACCES) == denied, found


@case
def children_threads_and_other_sessions_are_behind_it_too():
    may_fence()
    with store() as one:
        for around in (["sh", "-c", '"$@"; exit $?', "sh"], ["setsid", "-w"],
                       ["python3", "-c", "import subprocess, sys, threading\n"
                        "def work(): subprocess.run(sys.argv[1:], check=True)\n"
                        "thread = threading.Thread(target=work); thread.start(); thread.join()"],
                       ["unshare", "-U", "-r"]):
            only(looked(start(one, "--fence", "--only", "2", *around, *look_words())), "nvidia2")
        for option in (["--supervise"], ["--ignore-leases"], ["--time-limit", "1h"]):
            only(looked(start(one, "--fence", *option, "--only", "2", *look_words())), "nvidia2")


@case
def in_a_user_namespace_it_works_as_well():
    may_fence()
    with store() as one:
        for space in (["unshare", "-U", "-r"], ["unshare", "-U"]):
            result = start(one, "--fence", "--ignore-leases", "--only", "3", *look_words(), before=space)
            only(looked(result), "nvidia3")


@case
def a_user_without_any_right_gets_one():
    may_fence()
    with two_people() as (ada, _), shared_store() as one:
        become = ["setpriv", f"--reuid={ada.uid}", f"--regid={ada.gid}", "--clear-groups"]
        words = look_words(interpreter=python(ada))
        only(looked(start(one, "--fence", "--only", "3", *words, before=become)), "nvidia3")
        found = looked(start(one, "--only", "3", *words, before=become))
        assert set(found.values()) == {0}, found


@case
def files_are_moved_and_linked_as_before_but_nodes_are_not():
    may_fence()
    script = """
set -e
# mv would copy.
rename() { python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$@"; }
cd "$1"; mkdir a b
echo text >a/file; mv a/file b/file; ln b/file a/link; mv b c; [ "$(cat c/file a/link)" = "text
text" ]
echo new >/dev/shm/new; rename /dev/shm/new /dev/mqueue/moved; ln /dev/mqueue/moved /dev/shm/linked
rename /dev/mqueue/moved /dev/moved
cat /dev/shm/linked; echo x >/dev/null
for how in "ln" "mv" "cp -a"; do ! $how /dev/nvidia0 /dev/shm/other 2>&1; done >&2
[ ! -e /dev/shm/other ] || ! : </dev/shm/other
! mv /dev/nvidia0 /dev/dri/other
echo late >/dev/late || echo nothing new in /dev
"""
    with store() as one:
        result = start(one, "--fence", "--only", "1", "sh", "-c", script, "sh", one.where)
        assert result.returncode == 0, result
        assert result.stdout == "new\nnothing new in /dev\n", result
        assert not os.path.exists(os.path.join(one.where, "b"))


# On a folder of / mounts a file system of somebody's, by which nobody answers, and becomes other words.
MOUNT_DEAF = """
import ctypes, os, stat, sys
os.mknod("/dev/fuse", stat.S_IFCHR | 0o600, os.makedev(10, 229))
try:
    fd = os.open("/dev/fuse", os.O_RDWR)
except OSError:
    sys.exit(77)
options = f"fd={fd},rootmode=40000,user_id={sys.argv[1]},group_id=0".encode()
if ctypes.CDLL(None).mount(b"deaf", b"/mnt", b"fuse", 0, options):
    sys.exit(77)
os.set_inheritable(fd, sys.argv[2] == "deaf")
os.execvp(sys.argv[3], sys.argv[3:])
"""


@case
def a_file_system_that_does_not_answer_keeps_nobody_from_a_fence():
    may_fence()
    with store() as one:
        for owner in ("0", "65534"):
            for state in ("deaf", "dead"):
                result = start(one, "--fence", "-q", "--only", "1", *look_words(),
                               before=["python3", "-c", MOUNT_DEAF, owner, state])
                if result.returncode == 77 and result.stderr == "":
                    raise Skip("there is no FUSE here")
                only(looked(result), "nvidia1")


# As in NVIDIA's documents: 3 + (GPU * 15 + GI) * 9, and the compute instance's after it.
CAPS = [f"nvidia-caps/nvidia-cap{i}" for i in (1, 2, *(
    3 + (15 + gi) * 9 + more for gi in range(15) for more in range(3)))]


@case
def an_instance_has_its_gpu_and_its_two_capability_files():
    may_fence()
    with store("a100-mig") as one:
        for instance in json.loads(ok("list", "--json", "--machine", "a100-mig"))["devices"][1]["mig"]:
            nodes = ["nvidia0", "nvidia1", *CAPS]
            place = f"1:{instance['gi']}:{instance['ci']}"
            result = start(one, "--fence", "--mig", "--only", place, *look_words(nodes), nodes=nodes)
            first = 3 + (15 + instance["gi"]) * 9
            only(looked(result), "nvidia1", *(f"nvidia-caps/nvidia-cap{i}" for i in
                                              (1, 2, first, first + 1 + instance["ci"])))
        only(looked(start(one, "--fence", "--only", "0", *look_words(nodes), nodes=nodes)),
             "nvidia0", *CAPS[:2])


def real(where, machine):
    path = os.path.join(where, "machine.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(ok("snapshot", "--machine", machine))
    return {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": path, "GPUALLOC_MACHINE": None}


@case
def on_a_real_machine_every_node_must_be_there():
    may_fence()
    with store("nvml") as one:
        env = real(one.where, "dgx1-volta")
        words = ["--fence", "-q", "--only", "1", *look_words()]
        only(looked(start(one, *words, env=env)), "nvidia1")
        for lacks in ("nvidia-uvm", "nvidiactl", "nvidia1"):
            result = start(one, *words, env=env, nodes=[name for name in EIGHT if name != lacks],
                           common=[name for name in COMMON if name != lacks])
            assert result.returncode == 77 and result.stdout == "", result
            assert f"/dev/{lacks} is not there" in result.stderr, result
            assert one.leases()["leases"] == []
    with store("nvml") as one:
        env = real(one.where, "a100-mig")
        words = ["--fence", "-q", "--mig=2g.10gb"]
        result = start(one, *words, "true", env=env)
        assert result.returncode == 77 and "mig-minors does not say" in result.stderr, result
        nodes = ["nvidia0", "nvidia1", *(f"nvidia-caps/nvidia-cap{i}" for i in (1, 2, 3, 31, 32, 33))]
        gi = json.loads(ok("list", "--json", "--machine", "a100-mig"))["devices"][1]["mig"]
        gi = [place["gi"] for place in gi if place["profile"] == "2g.10gb"]
        minors = "config 1\nmonitor 2\n" + "\n".join(
            f"gpu1/gi{number}/access {31 + i}\ngpu1/gi{number}/ci0/access {32 + i}"
            for i, number in enumerate(gi))
        found = looked(start(one, *words, *look_words(nodes), env=env, nodes=nodes, minors=minors))
        assert [name for name, number in found.items() if number == 0] in (
            [nodes[1], nodes[2], nodes[3], *pair] for pair in (nodes[5:7], nodes[6:8])), found


@case
def the_job_gets_uuids_and_numbers_are_refused():
    may_fence()
    with store() as one:
        result = start(one, "--fence", "-n", "2", "sh", "-c",
                       "echo $CUDA_VISIBLE_DEVICES; echo $GPUALLOC_DEVICES")
        shown = result.stdout.splitlines()
        assert shown[0] == shown[1] and shown[0].startswith("GPU-"), result
        one.refused(64, "--fence", "--format", "index", "true", says=["UUIDs", "--format index"])
        assert one.leases()["leases"] == []


@case
def the_configuration_can_ask_for_it():
    may_fence()
    with store() as one:
        path = os.path.join(one.where, "gpualloc.conf")
        env = {"GPUALLOC_CONFIG": path}
        with open(path, "w", encoding="utf-8") as file:
            file.write("fence = job\n")
        os.chmod(path, 0o644)
        only(looked(start(one, "--only", "4", *look_words(), env=env)), "nvidia4")
        one.refused(64, "--format", "index", "true", env=env, says=["fence = job", "behind a fence"])
        with open(path, "w", encoding="utf-8") as file:
            file.write("fence = all\n")
        one.refused(78, "true", env=env, says=[":1: fence: \"all\" is not known", "job"])


@case
def whoever_joins_a_lease_is_fenced_to_its_devices():
    may_fence()
    with store() as one:
        lease = ok("hold", "-n", "2", "--only", "0,5", "--for", "5m", "--machine", one.machine,
                   env={"GPUALLOC_STATE_DIR": one.path}).split()[0]
        try:
            result = subprocess.run(
                with_nodes(GPUALLOC, "run", "--fence", "--in", lease, "sh", "-c",
                           'echo $CUDA_VISIBLE_DEVICES; exec "$@"', "sh", *look_words()),
                env=one.environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)
            only(looked(result), "nvidia0", "nvidia5")
            assert result.stdout.startswith("GPU-"), result
        finally:
            ok("release", "-y", lease, env={"GPUALLOC_STATE_DIR": one.path})


@case
def leases_within_leases_are_fences_within_fences():
    may_fence()
    with store() as one:
        inner = [GPUALLOC, "run", "-n", "1", "--only", "1"]
        script = f'"$@"; {" ".join(inner)} "$@"; {" ".join(inner)} --fence "$@"; "$@"'
        result = start(one, "--fence", "-n", "2", "--only", "1,2", "sh", "-c", script, "sh", *look_words())
        assert result.returncode == 0 and result.stderr == NOTE, result
        both, inside, fenced, after = map(json.loads, result.stdout.splitlines())
        for found in (both, inside, after):
            only(found, "nvidia1", "nvidia2")
        only(fenced, "nvidia1")
        deeper = os.path.join(one.where, "deeper")
        with open(deeper, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n[ $1 = 0 ] || exec $GPUALLOC run -q --ignore-leases --fence "
                       "--machine dgx1-volta $0 $(($1 - 1))\n")
        os.chmod(deeper, 0o755)
        env = one.environment(GPUALLOC=GPUALLOC)
        for layers, code, says in (("16", 0, ""), ("17", 77, "already 16 fences")):
            result = subprocess.run([deeper, layers], env=env, capture_output=True, text=True,
                                    timeout=PATIENCE, check=False)
            assert result.returncode == code and says in result.stderr, result


@case
def a_kernel_that_cannot_is_refused_with_the_version_it_takes():
    if is_sanitized():
        raise Skip("nothing can be loaded before the sanitizer")
    with store() as one:
        for abi, why in (("1", "cannot let files be moved"), ("0", "has none"),
                         ("-1", "landlock to lsm=")):
            env = {"LD_PRELOAD": os.environ["OLD_LANDLOCK"], "LANDLOCK_ABI": abi}
            one.refused(77, "--fence", "true", env=env, says=["Linux 5.19 or later", why])
            assert one.ok("echo", "not asked for", env=env) == "not asked for\n"
        config = os.path.join(one.where, "gpualloc.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("fence = job\n")
        os.chmod(config, 0o644)
        one.refused(77, "true", env={**env, "GPUALLOC_CONFIG": config}, says=["fence = job", "Linux 5.19 or later"])
        assert one.leases()["leases"] == []


@case
def logins_may_begin_without_gpus():
    guard = os.path.join(os.path.dirname(os.environ["TEST_ROOT"]), "packaging/profile.d/gpualloc.sh")
    script = '. "$1"; echo "${CUDA_VISIBLE_DEVICES-unset}"; shift; exec "$@"'
    with two_people() as (ada, _), shared_store() as one:
        words = ["sh", "-c", script, "sh", guard, GPUALLOC, "run", "--machine", one.machine, "--only", "3",
                 "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"]

        def log_in(person=None, **more):
            options = person.as_them() if person else {}
            done = subprocess.run(words, env=one.environment(**{"CUDA_VISIBLE_DEVICES": None, **more}),
                                  capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
            assert done.returncode == 0 and done.stderr == "", done
            return done.stdout.splitlines()

        assert log_in(ada) == ["", "3"]
        assert log_in() == ["unset", "3"]
        assert log_in(ada, CUDA_VISIBLE_DEVICES="3") == ["3", "3"]


if __name__ == "__main__":
    main()
