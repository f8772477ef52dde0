#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The administrator and the fence around the machine: what setup and doctor say while it stands, and what
they do to the probe. In a virtual machine; see vm.py.
"""
import glob
import json
import os
import re
import shutil
import stat
import subprocess

from behind import (ANN, CONFIG, EVE, FOLDER, LEDGER, NODES, PINS, STORE, build_the_scene, check,
                    command, configure, down, settings, up)
from cli import GPUALLOC, case, main

PROBE_GROUP = 990


def probe_path():
    """Where it is to be installed; there may be none."""
    said = command("setup", "--fence", "--check", code=77, user=EVE)
    return re.search(r"(/\S+/gpualloc-probe)", said)[1]


def bits():
    status = os.stat(PROBE)
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def install_probe(mode=0o755):
    os.makedirs(os.path.dirname(PROBE), exist_ok=True)
    shutil.copy("/bin/true", PROBE)
    os.chown(PROBE, 0, 0)
    os.chmod(PROBE, mode)


def document(*words):
    done = subprocess.run([GPUALLOC, *words, "--json", "-q"], env=settings(), capture_output=True, text=True,
                          check=False)
    assert done.stdout, done
    return json.loads(done.stdout)


def of_doctor():
    return [(one["verdict"], one["sentence"]) for one in document("doctor")["findings"]
            if one["subject"] == "fence"]


@case
def it_is_put_up_looked_at_renewed_and_taken_down():
    check(code=77)
    assert of_doctor() == []
    said = up()
    assert "only who has leased" in said and "/dev/nvidia0-7" in said, said
    said = check()
    assert "/dev/nvidia0-7" in said and LEDGER in said and "since 20" in said, said
    assert of_doctor()[0][0] == "ok", of_doctor()
    since = document("setup", "--fence", "--check")["fence"]["since"]
    up()  # the same once more
    again = document("setup", "--fence", "--check")["fence"]
    assert again["since"] >= since and len(again["nodes"]) >= 8, again
    assert "is gone" in down() and not os.path.exists(PINS)
    assert "no fence" in down()
    check(code=77)


@case
def a_configuration_that_changed_is_out_of_date_until_it_is_renewed():
    up()
    configure("fence-exempt = user watcher", "fence-exempt = cgroup /later.slice", "fence-exempt = group monitoring")
    said = check(code=77)
    assert "user watcher" in said and "group monitoring" in said and "later" not in said, said
    assert of_doctor()[0][0] == "note", of_doctor()
    assert "/later.slice" in up()
    assert "cgroup /later.slice (not there)" in check()
    os.mkdir("/sys/fs/cgroup/later.slice")
    assert "cgroup /later.slice" in check(code=77)
    assert "later.slice" not in up()
    check()
    os.rmdir("/sys/fs/cgroup/later.slice")
    configure()
    said = check(code=77)
    assert "exempt still" in said and "user 1004" in said, said
    up()
    check()
    down()


@case
def a_store_that_the_fence_asks_stays_and_one_that_is_new_is_asked():
    up()
    assert "--fence --remove" in command("setup", "--remove", code=75)
    shutil.rmtree(STORE)
    assert "another ledger" in check(code=77)
    assert of_doctor()[0][0] == "fault", of_doctor()
    # A store of root's own is not the one that is asked.
    done = subprocess.run([GPUALLOC, "setup"], env=settings(GPUALLOC_STATE_DIR=FOLDER + "/own"),
                          stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0 and not os.path.exists(STORE)
    assert "is ready" in command("setup")
    check()
    down()
    assert "is gone" in command("setup", "--remove")
    command("setup")


@case
def a_fence_that_is_to_be_there_and_is_not_is_a_fault():
    wanted = "/etc/systemd/system/multi-user.target.wants"
    os.makedirs(wanted)
    os.symlink("/dev/null", f"{wanted}/gpualloc-fence.service")
    assert of_doctor()[0][0] == "fault" and "everybody" in of_doctor()[0][1], of_doctor()
    up()
    assert of_doctor()[0][0] == "ok", of_doctor()
    os.unlink(f"{wanted}/gpualloc-fence.service")
    down()
    assert of_doctor() == []


@case
def a_broken_fence_is_called_broken():
    up()
    hooks = sorted(os.listdir(PINS + "/hooks"))
    os.unlink(f"{PINS}/hooks/{hooks[0]}")
    said = check(code=77)
    assert "broken" in said, said
    assert of_doctor()[0][0] == "fault", of_doctor()
    up()
    check()
    down()


@case
def the_probe_has_its_bit_exactly_while_the_fence_stands():
    install_probe()
    try:
        up()
        assert "group gpualloc-probe" in check()
        assert bits() == (0o2755, 0, PROBE_GROUP), bits()
        install_probe()  # as an upgrade does
        assert "no set-gid bit" in check(code=77)
        assert of_doctor()[0][0] == "note", of_doctor()
        up()
        assert bits() == (0o2755, 0, PROBE_GROUP)
        check()
        down()
        assert bits()[0] == 0o755
        # A bit that was left is said.
        os.chmod(PROBE, 0o2755)
        assert "as if one stood" in of_doctor()[0][1], of_doctor()
        down()
        assert bits()[0] == 0o755
    finally:
        down()
        os.unlink(PROBE)


@case
def a_probe_that_is_not_roots_alone_gets_no_bit():
    install_probe()
    try:
        for spoil, says in ((lambda: os.chmod(PROBE, 0o777), "can write"), (lambda: os.chown(PROBE, ANN, 0), "root"),
                            (lambda: os.link(PROBE, PROBE + "2"), "another name"),
                            (lambda: (os.unlink(PROBE), os.symlink("/bin/true", PROBE)), "symbolic links")):
            install_probe()
            spoil()
            said = up()
            assert says in said and "stands" in said, (says, said)
            assert not os.stat(PROBE).st_mode & stat.S_ISGID
            said = check(code=77)
            assert "no set-gid bit" in said and "not exempt yet: group gpualloc-probe" in said, said
            down()
            for path in (PROBE, PROBE + "2"):
                if os.path.lexists(path):
                    os.unlink(path)
    finally:
        down()


class Opener:
    """A user's process that has a node open."""

    def __init__(self, uid, path, before=()):
        code = (f"import os, sys; os.setgroups([]); os.setgid({uid}); os.setuid({uid}); "
                f"os.open({path!r}, os.O_PATH); print('ready', flush=True); sys.stdin.read()")
        # With O_PATH no driver is needed. /proc shows it like any other descriptor.
        self.process = subprocess.Popen([*before, "/usr/bin/python3", "-c", code], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=settings())
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        self.process.communicate()


