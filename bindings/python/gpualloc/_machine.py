# SPDX-License-Identifier: Apache-2.0
"""A machine: its devices and the links between them, as they were when it was looked at."""
from __future__ import annotations

import ctypes
import os

from ._errors import BadRequest, Impossible, NotPermitted, call
from ._held import HeldLease, Waiter
from ._library import Handle, array, known, lib, out, said, take_text, text
from ._patience import patiently

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    Spec = str | os.PathLike[str]

MILLISECONDS_MOST = (1 << 32) - 1


def plain(value: Spec, name: str) -> bytes:
    """A text for the library, which would stop at a NUL."""
    encoded = os.fsencode(value)
    if b"\0" in encoded:
        raise BadRequest(f"{name}: a NUL character cannot be part of it")
    return encoded


def spec_bytes(spec: Spec | None) -> bytes | None:
    """A machine as the library's calls take it."""
    return None if spec is None else plain(spec, "machine")


def milliseconds(seconds: float | None, name: str) -> int:
    """A deadline as the library's calls take it; 0 is the default one."""
    if seconds is None:
        return 0
    if not 0 < seconds <= MILLISECONDS_MOST / 1000:
        raise BadRequest(f"{name}: {seconds!r} is not a number of seconds that can be waited")
    return max(int(seconds * 1000), 1)


class Process:
    """A process that uses a device."""

    __slots__ = ("pid", "kind", "memory", "user", "name")

    def __init__(self, at: int) -> None:
        self.pid = known(lib.gpualloc_process_pid(at))
        """Its process id."""
        self.kind = text(lib.gpualloc_process_type(at))
        """"C": computes; "G": draws; "C+G": both; "M+C": computes through MPS."""
        self.memory = known(lib.gpualloc_process_memory(at))
        """How many bytes of the device it uses."""
        self.user = text(lib.gpualloc_process_user(at))
        """Who runs it."""
        self.name = text(lib.gpualloc_process_name(at))
        """The name of its program."""

    def __repr__(self) -> str:
        return f"<gpualloc.Process {self.pid} {self.name!r} of {self.user}>"


class Link:
    """What joins two GPUs."""

    __slots__ = ("level", "kind", "count", "p2p")

    def __init__(self, machine: int, one: int, other: int) -> None:
        self.level = said(lib.gpualloc_level_name(lib.gpualloc_machine_level(machine, one, other)))
        """How far over PCIe: "PIX", "PXB", "PHB", "NODE", "SYS"; "BOARD", "X", "?" if unknown."""
        self.kind = said(lib.gpualloc_link_kind_name(
            lib.gpualloc_machine_link_kind(machine, one, other)))
        """"NVLink", "xGMI" or "none"."""
        self.count = known(lib.gpualloc_machine_link_count(machine, one, other))
        """How many such links."""
        self.p2p = text(lib.gpualloc_p2p_name(lib.gpualloc_machine_p2p(machine, one, other)))
        """Whether they can use each other's memory directly: "ok", "no", None if unknown."""

    def __repr__(self) -> str:
        return f"<gpualloc.Link {self.level}, {self.count} {self.kind}>"


class Score:
    """What a set of GPUs is worth."""

    __slots__ = ("pairs", "bandwidth")

    def __init__(self, pairs: int, bandwidth: int | None) -> None:
        self.pairs = pairs
        """The sum of the scores of its pairs."""
        self.bandwidth = bandwidth
        """Its predicted collective bandwidth in MB/s; None for one device."""

    def __repr__(self) -> str:
        return f"<gpualloc.Score {self.pairs}, {self.bandwidth} MB/s>"


