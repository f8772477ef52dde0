# SPDX-License-Identifier: Apache-2.0
"""From what is wanted to a choice."""
from __future__ import annotations

import ctypes
import os

from ._errors import BadRequest, OutOfMemory, call, hints_of, kept
from ._library import Handle, known, lib, out, said
from ._machine import (Device, Machine, add_config, add_leases, inherited, open_machine, plain)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator

    from ._machine import Spec

    Size = int | str
    Which = str | Iterable[Device | int | str]

NUMBER_MOST = (1 << 63) - 1
FORMS = {None: 0, "index": 1, "uuid": 2}


def whole(value: Any, name: str, least: int, most: int) -> int:
    """A whole number for the library, whose types would cut a longer one."""
    try:
        number: int = value.__index__()
    except AttributeError:
        raise BadRequest(f"{name}: {value!r} is not a whole number") from None
    if not least <= number <= most:
        raise BadRequest(f"{name}: {value!r} is not between {least} and {most}")
    return number


def size_of(value: Size, name: str) -> int:
    """A size in bytes."""
    if not isinstance(value, str):
        return whole(value, name, 0, NUMBER_MOST)
    bytes_wanted = ctypes.c_int64()
    call(lib.gpualloc_size_parse, plain(value, name), ctypes.byref(bytes_wanted))
    return bytes_wanted.value


def list_of(value: Which | None, name: str) -> bytes | None:
    """A list of devices: by index, UUID, PCI address, or parent:gi:ci."""
    if value is None:
        return None
    if isinstance(value, str):
        return plain(value, name)
    words = [(one.uuid or one.id) if isinstance(one, Device) else str(one) for one in value]
    return plain(",".join(words), name)


class Wanted:
    """What is wanted of devices: the options of choice, checked, and the request they make."""

    def __init__(self, *, count: int | None, policy: str | None, memory: Size | None, share: bool,
                 mig: bool | str, model: str | None, only: Which | None, exclude: Which | None,
                 require: Which | None, mixed: bool, seed: int | None,
                 ignore_processes: bool | Size, ignore_environment: bool) -> None:
        self.handle = Handle(lib.gpualloc_request_new(), lib.gpualloc_request_free)
        self._policy: Handle | None = None
        self.ignores_processes = ignore_processes is not False
        self._ignores_environment = ignore_environment
        at = self.handle.pointer
        if count is not None:
            lib.gpualloc_request_set_count(at, whole(count, "count", 1, NUMBER_MOST))
        if policy is not None:
            self._set_policy(policy)
        if memory is not None or share:
            size = -1 if memory is None else size_of(memory, "memory")
            lib.gpualloc_request_set_memory(at, size, share)
        if mig:
            profile = None if mig is True else plain(mig, "mig")
            kept(lib.gpualloc_request_set_mig(at, profile))
        if model is not None:
            self._set_model(model)
        kept(lib.gpualloc_request_set_only(at, list_of(only, "only")))
        kept(lib.gpualloc_request_set_exclude(at, list_of(exclude, "exclude")))
        kept(lib.gpualloc_request_set_require(at, list_of(require, "require")))
        lib.gpualloc_request_set_mixed(at, mixed)
        if seed is not None:
            lib.gpualloc_request_set_seed(at, whole(seed, "seed", 0, (1 << 64) - 1))
        if self.ignores_processes:
            size = -1 if ignore_processes is True else size_of(ignore_processes, "ignore_processes")
            lib.gpualloc_request_set_ignore_processes(at, size)

    def _set_policy(self, name: str) -> None:
        place = out()
        call(lib.gpualloc_policy_open, plain(name, "policy"), ctypes.byref(place))
        self._policy = Handle(place.value, lib.gpualloc_policy_free)
        lib.gpualloc_request_set_policy(self.handle.pointer, self._policy.pointer)

    def _set_model(self, model: str) -> None:
        if not model:
            raise BadRequest("model: give part of a GPU's name")
        kept(lib.gpualloc_request_set_model(self.handle.pointer, plain(model, "model")))

    def restrict(self, for_a_lease: bool) -> None:
        """To what CUDA_VISIBLE_DEVICES shows. What gives devices to a program may well be started
        where it can see none."""
        visible, order = inherited()
        if not self._ignores_environment and not (for_a_lease and visible in (b"", b"-1")):
            kept(lib.gpualloc_request_set_environment(self.handle.pointer, visible, order))


