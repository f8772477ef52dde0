#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each allocation of a command fails in turn: it says so, or did not need it."""
import json
import os
import re

from cli import GPUALLOC, Skip, case, folder, is_sanitized, main, ok, run
from leasing import Terminal, store

# As many runs in a row without a failure as no command has allocations it can do without.
ENOUGH = 6


def timeless(text):
    """For how long somebody has had something changes while we look, and with it its column."""
    return re.sub(r" +", " ", re.sub(r"\b\d+ (s|min)\b|\b\d{10}\b", "T", text))


def check(*words, **more):
    if is_sanitized():
        raise Skip("the sanitizer has allocations of its own")
    whole = ok(*words, env=more)
    number = good = 0
    while good < ENOUGH:
        result = run(*words, env={"LD_PRELOAD": os.environ["FAILING_MALLOC"],
                                  "FAIL_AT": str(number), **more})
        if result.code == 0:
            assert timeless(result.out) == timeless(whole), \
                f"{words}, allocation {number}: {result!r}"
            good += 1
        else:
            good = 0
            assert result.code == 71 and result.raw == b"", \
                f"{words}, allocation {number}: {result!r}"
            said = json.loads(result.err)["error"]["message"] if "--json" in words \
                else result.err.removeprefix("gpualloc: ").removesuffix("\n")
            assert said == "out of memory", f"{words}, allocation {number}: {result!r}"
        number += 1
    assert number > ENOUGH, words


@case
def list_runs_out_of_memory():
    for form in ([], ["--json"], ["--csv"]):
        check("list", "--machine", "a100-mig", *form)


@case
def topo_runs_out_of_memory():
    for form in ([], ["--json"]):
        check("topo", "--machine", "rtx8000x4", *form)


@case
def the_picture_runs_out_of_memory():
    for machine in ("rtx8000x4", "a100-mig", "hgx-h100", "pcie16"):
        check("topo", "--svg", "-", "--machine", machine)


@case
def cdi_runs_out_of_memory():
    check("cdi", "generate", "--machine", "a100-mig")
    with folder() as root:
        os.makedirs(root + "/usr/lib64")
        with open(f"{root}/usr/lib64/libcuda.so.535.183.06", "wb") as file:
            file.write(b"\x7fELF\x02" + bytes(13) + (b"\xb7" if os.uname().machine == "aarch64" else b"\x3e")
                       + bytes(40))
        os.symlink("libcuda.so.535.183.06", root + "/usr/lib64/libcuda.so.1")
        check("cdi", "generate", "-q", "--machine", "dgx1-volta", "--root", root)


@case
def snapshot_runs_out_of_memory():
    check("snapshot", "--machine", "a100-mig", "--anonymous")


@case
def the_rest_runs_out_of_memory():
    for words in (["help"], ["help", "list"], ["version", "--json"], ["completion", "zsh"]):
        check(*words)


@case
def pick_and_explain_run_out_of_memory():
    check("pick", "--machine", "dgx1-volta", "-n", "2", "--only", "0-3", "-m", "1GiB")
    check("pick", "--machine", "a100-mig", "--mig=1g.5gb", "-n", "2", "--format", "env")
    check("pick", "--machine", "rtx8000x4", "-p", "best-effort", "--format", "torch")
    check("explain", "--machine", "rtx8000x4", "-n", "2", "--exclude", "3")
    check("explain", "--machine", "rtx8000x4", "-n", "2", "--json")


@case
def lists_of_leases_run_out_of_memory():
    with store() as one:
        one.hold("-n", "2", "--note", "a note")
        waiter = Terminal(GPUALLOC, "run", "--wait", "--machine", one.machine, "-n", "8", "true",
                          env=one.environment())
        waiter.until("waiting")
        lease = one.leases()["leases"][0]["id"]
        for words in (["--machine", one.machine], ["--machine", one.machine, "--json"],
                      ["--pids", lease], ["--pids", lease, "--json"]):
            check("leases", *words, GPUALLOC_STATE_DIR=one.path)
        waiter.type("\x03")
        waiter.end()


@case
def doctor_runs_out_of_memory():
    for form in ([], ["--json"]):
        check("doctor", "--machine", "rtx8000x4", *form)


@case
def taking_a_fence_down_runs_out_of_memory():
    if os.geteuid() != 0:
        raise Skip("needs root")
    if os.path.exists("/sys/fs/bpf/gpualloc"):
        raise Skip("a fence stands here")
    if not os.environ["HAS_FENCE"]:
        raise Skip("no fence here: it was built without")
    for form in ([], ["--json"]):
        check("setup", "--fence", "--remove", *form)


@case
def usage_runs_out_of_memory():
    with folder() as where:
        with open(os.path.join(where, "now"), "w", encoding="utf-8") as file:
            file.write("sample 4000000000 1 boot\nlease =04f2a9c1d7 =ann =a%20b 1 1 0 GPU-1\n" +
                       "".join(f"sum 1100000 =ann =users =GPU-{i} 1000 1\n" for i in range(3)))
        for form in ([], ["--json"], ["--csv"], ["--svg", "-"], ["--by", "gpu"]):
            check("usage", *form, GPUALLOC_USAGE_DIR=where)


@case
def slurm_runs_out_of_memory():
    for form in ([], ["--json"], ["--node", "n[1-4]"]):
        check("slurm", "gres-conf", "--machine", "a100-mig", *form)
    with folder() as where:
        path = os.path.join(where, "gres.conf")
        for machine, more in (("rtx8000x4", ""), ("a100-mig", "NodeName=n[1-2] Gres=gpu:6\n")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(ok("slurm", "gres-conf", "--machine", machine) + more)
            words = ["--machine", machine, "--slurm-version", "23.11"]
            check("slurm", "check", "--json", path, *words)
            if not more:
                check("slurm", "check", path, *words)


main()
