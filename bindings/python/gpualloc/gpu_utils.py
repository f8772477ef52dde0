# SPDX-License-Identifier: Apache-2.0
"""The words of GPU-utils, for programs that were written for it:

    from gpualloc.gpu_utils import NvmlGPUInfoObtainer
    from gpualloc.gpu_utils import GPUSelectorFactory, GPUSelectStrategy

What differs: to_torch_device() is right where CUDA_VISIBLE_DEVICES was inherited; GPUs that this
process does not see, that are not healthy or that somebody has leased are not offered; and nothing
but this package is needed. Selecting holds nothing: somebody else may take the same GPU a moment
later. gpualloc.lease() holds.
"""
from __future__ import annotations

from enum import Enum

from ._errors import BadRequest, Busy, Error, Impossible, NoDriver
from ._machine import Device, machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from ._machine import Spec


class EmptyGPUListError(Error):
    """There are no GPUs to select from."""

    def __init__(self, message: str = "there is no GPU to select from") -> None:
        super().__init__(message)


class NoGPUAvailableError(Busy):
    """No GPU has that much memory free."""

    def __init__(self, message: str = "no GPU has that much memory free") -> None:
        super().__init__(message)


class GPU:
    """A GPU that this process sees, and how much of its memory is in use."""

    def __init__(self, cuda_id: int, name: str, max_available_memory_bytes: int,
                 current_memory_utlization_bytes: int, uuid: str = "") -> None:
        self.cuda_id = cuda_id
        """Its number as CUDA counts in this process."""
        self.name = name
        self.max_available_memory_bytes = max_available_memory_bytes
        self.current_memory_utlization_bytes = current_memory_utlization_bytes
        self.uuid = uuid

    def to_torch_device(self) -> str:
        """What PyTorch calls it in this process: "cuda:1"."""
        return f"cuda:{self.cuda_id}"

    def free_memory_bytes(self) -> int:
        """How much of its memory is free."""
        return self.max_available_memory_bytes - self.current_memory_utlization_bytes

    def __repr__(self) -> str:
        return str(self.__dict__)


class GPUInfoObtainer:
    """Where knowledge of GPUs comes from."""

    def gpus_available(self) -> bool:
        """Whether anything is known of GPUs."""
        raise NotImplementedError

    def gpus(self) -> list[GPU]:
        """The GPUs that this process sees and may use."""
        raise NotImplementedError


# Programs may share a GPU as long as nobody has leased it.
USABLE = ("free", "in-use")


def _gpu_of(device: Device) -> GPU | None:
    """None if the process does not see it or may not use it, or if its memory is unknown."""
    total, free = device.memory_total, device.memory_left
    if device.mig_enabled or total is None or free is None or device.state not in USABLE:
        return None
    try:
        name = device.torch_device
    except Impossible:
        return None
    return GPU(int(name.split(":")[1]), device.name or "", total, total - free, device.uuid or "")


class NvmlGPUInfoObtainer(GPUInfoObtainer):
    """Asks NVML, or nvidia-smi where NVML does not answer; spec names something else, as for
    gpualloc.machine()."""

    def __init__(self, spec: Spec | None = None) -> None:
        self._spec = spec

    def gpus_available(self) -> bool:
        """Whether a driver answers and shows a GPU that this process sees."""
        return len(self.gpus()) > 0

    def gpus(self) -> list[GPU]:
        """The GPUs that this process sees, by their numbers in it; none without a driver."""
        try:
            found = [_gpu_of(device) for device in machine(self._spec)]
        except NoDriver:
            return []
        return sorted((gpu for gpu in found if gpu), key=lambda gpu: gpu.cuda_id)


class GPUSelectStrategy(Enum):
    """How to select."""

    BEST_FIT = 1
    """The one with the least free memory that suffices."""
    WORST_FIT = 2
    """The one with the most free memory."""
    RANDOM = 3
    """Any that suffices."""


class GPUSelector:
    """Selects a GPU with enough memory."""

    def select(self, gpus: Sequence[GPU], expected_memory_consumption_bytes: int) -> GPU:
        """One of these GPUs in whose free memory so many bytes fit."""
        if not gpus:
            raise EmptyGPUListError()
        fitting = [gpu for gpu in gpus
                   if gpu.free_memory_bytes() > expected_memory_consumption_bytes]
        if not fitting:
            raise NoGPUAvailableError()
        return self._choose(fitting)

    def _choose(self, gpus: list[GPU]) -> GPU:
        raise NotImplementedError


class BestFitGPUSelector(GPUSelector):
    """The least free memory that suffices."""

    def _choose(self, gpus: list[GPU]) -> GPU:
        return min(gpus, key=lambda gpu: gpu.free_memory_bytes())


class WorstFitGPUSelector(GPUSelector):
    """The most free memory."""

    def _choose(self, gpus: list[GPU]) -> GPU:
        return max(gpus, key=lambda gpu: gpu.free_memory_bytes())


class RandomGPUSelector(GPUSelector):
    """Any that suffices."""

    def _choose(self, gpus: list[GPU]) -> GPU:
        import random

        return random.choice(gpus)


class GPUSelectorFactory:
    """Makes the selector for a strategy."""

    def selector(self, strategy: GPUSelectStrategy) -> GPUSelector:
        """A selector."""
        if strategy is GPUSelectStrategy.BEST_FIT:
            return BestFitGPUSelector()
        if strategy is GPUSelectStrategy.WORST_FIT:
            return WorstFitGPUSelector()
        if strategy is GPUSelectStrategy.RANDOM:
            return RandomGPUSelector()
        raise BadRequest(f"there is no strategy {strategy!r}")