class Devices:
    """Some devices of a machine, in order: what a choice, an alternative and a lease have in
    common."""

    def __init__(self, devices: tuple[Device, ...]) -> None:
        self.devices = devices
        """The devices."""

    @property
    def ids(self) -> tuple[str, ...]:
        """How lists name them: ("0", "3")."""
        return tuple(device.id for device in self.devices)

    @property
    def uuids(self) -> tuple[str, ...]:
        """Their UUIDs, as far as they are known."""
        return tuple(device.uuid for device in self.devices if device.uuid is not None)

    @property
    def torch_devices(self) -> tuple[str, ...]:
        """What PyTorch and others call them in this process now; see Device.torch_device."""
        return tuple(device.torch_device for device in self.devices)

    @property
    def torch_device(self) -> str:
        """What PyTorch and others call the first of them in this process now."""
        return self.devices[0].torch_device

    def __iter__(self) -> Iterator[Device]:
        return iter(self.devices)

    def __len__(self) -> int:
        return len(self.devices)

    def __getitem__(self, number: int) -> Device:
        return self.devices[number]

    def __repr__(self) -> str:
        return f"<gpualloc.{type(self).__name__} {','.join(self.ids)}>"


class Alternative(Devices):
    """A set other than the chosen one."""

    def __init__(self, devices: tuple[Device, ...], at: int) -> None:
        super().__init__(devices)
        self.value = known(lib.gpualloc_alternative_value(at))
        """What the policy gives it; None also if that would take a search."""
        self.score = known(lib.gpualloc_alternative_score(at))
        """The sum of its pair scores."""
        self.bandwidth = known(lib.gpualloc_alternative_bandwidth(at))
        """Its predicted collective bandwidth in MB/s."""


class Rejection:
    """A device that was not chosen."""

    def __init__(self, device: Device, at: int) -> None:
        self.device = device
        """Which one."""
        self.reason = said(lib.gpualloc_rejection_reason(at))
        """Why, in words."""
        self.hints = hints_of(lib.gpualloc_rejection_remedies(at))
        """What may help, one line each."""

    def __repr__(self) -> str:
        return f"<gpualloc.Rejection {self.device.id}: {self.reason}>"


class Choice(Devices):
    """The devices that were chosen, in the order in which the policy gave them. Nothing is held:
    somebody else may take them. A lease holds."""

    def __init__(self, handle: Handle, machine: Machine) -> None:
        self._handle, self._at = handle, handle.pointer
        self.machine = machine
        """The machine they were chosen from."""
        super().__init__(self._list(lib.gpualloc_choice_device, self._at,
                                    lib.gpualloc_choice_device_count(self._at)))

    def _list(self, function: Any, at: Any, count: int) -> tuple[Device, ...]:
        return tuple(self._device(function(at, i)) for i in range(count))

    def _device(self, at: int) -> Device:
        return Device(self.machine._handle, self.machine._at, at)

    @property
    def policy(self) -> str:
        """The name of the policy that answered."""
        return said(lib.gpualloc_choice_policy(self._at))

    @property
    def value(self) -> int | None:
        """What the policy maximised; None if it maximises nothing."""
        return known(lib.gpualloc_choice_value(self._at))

    @property
    def bound(self) -> int | None:
        """No answer can have a higher value than this."""
        return known(lib.gpualloc_choice_bound(self._at))

    @property
    def proven(self) -> bool:
        """Whether it is proven that no answer is better."""
        return bool(lib.gpualloc_choice_proven(self._at))

    @property
    def score(self) -> int | None:
        """The sum of the pair scores; None for MIG instances, which have no links."""
        return known(lib.gpualloc_choice_score(self._at))

    @property
    def bandwidth(self) -> int | None:
        """The predicted collective bandwidth in MB/s; None for one device."""
        return known(lib.gpualloc_choice_bandwidth(self._at))

    @property
    def env(self) -> dict[str, str]:
        """The variables that show a program these devices and no others."""
        return self.env_as(None)

    def env_as(self, form: str | None) -> dict[str, str]:
        """The same with devices named by "index" or by "uuid"."""
        place = out()
        call(lib.gpualloc_choice_environment, self.machine._at, self._at, form_of(form),
             spec_to_tell(self.machine.spec), no_variables(), ctypes.byref(place))
        return take_variables(place)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """The devices that were not chosen, and why."""
        found = []
        for i in range(lib.gpualloc_choice_rejection_count(self._at)):
            at = lib.gpualloc_choice_rejection(self._at, i)
            found.append(Rejection(self._device(lib.gpualloc_rejection_device(at)), at))
        return tuple(found)

    @property
    def alternatives(self) -> tuple[Alternative, ...]:
        """The next best sets, best first; only explain() looks for them."""
        found = []
        for i in range(lib.gpualloc_choice_alternative_count(self._at)):
            at = lib.gpualloc_choice_alternative(self._at, i)
            count = lib.gpualloc_alternative_device_count(at)
            found.append(Alternative(self._list(lib.gpualloc_alternative_device, at, count), at))
        return tuple(found)


