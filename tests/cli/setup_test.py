#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup, and what a real machine does without a store."""
import os
import shutil

from cli import GPUALLOC, Skip, case, folder, machine_file, main, ok, refused, run


def real_machine():
    """Our own driver, which answers like a real one."""
    return {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": machine_file("lab.json")}


@case
def a_store_is_made_checked_and_removed():
    with folder() as where:
        env = {"GPUALLOC_STATE_DIR": os.path.join(where, "store")}
        refused(77, "setup", "--check", env=env)
        assert "is ready" in ok("setup", env=env)
        assert "is ready" in ok("setup", env=env)
        assert "in order" in ok("setup", "--check", env=env)
        assert "is gone" in ok("setup", "--remove", env=env)
        assert os.listdir(where) == []
        refused(64, "setup", "--check", "--remove", env=env)


@case
def a_store_that_others_can_change_is_refused():
    with folder() as where:
        store = os.path.join(where, "store")
        env = {"GPUALLOC_STATE_DIR": store}
        os.mkdir(store)
        os.chmod(store, 0o777)
        refused(77, "setup", "--check", env=env, says=[store])
        refused(77, "run", "--machine", "dgx2", "true", env=env, says=[store])
        shutil.rmtree(store)
        os.symlink(where, store)
        refused(77, "run", "--machine", "dgx2", "true", env=env)


@case
def a_built_in_machine_needs_no_store():
    if os.path.exists("/run/gpualloc"):
        raise Skip("this machine has a store")
    with folder() as where:
        env = {"XDG_RUNTIME_DIR": where, "HOME": where}
        assert run("run", "--machine", "dgx2", "true", env=env).err == ""


@case
def a_real_machine_without_a_store_is_77():
    env = real_machine()
    if os.path.exists("/run/gpualloc"):
        raise Skip("this machine has a store")
    # sudo would not find this gpualloc by its name, so it is the path that is named.
    refused(77, "run", "true", env=env, says=[f"`sudo {GPUALLOC} setup`", "--private"])


def configuration(where, text):
    path = os.path.join(where, "gpualloc.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


@case
def a_configuration_is_checked_before_it_counts():
    with folder() as where:
        good = configuration(where, "exclude = 3  # dead fan\nmax-hold = 8h\n")
        out = ok("setup", "--config", good, "--machine", "dgx1-volta")
        assert out == f"the configuration {good} is in order\n", out
        assert os.listdir(where) == ["gpualloc.conf"]  # and nothing was set up


@case
def every_mistake_of_a_configuration_has_its_line():
    with folder() as where:
        bad = configuration(where, "max-hold = 8\n\nexclude = 99\nmax-device = 3\nkeep = 1h\n"
                                   "keep = 2h\n")
        message = refused(78, "setup", "--config", bad, "--machine", "dgx1-volta")
        for line in (1, 3, 4, 6):
            assert f"{bad}:{line}: " in message, message
        assert message.count(bad) == 4, message


@case
def without_gpus_a_configuration_is_checked_as_far_as_it_goes():
    with folder() as where:
        env = {"GPUALLOC_NVML": "/nonexistent/nvml", "GPUALLOC_NVIDIA_SMI": "/nonexistent/smi"}
        result = run("setup", "--config", configuration(where, "exclude = 99\n"), env=env)
        assert result.code == 0 and "is in order" in result.out, result
        assert "note: " in result.err and "not checked" in result.err, result
        bad = configuration(where, "exclude = 99\nkeep = soon\n")
        refused(78, "setup", "--config", bad, env=env, says=[f"{bad}:2: "])


@case
def a_configuration_that_nobody_can_read_is_no_configuration():
    with folder() as where:
        refused(74, "setup", "--config", os.path.join(where, "none"), says=["No such file"])
        good = configuration(where, "")
        os.chmod(good, 0o666)
        refused(78, "setup", "--config", good, says=["can be written by users other"])
        refused(64, "setup", "--config", good, "--check")
        refused(64, "setup", "--machine", "dgx2", says=["--config"])


main()
