#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc setup, and what a real machine does without a store."""
import os
import shutil

from cli import Skip, case, folder, machine_file, main, ok, refused, run


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
    refused(77, "run", "true", env=env, says=["sudo gpualloc setup", "--private"])


main()
