#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples: what they print, on built-in machines, on files, and through NVML."""
import os
import subprocess

from cli import Result, case, environment, folder, healthy, machine_file, main, ok

ALLOCATOR, BY_MEMORY = os.environ["EXAMPLE_ALLOCATOR"], os.environ["EXAMPLE_BY_MEMORY"]
SIZES = os.environ["EXAMPLE_SIZES"]
NVML = os.path.join(os.environ["FAKE_DIR"], "libnvidia-ml.so.1")
LAB = machine_file("lab.json")
PCI_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def example(*words, env=None):
    done = subprocess.run(words, env=environment(**(env or {})), timeout=120, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    return Result(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


def prints(expected, *words, env=None):
    result = example(*words, env=env)
    assert result.code == 0 and result.err == "", f"{words}: {result!r}"
    assert result.out.startswith(expected), f"{words}: {result!r}"
    return result.out


def refuses(code, sentence, *words, env=None):
    result = example(*words, env=env)
    assert result.code == code and result.raw == b"", f"{words}: {result!r}"
    assert sentence in result.err, f"{words}: {result!r}"


def uuids(machine, *wanted):
    listed = ok("list", "--csv", "--machine", machine).splitlines()[1:]
    return " ".join(listed[index].split(",")[1] for index in wanted)


def allocated(machine):
    return (f"taken: {uuids(machine, 0, 3)}\n"
            f"taken as asked: {uuids(machine, 1, 2)}\n"
            "available: 4 5 6 7\navailable: 0 3 4 5 6 7\n"
            "GPU 0\n  name               Tesla V100-SXM2-16GB\n")


@case
def the_allocator_takes_pairs_and_returns_them():
    shown = prints(allocated("dgx1-volta"), ALLOCATOR, "dgx1-volta")
    assert "\n  link to 3          PHB, 2 NVLinks\n" in shown, shown
    prints("taken: GPU-44a48cb1", ALLOCATOR, "dgx1-volta", "simple")
    prints(f"taken: {uuids('dgx1-volta', 0, 3)}\n", ALLOCATOR, "dgx1-volta", "static-dgx1-volta")
    assert prints("taken: ", ALLOCATOR, env={"GPUALLOC_MACHINE": "rtx8000x4"}).count(
        "available: \n") == 0


@case
def the_allocator_through_the_drivers_library():
    with folder() as where:
        path = os.path.join(where, "machine.json")
        ok("snapshot", "--machine", "dgx1-volta", "-o", path)
        prints(allocated("dgx1-volta"), ALLOCATOR,
               env={"FAKE_MACHINE": path, "GPUALLOC_NVML": NVML})
        prints("cuda:0: Tesla V100-SXM2-16GB with 16153 MiB free\n", BY_MEMORY, "1GiB",
               env={"FAKE_MACHINE": path, "GPUALLOC_NVML": NVML})


@case
def the_allocator_fails_with_a_sentence():
    refuses(64, "no policy", ALLOCATOR, "dgx1-volta", "none")
    refuses(64, "nowhere", ALLOCATOR, "nowhere")
    refuses(69, "no GPU found", ALLOCATOR,
            env={"PATH": "/nonexistent", "GPUALLOC_NVML": "/nonexistent"})


@case
def sizes_gives_what_a_policy_takes():
    shown = prints("GPU 0\n  name               Tesla V100-SXM2-16GB\n", SIZES, "dgx1-volta")
    assert shown.endswith("\n1: 0\n2: 0 1\n4: 0 1 2 3\n8: 0 1 2 3 4 5 6 7\n"), shown
    assert "\n2: 0 3\n" in prints("GPU 0\n", SIZES, "dgx1-volta", "best-effort")
    few = example(SIZES, "rtx8000x4")
    assert few.code == 78 and "this machine has 4" in few.err, few


@case
def by_memory_finds_what_fits():
    with folder() as where:
        lab = healthy(LAB, where)
        for words, name in ((["1GiB", "best-fit"], "cuda:2: NVIDIA GeForce RTX 3090 with 16384 MiB"),
                            (["17GiB", "best-fit"], "cuda:4: NVIDIA RTX A6000 with 18432 MiB"),
                            (["1GiB", "worst-fit"], "cuda:3: NVIDIA RTX A6000 with 49152 MiB"),
                            (["24GiB", "worst-fit"], "cuda:3: ")):
            prints(name, BY_MEMORY, *words, lab, env=PCI_ORDER)
        drawn = {prints("cuda:", BY_MEMORY, "20GiB", "random", lab, env=PCI_ORDER)[:6]
                 for _ in range(40)}
        assert drawn <= {"cuda:0", "cuda:1", "cuda:3"} and len(drawn) > 1, drawn
        prints("cuda:1: ", BY_MEMORY, "30GiB", "best-fit", lab,
               env={**PCI_ORDER, "CUDA_VISIBLE_DEVICES": "2,3"})


@case
def by_memory_distinguishes_no_gpu_from_none_that_fits():
    refuses(78, "too small: has 24.0 GiB, but 1.0 TiB are asked for", BY_MEMORY, "1TiB", "best-fit",
            LAB)
    refuses(75, "has 18.0 GiB free, but 47.0 GiB are asked for", BY_MEMORY, "47GiB", "best-fit", LAB,
            env={"CUDA_VISIBLE_DEVICES": "GPU-33cc4444"})
    refuses(69, "this machine has no GPU", BY_MEMORY, "1GiB", "best-fit",
            machine_file("empty.json"))
    refuses(69, "no GPU found", BY_MEMORY, "1GiB",
            env={"PATH": "/nonexistent", "GPUALLOC_NVML": "/nonexistent"})
    for size in ("8Gigs", "-1", "much", ""):
        refuses(64, "is not a size", BY_MEMORY, size, "best-fit", LAB)
    refuses(64, "usage:", BY_MEMORY)


main()
