#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What users see behind the administrator's fence: every GPU through gpualloc-probe, and with a driver's
library of their own only what they have leased. The library is our fake, which opens the device nodes that
a real one opens."""
import contextlib
import json
import os
import shutil
import stat
import subprocess
import sysconfig

import behind
from behind import ANN, BOB, FOLDER, MACHINE, down, up, uuids
from cli import GPUALLOC, case, environment, main

PLACE = os.environ["PROBE_PATH"]
LIBRARY = os.path.join("/usr/lib", sysconfig.get_config_var("MULTIARCH"), "libnvidia-ml.so.1")


def put_the_driver():
    shutil.copy(os.environ["FAKE_NVML"], LIBRARY)
    play()
    os.makedirs(os.path.dirname(PLACE), exist_ok=True)
    shutil.copy(os.environ["PROBE"], PLACE)
    os.chmod(PLACE, 0o755)


def play(**settings):
    settings = {"FAKE_MACHINE": MACHINE, "FAKE_NODES": "/dev", **settings}
    behind.write(LIBRARY + ".conf", "".join(f"{name}={value}\n" for name, value in settings.items()))


def user(*words, uid=ANN, code=0, env=None):
    """What the program says to a user who looks at the machine itself."""
    done = subprocess.run(words, env=environment(GPUALLOC_CONFIG=behind.CONFIG, **(env or {})), user=uid, group=uid,
                          extra_groups=[], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/",
                          check=False, timeout=300)
    assert done.returncode == code, (words, done)
    return done.stdout if code == 0 else done.stderr


def states(**more):
    return [device["state"] for device in json.loads(user(GPUALLOC, "list", "--json", **more))["devices"]]


OWN = {"GPUALLOC_NVML": LIBRARY}


@case
def a_fence_gives_the_probe_its_bit_and_takes_it_away():
    status = os.stat(PLACE)
    assert stat.S_IMODE(status.st_mode) == 0o755 and status.st_gid == 0, status
    assert states(env=OWN) == ["free"] * 8
    up()
    status = os.stat(PLACE)
    assert stat.S_IMODE(status.st_mode) == 0o2755 and (status.st_uid, status.st_gid) == (0, 990), status
    assert states(env=OWN) == ["unhealthy"] * 8
    down()
    assert stat.S_IMODE(os.stat(PLACE).st_mode) == 0o755
    assert states(env=OWN) == ["free"] * 8


@case
def users_see_every_gpu_and_have_their_own():
    up()
    assert states() == ["free"] * 8
    assert json.loads(user(GPUALLOC, "snapshot"))["fenced"] is True
    with leased_by_bob("5"):
        assert states() == ["free"] * 5 + ["leased"] + ["free"] * 2, states()
        a_job_sees_all_and_opens_its_own()
    assert "administrator's fence" in user(GPUALLOC, "run", "--format", "index", "true", code=78)
    down()


@contextlib.contextmanager
def leased_by_bob(gpu):
    hold = subprocess.Popen([GPUALLOC, "run", "-q", "--only", gpu, "sh", "-c", "echo here; exec cat"], user=BOB,
                            group=BOB, extra_groups=[], cwd="/", env=environment(GPUALLOC_CONFIG=behind.CONFIG),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert hold.stdout.readline() == "here\n"
        yield
    finally:
        hold.communicate("")


def a_job_sees_all_and_opens_its_own():
    look = ("echo $CUDA_VISIBLE_DEVICES",
            f"GPUALLOC_NVML={LIBRARY} {GPUALLOC} list --json", f"{GPUALLOC} list --json")
    said = user(GPUALLOC, "run", "-q", "--only", "2", "sh", "-c", "; ".join(look))
    visible, own, every = said.split("\n", 1)[0], *documents(said.split("\n", 1)[1])
    assert visible == uuids()[2], visible
    mine = [device["index"] for device in own["devices"] if device["state"] != "unhealthy"]
    assert mine == [2], own
    assert not [device for device in every["devices"] if device["state"] == "unhealthy"], every


def documents(text):
    decoder, found = json.JSONDecoder(), []
    while text.strip():
        document, end = decoder.raw_decode(text.lstrip())
        found.append(document)
        text = text.lstrip()[end:]
    return found


@case
def a_sick_gpu_is_told_behind_it_too():
    up()
    play(FAKE_CRASH="3")
    assert states() == ["free"] * 3 + ["unhealthy"] + ["free"] * 4
    play()
    down()


def as_ann(words):
    return subprocess.run(words, user=ANN, group=ANN, extra_groups=[], capture_output=True, text=True, cwd="/",
                          check=False).stdout


@case
def the_probe_opens_nothing_for_anybody_else():
    """Neither its real group nor a program that it is not have the right."""
    up()
    for words in (["setpriv", "--no-new-privs", PLACE], ["unshare", "-Ur", PLACE]):
        assert "got no rights" in as_ann(words), words
    copy = FOLDER + "/copy"
    shutil.copy(PLACE, copy)
    os.chmod(copy, 0o755)
    assert "got no rights" in as_ann([copy])
    down()


behind.build_the_scene()
put_the_driver()
main()