class Device:
    """A GPU, or a MIG instance of one. Everything that is not known is None."""

    __slots__ = ("_owner", "_machine", "_at")

    def __init__(self, owner: Handle, machine: int, at: int) -> None:
        self._owner, self._machine, self._at = owner, machine, at

    @property
    def id(self) -> str:
        """How lists name it: "3", or "3:7:0" for a MIG instance."""
        place = ctypes.create_string_buffer(256)
        lib.gpualloc_device_ids(array([self._at]), 1, place, len(place))
        return place.value.decode()

    @property
    def uuid(self) -> str | None:
        """"GPU-...", "MIG-..."."""
        return text(lib.gpualloc_device_uuid(self._at))

    @property
    def index(self) -> int | None:
        """As the driver numbers it; a MIG instance's place among those of its GPU."""
        return known(lib.gpualloc_device_index(self._at))

    @property
    def name(self) -> str | None:
        """The model; a MIG instance has its GPU's."""
        parent = lib.gpualloc_device_parent(self._at)
        return text(lib.gpualloc_device_name(parent or self._at))

    @property
    def pci(self) -> str | None:
        """The PCI address."""
        parent = lib.gpualloc_device_parent(self._at)
        return text(lib.gpualloc_device_pci(parent or self._at))

    @property
    def serial(self) -> str | None:
        """The serial number of the board."""
        return text(lib.gpualloc_device_serial(self._at))

    @property
    def minor(self) -> int | None:
        """The number of its device file, /dev/nvidiaN."""
        return known(lib.gpualloc_device_minor(self._at))

    @property
    def numa(self) -> int | None:
        """The NUMA node near it."""
        return known(lib.gpualloc_device_numa(self._at))

    @property
    def cpus(self) -> str | None:
        """The CPUs near it: "48-63,176-191"."""
        return text(lib.gpualloc_device_cpus(self._at))

    @property
    def compute_mode(self) -> str | None:
        """"default", "exclusive-process" or "prohibited"."""
        return text(lib.gpualloc_device_compute_mode(self._at))

    @property
    def utilization(self) -> int | None:
        """How busy it was recently, in percent."""
        return known(lib.gpualloc_device_utilization(self._at))

    @property
    def health(self) -> str:
        """"ok", "lost", "needs-reset" and so on."""
        return said(lib.gpualloc_health_name(lib.gpualloc_device_health(self._at)))

    @property
    def state(self) -> str:
        """"free", "leased", "kept", "in-use" and so on."""
        return said(lib.gpualloc_state_name(lib.gpualloc_device_state(self._at)))

    @property
    def reason(self) -> str:
        """Why the state is what it is; "" if the device is free."""
        size = lib.gpualloc_device_reason(self._at, None, 0) + 1
        place = ctypes.create_string_buffer(size)
        lib.gpualloc_device_reason(self._at, place, size)
        return place.value.decode("utf-8", "replace")

    @property
    def lease(self) -> str | None:
        """The id of the lease on it."""
        return text(lib.gpualloc_device_lease(self._at))

    @property
    def lease_user(self) -> str | None:
        """Who has that lease."""
        return text(lib.gpualloc_device_lease_user(self._at))

    @property
    def memory_total(self) -> int | None:
        """All its memory, in bytes."""
        return known(lib.gpualloc_device_memory_total(self._at))

    @property
    def memory_reserved(self) -> int | None:
        """What the driver keeps for itself, in bytes."""
        return known(lib.gpualloc_device_memory_reserved(self._at))

    @property
    def memory_used(self) -> int | None:
        """What programs use, in bytes."""
        return known(lib.gpualloc_device_memory_used(self._at))

    @property
    def memory_free(self) -> int | None:
        """Total minus reserved minus used, in bytes."""
        return known(lib.gpualloc_device_memory_free(self._at))

    @property
    def memory_left(self) -> int | None:
        """How much of it a new lease could have, in bytes."""
        return known(lib.gpualloc_device_memory_left(self._at))

    @property
    def held(self) -> tuple[HeldLease, ...]:
        """The leases on it; several if they share its memory."""
        return tuple(HeldLease(lib.gpualloc_device_held(self._at, i))
                     for i in range(lib.gpualloc_device_held_count(self._at)))

    @property
    def kept_for(self) -> Waiter | None:
        """The first waiter for whom some or all of it is kept."""
        at = lib.gpualloc_device_kept_for(self._at)
        return Waiter(at) if at else None

    @property
    def mig_enabled(self) -> bool:
        """Whether it is in MIG mode; then its instances are given out and not the GPU."""
        return bool(lib.gpualloc_device_mig_enabled(self._at))

    @property
    def mig(self) -> tuple[Device, ...]:
        """Its MIG instances."""
        count = lib.gpualloc_device_mig_count(self._at)
        return self._all(lib.gpualloc_device_mig(self._at, i) for i in range(count))

    @property
    def parent(self) -> Device | None:
        """The GPU of a MIG instance."""
        at = lib.gpualloc_device_parent(self._at)
        return Device(self._owner, self._machine, at) if at else None

    @property
    def profile(self) -> str | None:
        """The profile of a MIG instance: "1g.5gb"."""
        return text(lib.gpualloc_device_profile(self._at))

    @property
    def gi(self) -> int | None:
        """The number of a MIG instance's GPU instance."""
        return known(lib.gpualloc_device_gi(self._at))

    @property
    def ci(self) -> int | None:
        """The number of a MIG instance's compute instance."""
        return known(lib.gpualloc_device_ci(self._at))

    @property
    def processes(self) -> tuple[Process, ...] | None:
        """The processes that are seen using it; None if they are not known."""
        if not lib.gpualloc_device_processes_known(self._at):
            return None
        return tuple(Process(lib.gpualloc_device_process(self._at, i))
                     for i in range(lib.gpualloc_device_process_count(self._at)))

    @property
    def torch_device(self) -> str:
        """What PyTorch and others call it in this process, "cuda:1", as CUDA_VISIBLE_DEVICES and
        CUDA_DEVICE_ORDER are in os.environ now. Impossible if they would not see it."""
        place = out()
        call(lib.gpualloc_device_framework_name, self._machine, self._at,
             *inherited(), ctypes.byref(place))
        return take_text(place)

    def _all(self, pointers: Iterator[int]) -> tuple[Device, ...]:
        return tuple(Device(self._owner, self._machine, at) for at in pointers)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Device):
            return NotImplemented
        return self._at == other._at or (self.uuid is not None and self.uuid == other.uuid)

    def __hash__(self) -> int:
        return hash(self.uuid or self._at)

    def __repr__(self) -> str:
        return f"<gpualloc.Device {self.id} {self.name!r} {self.uuid}>"