@case
def who_has_a_gpu_open_without_a_lease_is_named():
    configure("fence-exempt = user watcher")
    stranger, root = Opener(EVE, NODES[2]), Opener(0, NODES[2])
    watcher = Opener(1004, NODES[2])
    holder = Opener(ANN, NODES[3], [GPUALLOC, "run", "-q", "-n", "1"])
    try:
        said = up()
        assert f"of eve (process {stranger.process.pid}, {NODES[2]})" in said, said
        assert said.count("(process") == 1, said
        seen = document("setup", "--fence")["fence"]["open"]
        assert [(one["pid"], one["user"], one["node"]) for one in seen] == \
            [(stranger.process.pid, "eve", NODES[2])], seen
    finally:
        for one in (stranger, root, watcher, holder):
            one.end()
        configure()
        down()


@case
def services_that_are_not_exempt_are_named():
    with open("/etc/passwd", "a", encoding="utf-8") as file:
        file.write("nvidia-dcgm:x:1050:1050::/:/bin/false\n")
    try:
        assert "fence-exempt = user nvidia-dcgm" in up()
        configure("fence-exempt = user nvidia-dcgm")
        assert "nvidia-dcgm" not in up()
    finally:
        configure()
        down()


@case
def without_the_store_or_with_a_mistake_nothing_half_is_left():
    configure("fence-exempt = user nobody-here")
    assert f"{CONFIG}:1: " in command("setup", "--fence", code=78) and not os.path.exists(PINS)
    configure()
    shutil.rmtree(STORE)
    assert "stands" in up() and os.path.exists(LEDGER)  # it makes it
    check()
    down()


@case
def where_the_fence_cannot_be_looked_at_nothing_is_taken_from_it():
    library = glob.glob("/usr/lib/*/libbpf.so.1")[0]
    install_probe()
    try:
        up()
        subprocess.run(["mount", "--bind", "/dev/null", os.path.realpath(library)], check=True)
        try:
            assert "libbpf" in command("setup", "--fence", code=78)
            assert bits() == (0o2755, 0, PROBE_GROUP), bits()
            assert "--fence --remove" in command("setup", "--remove", code=75) and os.path.exists(LEDGER)
            assert "is not known" in command("setup")
        finally:
            subprocess.run(["umount", os.path.realpath(library)], check=True)
        check()
    finally:
        down()
        os.unlink(PROBE)


@case
def a_new_store_that_the_fence_does_not_ask_is_said_to_open_nothing():
    up()
    shutil.rmtree(STORE)
    configure("fence-exempt = user nobody-here")
    said = command("setup", code=78)
    assert "no lease in it opens a GPU" in said and os.path.exists(LEDGER), said
    configure()
    command("setup")
    check()
    down()


@case
def what_a_user_has_put_where_pins_are_is_no_fence():
    """As it can be where somebody mounted it by hand."""
    os.chmod("/sys/fs/bpf", 0o1777)
    os.mkdir(PINS)
    os.chown(PINS, EVE, EVE)
    check(code=77)
    assert "no fence" in down()
    up()
    assert os.stat(PINS).st_uid == 0
    check()
    down()


build_the_scene()
PROBE = probe_path()
main()
