#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The words of GPU-utils: obtaining, selecting by memory, and names for PyTorch that are right."""
import os
import sys

from cli import case, environment, healthy, machine_file, main
from package import PACKAGES, Program, folder

sys.path.insert(0, PACKAGES)
from gpualloc.gpu_utils import (  # noqa: E402
    GPU, BestFitGPUSelector, EmptyGPUListError, GPUSelectorFactory, GPUSelectStrategy,
    NoGPUAvailableError, NvmlGPUInfoObtainer)

for name in set(os.environ) - set(environment()):
    del os.environ[name]
os.environ.update(GPUALLOC_CONFIG="/nonexistent/gpualloc.conf", CUDA_DEVICE_ORDER="PCI_BUS_ID",
                  GPUALLOC_STATE_DIR=os.path.join(folder(), "store"))
WHERE = folder()
LAB = healthy(machine_file("lab.json"), WHERE)
GIB = 1 << 30


def select(strategy, size, gpus=None):
    """As in the example of GPU-utils."""
    obtainer = NvmlGPUInfoObtainer(LAB)
    assert obtainer.gpus_available()
    selector = GPUSelectorFactory().selector(strategy)
    return selector.select(obtainer.gpus() if gpus is None else gpus, size)


def raises(kind, function, *words):
    try:
        function(*words)
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


@case
def selecting_by_memory():
    for strategy, size, device in ((GPUSelectStrategy.BEST_FIT, GIB, "cuda:2"),
                                   (GPUSelectStrategy.BEST_FIT, 17 * GIB, "cuda:4"),
                                   (GPUSelectStrategy.WORST_FIT, GIB, "cuda:3")):
        gpu = select(strategy, size)
        assert gpu.to_torch_device() == device, (strategy, size, gpu)
        assert gpu.free_memory_bytes() > size and gpu.uuid.startswith("GPU-"), gpu
    drawn = {select(GPUSelectStrategy.RANDOM, 20 * GIB).cuda_id for _ in range(40)}
    assert drawn <= {0, 1, 3} and len(drawn) > 1, drawn
    raises(NoGPUAvailableError, select, GPUSelectStrategy.BEST_FIT, 1024 * GIB)
    raises(EmptyGPUListError, select, GPUSelectStrategy.BEST_FIT, GIB, [])


@case
def gpus_of_ones_own_making():
    gpus = [GPU(0, "a", 12000, 9000), GPU(1, "a", 12000, 11000), GPU(2, "b", 32000, 12000)]
    assert BestFitGPUSelector().select(gpus, 2000) is gpus[0]
    raises(NoGPUAvailableError, BestFitGPUSelector().select, gpus, 20000)
    assert "12000" in repr(gpus[0]) and gpus[1].to_torch_device() == "cuda:1"


@case
def numbers_are_those_of_what_was_inherited():
    os.environ["CUDA_VISIBLE_DEVICES"] = "3,2"
    try:
        assert [gpu.cuda_id for gpu in NvmlGPUInfoObtainer(LAB).gpus()] == [0, 1]
        assert select(GPUSelectStrategy.BEST_FIT, GIB).to_torch_device() == "cuda:1"
        assert select(GPUSelectStrategy.WORST_FIT, GIB).to_torch_device() == "cuda:0"
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        assert not NvmlGPUInfoObtainer(LAB).gpus_available()
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]


@case
def through_the_drivers_library():
    os.environ.update(GPUALLOC_NVML=os.environ["FAKE_NVML"], FAKE_MACHINE=LAB)
    try:
        found = [gpu.uuid for gpu in NvmlGPUInfoObtainer().gpus()]
        assert found[:5] == [gpu.uuid for gpu in NvmlGPUInfoObtainer(LAB).gpus()], found
    finally:
        del os.environ["GPUALLOC_NVML"]


@case
def without_a_driver_there_is_none():
    os.environ.update(GPUALLOC_NVML="/nonexistent", GPUALLOC_NVIDIA_SMI="/nonexistent")
    try:
        assert NvmlGPUInfoObtainer().gpus_available() is False
        assert NvmlGPUInfoObtainer().gpus() == []
    finally:
        del os.environ["GPUALLOC_NVML"], os.environ["GPUALLOC_NVIDIA_SMI"]


@case
def what_is_leased_is_not_offered():
    with Program('''
import gpualloc, sys
with gpualloc.lease(1, only="3", machine=sys.argv[1]):
    print("holds", flush=True)
    sys.stdin.read()
''', LAB, env={"GPUALLOC_STATE_DIR": os.environ["GPUALLOC_STATE_DIR"]}) as program:
        program.line()
        assert 3 not in [gpu.cuda_id for gpu in NvmlGPUInfoObtainer(LAB).gpus()]
    assert 3 in [gpu.cuda_id for gpu in NvmlGPUInfoObtainer(LAB).gpus()]


main()