def inherited() -> tuple[bytes | None, bytes | None]:
    """CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER as they are in os.environ."""
    return os.environb.get(b"CUDA_VISIBLE_DEVICES"), os.environb.get(b"CUDA_DEVICE_ORDER")


class Machine:
    """A machine as it was when it was looked at; nothing changes it any more. It is the sequence
    of its GPUs."""

    def __init__(self, handle: Handle, spec: Spec | None, notes: tuple[str, ...] = ()) -> None:
        self._handle, self._at = handle, handle.pointer or 0
        self.spec = spec
        """What it was opened with."""
        self._notes = notes
        count = lib.gpualloc_machine_device_count(self._at)
        self.devices = tuple(Device(handle, self._at, lib.gpualloc_machine_device(self._at, i))
                             for i in range(count))
        """Its GPUs, in order of their index."""

    @property
    def name(self) -> str | None:
        """Its name."""
        return text(lib.gpualloc_machine_name(self._at))

    @property
    def source(self) -> str | None:
        """What it was read from: "nvml", "nvidia-smi", "built-in" and so on."""
        return text(lib.gpualloc_machine_source(self._at))

    @property
    def driver(self) -> str | None:
        """The version of its driver."""
        return text(lib.gpualloc_machine_driver(self._at))

    @property
    def is_simulated(self) -> bool:
        """Whether it was never real hardware."""
        return bool(lib.gpualloc_machine_is_simulated(self._at))

    @property
    def is_here(self) -> bool:
        """Whether it is the machine on which this process runs."""
        return bool(lib.gpualloc_machine_is_here(self._at))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about odd things that were found, and why something is not shown."""
        count = lib.gpualloc_machine_note_count(self._at)
        return (*(said(lib.gpualloc_machine_note(self._at, i)) for i in range(count)),
                *self._notes)

    def link(self, one: Device | int, other: Device | int) -> Link:
        """What joins two GPUs, given themselves or by their places in devices."""
        return Link(self._at, self._number(one), self._number(other))

    def score(self, devices: list[Device]) -> Score:
        """What a set of GPUs is worth."""
        numbers = [self._number(device) for device in devices]
        pairs, bandwidth = ctypes.c_int64(), ctypes.c_int64()
        call(lib.gpualloc_machine_score, self._at, (ctypes.c_size_t * len(numbers))(*numbers),
             len(numbers), ctypes.byref(pairs), ctypes.byref(bandwidth))
        return Score(pairs.value, known(bandwidth.value))

    def _number(self, device: Device | int) -> int:
        if isinstance(device, Device):
            number: int = lib.gpualloc_device_number(self._at, device._at)
        else:
            number = device
        if not 0 <= number < len(self.devices):
            raise BadRequest(f"{device!r} is not a GPU of this machine")
        return number

    def __iter__(self) -> Iterator[Device]:
        return iter(self.devices)

    def __len__(self) -> int:
        return len(self.devices)

    def __getitem__(self, number: int) -> Device:
        return self.devices[number]

    def __repr__(self) -> str:
        simulated = ", simulated" if self.is_simulated else ""
        return f"<gpualloc.Machine {self.name!r}: {len(self)} GPUs{simulated}>"


# ---- opening ----

def is_live(spec: Spec | None) -> bool:
    """Whether that means the hardware of this machine."""
    return bool(lib.gpualloc_spec_is_live(spec_bytes(spec)))


def open_machine(spec: Spec | None, deadline: float | None) -> Handle:
    """The machine as its source has it."""
    encoded, limit = spec_bytes(spec), milliseconds(deadline, "deadline")

    def work() -> Handle:
        place = out()
        call(lib.gpualloc_machine_open, encoded, limit, ctypes.byref(place))
        return Handle(place.value, lib.gpualloc_machine_free)

    return patiently(work)


def has_store() -> bool:
    """Whether the environment names a store, or the one for everybody has been set up."""
    return bool(os.environ.get("GPUALLOC_STATE_DIR")) or not is_absent(default_store())


def default_store() -> str:
    """The path of the store for everybody."""
    return os.fsdecode(lib.gpualloc_store_default())


def is_absent(path: str) -> bool:
    """Whether nothing is there; what may not be looked at is there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def wants_own(spec: Spec | None, private: bool) -> bool:
    """Whether leases on that machine are in a store of one's own."""
    return private or (not is_live(spec) and not has_store())


