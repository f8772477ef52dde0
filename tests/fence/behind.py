# SPDX-License-Identifier: Apache-2.0
"""What the tests behind the administrator's fence share: a machine whose device nodes have no driver, so
that opening one is refused by the fence (EPERM) or gets as far as the missing driver (ENXIO), and the fence
itself. Only for a virtual machine that is thrown away: it makes device nodes and the store in /run."""
import contextlib
import errno
import json
import os
import re
import subprocess

from cli import CASES, GPUALLOC, case, environment, main
from puppet import Stage

ANN, BOB, EVE, WATCHER = 1001, 1002, 1003, 1004
MONITORING = 2001  # a group
STORE = "/run/gpualloc"
LEDGER = STORE + "/ledger"
PINS = "/sys/fs/bpf/gpualloc"
HOOKS = PINS + "/hooks"
FOLDER = "/tmp/behind"
MACHINE = FOLDER + "/machine.json"
MIG = FOLDER + "/mig.json"
CONFIG = FOLDER + "/gpualloc.conf"
NODES = [f"/dev/nvidia{i}" for i in range(8)]
EIGHT = range(8)
# What GPUs 0 and 1 have in /dev/dri: the made-up /sys gives them numbers of devices that open.
FULL, ZERO = FOLDER + "/full", FOLDER + "/zero"
CAPS_MAJOR = 236
PERM = errno.EPERM
FREE = errno.ENXIO
LEVEL = 1 << 29

STAGE = Stage()
BROKEN = []


def settings(machine=MACHINE, **more):
    return environment(GPUALLOC_MACHINE=machine, GPUALLOC_CONFIG=CONFIG, **more)


def command(*words, code=0, machine=MACHINE, **options):
    """What `gpualloc WORDS` of root's says on both its outputs."""
    done = subprocess.run([GPUALLOC, *words], env=settings(machine), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False, timeout=300, **options)
    assert done.returncode == code, (words, done)
    return done.stdout + done.stderr


def up(machine=MACHINE):
    said = command("setup", "--fence", machine=machine)
    for hook in BROKEN:
        os.unlink(os.path.join(HOOKS, hook))
    return said


@contextlib.contextmanager
def without(hook):
    """Whenever the fence is put up, this part of it is missing."""
    BROKEN.append(hook)
    try:
        yield
    finally:
        BROKEN.remove(hook)


def down():
    return command("setup", "--fence", "--remove")


def check(code=0, machine=MACHINE):
    return command("setup", "--fence", "--check", code=code, machine=machine)


def configure(*lines):
    with open(CONFIG, "w", encoding="utf-8") as file:
        file.write("".join(line + "\n" for line in lines))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def node(path, major, minor):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.umask(0)
    os.mknod(path, 0o20666, os.makedev(major, minor))
    os.umask(0o022)


def say_what_the_driver_would(mig_minors, caps):
    """/proc/devices, /proc/driver and the part of /sys that leads from PCI addresses to nodes."""
    with open("/proc/devices", encoding="utf-8") as file:
        devices = file.read().replace("\n\nBlock", f"\n195 nvidia\n{caps} nvidia-caps\n\nBlock")
    write(FOLDER + "/devices", devices)
    mount("--bind", FOLDER + "/devices", "/proc/devices")
    mount("-t", "tmpfs", "driver", "/proc/driver")
    write("/proc/driver/nvidia-caps/mig-minors", mig_minors)
    mount("-t", "tmpfs", "pci", "/sys/bus/pci/devices")
    for pci, number in (("0000:06:00.0", "1:7"), ("0000:07:00.0", "1:5")):
        write(f"/sys/bus/pci/devices/{pci}/drm/card0/dev", number + "\n")


def mig_minors():
    """As the driver numbers them: for each GPU all instances that there could be, and ours at the end."""
    lines, number = ["config 1", "monitor 2"], 3
    for gpu in range(2):
        for gi in range(15):
            lines.append(f"gpu{gpu}/gi{gi}/access {number}")
            for ci in range(8):
                lines.append(f"gpu{gpu}/gi{gi}/ci{ci}/access {number + 1 + ci}")
            number += 9
    return "\n".join(lines) + "\n"


