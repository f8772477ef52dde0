#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A sick or slow driver, as a person sees it."""
import functools
import json
import os

from cli import case, folder, in_time, main, ok, on_terminal, refused, run


def driver(where, **play):
    """Eight GPUs, shown by our own fake library."""
    path = os.path.join(where, "machine.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(ok("snapshot", "--machine", "dgx1-volta"))
    return {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": path, **play}


def devices(env, *words):
    return json.loads(ok("list", "--json", *words, env=env))["devices"]


def only_one_is_sick(env, gpu, deadline):
    for device in devices(env, "--deadline", deadline):
        sick = str(device["index"]) == gpu
        assert device["state"] == ("unhealthy" if sick else "free"), device
        assert (device["reason"] or "").startswith("does not answer: ") == sick, device


@case
def one_hung_gpu_is_unhealthy_and_the_others_are_shown():
    with folder() as where:
        for gpu, play in (("2", {"FAKE_HANG": "2"}), ("5", {"FAKE_CRASH": "5"}),
                          ("0", {"FAKE_HANG": "0", "FAKE_HANG_IN": "RunningProcesses"})):
            in_time(functools.partial(only_one_is_sick, driver(where, **play), gpu), "2s", "8s", "32s")
        env = driver(where, FAKE_CRASH="5")
        text = " ".join(ok("list", env=env).split())
        assert "unhealthy" in text and "does not answer: " in text, text
        assert len(ok("pick", "-n", "7", "--format", "uuid", env=env).split(",")) == 7
        health = [device["health"] for device in json.loads(ok("snapshot", env=env))["devices"]]
        assert health.count("unresponsive") == 1 and health.count("ok") == 7, health


@case
def a_shutdown_that_hangs_costs_nothing():
    with folder() as where:
        assert len(devices(driver(where, FAKE_HANG="shutdown"))) == 8


@case
def a_person_waiting_at_a_terminal_sees_what_is_asked():
    with folder() as where:
        env = driver(where, FAKE_SLOW_GPU="400")
        shown = on_terminal("list", env=env)
        assert "\r\033[Kgpualloc: the driver (NVML) is slow to answer: asking GPU " in shown, shown
        assert " for a handle, 1 s\r\033[K" in shown, shown
        assert "is slow to answer" not in on_terminal("list", "-q", env=env)
        result = run("list", env=env)
        assert result.code == 0 and result.err == "", result
        shown = on_terminal("run", "--private", "true", env={**env, "XDG_RUNTIME_DIR": where})
        assert "is slow to answer: asking GPU " in shown, shown


@case
def a_driver_that_never_starts_says_what_helps():
    with folder() as where:
        says = refused(69, "list", "--machine", "nvml", "--deadline", "300ms",
                       env=driver(where, FAKE_HANG="init"))
        assert "nvidia-smi -pm 1" in says and "nvidia-persistenced" in says, says
        assert "reboot" not in says, says


@case
def settings_for_other_programs_are_not_ours():
    with folder() as where:
        env = driver(where, NVML_MPS_DEVICE_ENUMERATION="1")
        assert all(device["uuid"] for device in devices(env))


main()