def open_store(own: bool) -> Handle:
    """The store for everybody, or one's own."""
    place = out()
    call(lib.gpualloc_store_open, None, own, ctypes.byref(place))
    return Handle(place.value, lib.gpualloc_store_free)


def add_config(handle: Handle) -> None:
    """What the administrator says about the devices; Impossible if there are mistakes in it."""
    call(lib.gpualloc_machine_add_config, handle.pointer)


def add_leases(handle: Handle, spec: Spec | None, private: bool) -> tuple[str, ...]:
    """Who has what. Where there is no store nobody has anything; one that cannot be used is said."""
    own = wants_own(spec, private)
    if not own and is_absent(default_store()):
        return ()
    try:
        store = open_store(own)
    except NotPermitted as problem:
        return () if own else (f"leases are not shown: {problem.message}",)
    call(lib.gpualloc_machine_add_leases, handle.pointer, store.pointer)
    return ()


def machine(spec: Spec | None = None, *, deadline: float | None = None,
            private: bool = False) -> Machine:
    """Looks at a machine: its GPUs, their state, and who has leased what.

    spec is "nvml", "nvidia-smi", the name of a built-in machine such as "dgx1-volta", or the path
    of a file; None takes GPUALLOC_MACHINE from the environment, else this machine. deadline is how
    many seconds a silent driver is waited for (10).
    """
    handle = open_machine(spec, deadline)
    notes: tuple[str, ...] = ()
    try:
        add_config(handle)
    except Impossible as problem:
        notes = tuple(problem.message.split("\n"))
    return Machine(handle, spec, (*notes, *add_leases(handle, spec, private)))


def available(spec: Spec | None = None, *, deadline: float | None = None) -> bool:
    """Whether there is any GPU."""
    encoded, limit = spec_bytes(spec), milliseconds(deadline, "deadline")
    return patiently(lambda: call(lib.gpualloc_available, encoded, limit)) > 0
