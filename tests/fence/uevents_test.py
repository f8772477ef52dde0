#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real systemd and its udevd renew the fence when a driver comes. The driver is a module of the kernel's for a
device of QEMU's, under the names by which the kernel announces NVIDIA's. In a virtual machine whose first process
is systemd; see vm.py."""
import ctypes
import itertools
import json
import os
import shutil
import struct
import subprocess
import sys

from behind import (CAPS_MAJOR, CONFIG, FOLDER, MACHINE, NODES, PERM, PINS, STAGE, build_the_scene, check, command,
                    node, only, somebody, write)
from behind import run as run_cases
from cli import GPUALLOC, case

UNIT = "gpualloc-fence.service"
UNITS = "/etc/systemd/system"
MODULES = "/modules"
SYS_INIT_MODULE, SYS_DELETE_MODULE = 175, 176
DRIVER = "/sys/bus/pci/drivers/nvidia"
NUMBERS = itertools.count(CAPS_MAJOR + 1)
SIGNED = b"~Module signature appended~\n"


def say(*words, code=0):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
    assert done.returncode == code, (words, done, shown())
    return done.stdout


def shown():
    return subprocess.run(["systemctl", "status", "--no-pager", UNIT], capture_output=True, text=True,
                          check=False).stdout


# ---- the driver ----

def unsigned(data):
    """The signature is of the module as it was."""
    if not data.endswith(SIGNED):
        return data
    length = struct.unpack(">I", data[-len(SIGNED) - 4:-len(SIGNED)])[0]
    return data[:-len(SIGNED) - 12 - length]


def renamed(data):
    """As a module, and as a driver of PCI devices."""
    for old, room in ((b"pvpanic_pci", 56), (b"pvpanic-pci", 12)):
        old = b"\0" + old.ljust(room, b"\0")
        assert data.count(old) == 1, (old, data.count(old))
        data = data.replace(old, b"\0" + b"nvidia".ljust(room, b"\0"))
    return data


def module(name):
    with open(f"{MODULES}/{name}.ko", "rb") as file:
        return unsigned(file.read())


def load(data):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SYS_INIT_MODULE, data, ctypes.c_ulong(len(data)), b"") < 0:
        raise OSError(ctypes.get_errno(), "init_module")


def unload(name):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SYS_DELETE_MODULE, name.encode(), os.O_NONBLOCK) < 0:
        raise OSError(ctypes.get_errno(), "delete_module")


def device():
    return next(name for name in os.listdir(DRIVER) if ":" in name)


def tell_driver(what, name):
    with open(f"{DRIVER}/{what}", "w", encoding="ascii") as file:
        file.write(name)


# ---- the service ----

def install():
    for folder in ("/usr/local/bin", UNITS, "/etc/udev/rules.d"):
        os.makedirs(folder, exist_ok=True)
    os.symlink(GPUALLOC, "/usr/local/bin/gpualloc")
    shutil.copy(f"{os.path.dirname(GPUALLOC)}/../systemd/{UNIT}", f"{UNITS}/{UNIT}")
    write(f"{UNITS}/{UNIT}.d/machine.conf",
          f"[Service]\nEnvironment=GPUALLOC_MACHINE={MACHINE} GPUALLOC_CONFIG={CONFIG}\n")
    shutil.copy(f"{os.environ['TEST_ROOT']}/../systemd/90-gpualloc.rules", "/etc/udev/rules.d")
    say("systemctl", "daemon-reload")
    say("udevadm", "control", "--reload")


def settled():
    """Every event has been worked through, and the job that came of it. The tests themselves are a job, too."""
    say("udevadm", "settle", "--timeout=200")
    while UNIT in say("systemctl", "list-jobs", "--no-pager"):
        pass


def move_the_driver():
    """As if it had another number now for its capabilities: the node of one, of which the fence knows nothing."""
    caps = next(NUMBERS)
    with open("/proc/devices", encoding="utf-8") as file:
        text = file.read()
    with open(FOLDER + "/devices", "w", encoding="utf-8") as file:
        file.write("".join(f"{caps} nvidia-caps\n" if line.endswith(" nvidia-caps\n") else line
                           for line in text.splitlines(True)))
    path = f"{FOLDER}/cap-of-{caps}"
    node(path, caps, 3)
    assert not is_renewed(path)
    return path


def is_renewed(path):
    """Whether the fence has been put around it; what --check says of it is the same."""
    renewed = not ann_can_open(path)
    said = command("setup", "--fence", "--check", "--json", code=0 if renewed else 77)
    if renewed:
        major = os.major(os.stat(path).st_rdev)
        numbers = [one["number"] for one in json.loads(said)["fence"]["nodes"]]
        assert any(number.startswith(f"{major}:") for number in numbers), numbers
    else:
        assert "the fence stands, but not as it should" in said, said
    return renewed


def ann_can_open(path):
    puppet = somebody()
    answer = puppet.look(path)[0]
    STAGE.clear()
    return answer != PERM


@case
def a_driver_that_comes_while_there_is_no_fence_puts_none_up():
    load(module("pvpanic"))
    load(renamed(module("pvpanic-pci")))
    settled()
    assert device() and not os.path.exists(PINS)
    unload("nvidia")
    settled()


@case
def the_service_puts_it_up():
    say("systemctl", "start", UNIT)
    check()
    ann = somebody()
    only(ann)
    STAGE.clear()


@case
def a_driver_that_is_loaded_again_renews_it():
    """Its nodes have other numbers, which are fenced as soon as udev is done."""
    path = move_the_driver()
    load(renamed(module("pvpanic-pci")))
    settled()
    assert is_renewed(path), shown()


@case
def a_gpu_that_the_driver_takes_renews_it():
    path, name = move_the_driver(), device()
    tell_driver("unbind", name)
    settled()
    assert not is_renewed(path)
    tell_driver("bind", name)
    settled()
    assert is_renewed(path), shown()


@case
def an_event_told_once_more_renews_it_and_others_do_not():
    path = move_the_driver()
    say("udevadm", "trigger", "--action=add", "/sys/module/pvpanic")
    say("udevadm", "trigger", "--action=change", "/sys/module/nvidia")
    say("udevadm", "trigger", "--subsystem-match=mem", "--subsystem-match=tty")
    settled()
    assert not is_renewed(path)
    say("udevadm", "trigger", "--action=add", "/sys/module/nvidia")
    settled()
    assert is_renewed(path), shown()


@case
def a_service_that_was_stopped_is_not_started_by_it_and_the_fence_stands():
    path = move_the_driver()
    say("systemctl", "stop", UNIT)
    say("udevadm", "trigger", "--action=add", "/sys/module/nvidia")
    settled()
    assert not is_renewed(path) and not ann_can_open(NODES[0])
    assert subprocess.run(["systemctl", "is-active", UNIT], capture_output=True, text=True,
                          check=False).stdout == "inactive\n"


def why_not():
    with open("/proc/1/comm", encoding="ascii") as file:
        if file.read() != "systemd\n":
            return "no systemd here that could be the first process"
    if not shutil.which("udevadm"):
        return "no udevd here"
    if not os.path.exists(f"{MODULES}/pvpanic-pci.ko"):
        return "no pvpanic-pci among the kernel's modules"
    return None


if reason := why_not():
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)
build_the_scene()
install()
run_cases()