# ---- variables ----

def form_of(form: str | None) -> int:
    """How devices are named in variables."""
    if form not in FORMS:
        raise BadRequest(f"there is no form {form!r}; use \"index\" or \"uuid\"")
    return FORMS[form]


def spec_to_tell(spec: Spec | None) -> bytes | None:
    """The machine for a program that may run in another folder."""
    if spec is None:
        return None
    name = os.fspath(spec)
    return plain(os.path.abspath(name) if os.path.exists(name) else name, "machine")


def no_variables() -> Any:
    """An empty environment, so that what comes back is only what is ours."""
    return (ctypes.c_char_p * 1)(None)


def take_variables(place: ctypes.c_void_p) -> dict[str, str]:
    """What a call put there, which is freed."""
    entries = ctypes.cast(place, ctypes.POINTER(ctypes.c_char_p))
    variables = {}
    count = 0
    while entries[count] is not None:
        name, _, value = os.fsdecode(entries[count]).partition("=")
        variables[name] = value
        count += 1
    lib.gpualloc_free(place)
    return variables


# ---- choosing ----

def choose(wanted: Wanted, machine: Machine | Spec | None, deadline: float | None, private: bool,
           alternatives: bool) -> Choice:
    """Chooses; a machine that was not looked at yet is looked at first."""
    wanted.restrict(for_a_lease=False)
    lib.gpualloc_request_set_alternatives(wanted.handle.pointer, alternatives)
    if not isinstance(machine, Machine):
        handle = open_machine(machine, deadline)
        add_config(handle)
        machine = Machine(handle, machine, add_leases(handle, machine, private))
    place = out()
    call(lib.gpualloc_choose, machine._at, wanted.handle.pointer, ctypes.byref(place))
    if place.value is None:
        raise OutOfMemory("out of memory")
    return Choice(Handle(place.value, lib.gpualloc_choice_free), machine)


def pick(count: int | None = None, *, machine: Machine | Spec | None = None,
         policy: str | None = None, memory: Size | None = None, share: bool = False,
         mig: bool | str = False, model: str | None = None, only: Which | None = None,
         exclude: Which | None = None, require: Which | None = None, mixed: bool = False,
         seed: int | None = None, ignore_processes: bool | Size = False,
         ignore_environment: bool = False, deadline: float | None = None,
         private: bool = False) -> Choice:
    """Chooses devices that are free now, and holds nothing.

    count: how many; 1, or as many as are required.
    machine: what machine() returned, to choose from that, or what it takes.
    policy: "balanced" (the default), "bandwidth", "best-fit" and so on.
    memory: how much each must have free, in bytes or as "8GiB". share: only that much is wanted.
    mig: MIG instances, of any profile (True) or of one ("1g.5gb").
    model: part of the GPUs' name. mixed: several models may be chosen together.
    only, exclude, require: devices, as "0-3,6", UUIDs, or a list of such or of Device objects.
    seed: makes the policy "random" repeatable.
    ignore_processes: tolerates other processes, as long as they use at most that many bytes.
    ignore_environment: CUDA_VISIBLE_DEVICES does not restrict the choice.
    deadline: for how many seconds a silent driver is waited for.
    private: leases are looked up in a store of one's own.
    """
    wanted = Wanted(count=count, policy=policy, memory=memory, share=share, mig=mig, model=model,
                    only=only, exclude=exclude, require=require, mixed=mixed, seed=seed,
                    ignore_processes=ignore_processes, ignore_environment=ignore_environment)
    return choose(wanted, machine, deadline, private, alternatives=False)


def explain(count: int | None = None, *, machine: Machine | Spec | None = None,
            policy: str | None = None, memory: Size | None = None, share: bool = False,
            mig: bool | str = False, model: str | None = None, only: Which | None = None,
            exclude: Which | None = None, require: Which | None = None, mixed: bool = False,
            seed: int | None = None, ignore_processes: bool | Size = False,
            ignore_environment: bool = False, deadline: float | None = None,
            private: bool = False) -> Choice:
    """Chooses as pick() does and says why: alternatives and rejections are filled in."""
    wanted = Wanted(count=count, policy=policy, memory=memory, share=share, mig=mig, model=model,
                    only=only, exclude=exclude, require=require, mixed=mixed, seed=seed,
                    ignore_processes=ignore_processes, ignore_environment=ignore_environment)
    return choose(wanted, machine, deadline, private, alternatives=True)