def cap(gpu, gi, ci=None):
    """The node of an instance's capability."""
    number = 3 + (gpu * 15 + gi) * 9 + (0 if ci is None else 1 + ci)
    return f"/dev/nvidia-caps/nvidia-cap{number}"


def build_the_scene():
    """Once, however many tests run in one machine."""
    if not os.path.exists(FOLDER):
        build()
    configure()
    command("setup")


def build():
    os.makedirs(FOLDER)
    os.chmod(FOLDER, 0o755)
    for name, path in (("dgx1-volta", MACHINE), ("a100-mig", MIG)):
        done = subprocess.run([GPUALLOC, "snapshot", "--machine", name], env=environment(), check=True,
                              capture_output=True, text=True)
        write(path, done.stdout)
    say_what_the_driver_would(mig_minors(), CAPS_MAJOR)
    for i, path in enumerate(NODES):
        node(path, 195, i)
    node("/dev/nvidiactl", 195, 255)
    node(FULL, 1, 7)
    node(ZERO, 1, 5)
    for gi in range(15):
        for ci in (None, 0, 1):
            path = cap(1, gi, ci)
            node(path, CAPS_MAJOR, int(path.rsplit("cap", 1)[1]))


def uuids(machine=MACHINE):
    with open(machine, encoding="utf-8") as file:
        return [device["uuid"] for device in json.load(file)["devices"]]


def region(uuid):
    """Where the ledger has a GPU."""
    value = 0xcbf29ce484222325
    for byte in uuid.encode():
        value = (value ^ byte) * 0x100000001b3 % (1 << 64)
    return ((value ^ value >> 32) & ((1 << 30) - 1)) << 32


# ---- who opens what ----

def opened(puppet, paths=None):
    """Which of the eight GPUs, or of these paths, the fence lets it open; the rest is refused."""
    paths = NODES if paths is None else paths
    answers = puppet.look(*paths)
    assert set(answers) <= {PERM, FREE, 0}, answers
    names = EIGHT if paths is NODES else paths
    return [name for name, answer in zip(names, answers) if answer != PERM]


def only(puppet, *gpus):
    found = opened(puppet)
    assert found == list(gpus), f"expected {list(gpus)}, can open {found}"


def nothing(puppet):
    only(puppet)


def somebody(uid=ANN, **more):
    """A process without a lease."""
    return STAGE.new(uid, **more)


def start(words, uid=ANN, machine=MACHINE, groups=()):
    """`gpualloc WORDS -- a puppet`, of that user."""
    process = subprocess.Popen([GPUALLOC, *words, "--", *STAGE.words()], env=settings(machine), user=uid,
                               group=uid, extra_groups=groups, stdin=subprocess.DEVNULL, cwd="/")
    process.returncode = 0  # the stage waits for all
    return STAGE.next()


def lease(*gpus, uid=ANN, words=(), machine=MACHINE):
    """A puppet that runs in a lease on exactly these GPUs."""
    chosen = ["--only", ",".join(map(str, gpus)), "-n", str(len(gpus))] if gpus else []
    return start(["run", "-q", *chosen, *words], uid, machine)


def inside(puppet, *words):
    """A lease within that puppet's."""
    return puppet.starts(GPUALLOC, "run", "-q", *words, "--")


def run(cases=os.environ.get("CASES", "")):
    """All cases of a program, or those whose names match that."""
    CASES[:] = [one for one in CASES if re.search(cases, one.__name__)]
    if not os.path.exists(MACHINE):
        build_the_scene()
    main()


def behind(function):
    """A case behind a fence that stands on the machine of eight GPUs, and after which nobody is left."""
    def whole():
        up()
        try:
            function()
        finally:
            STAGE.clear()
    whole.__name__ = function.__name__
    whole.__doc__ = function.__doc__
    return case(whole)
