# SPDX-License-Identifier: Apache-2.0
"""Leases: devices that nobody else gets, for a block, for an object's life, or for a command."""
from __future__ import annotations

import ctypes
import os
from _thread import allocate_lock

from ._choice import (Devices, NUMBER_MOST, Wanted, form_of, no_variables, spec_to_tell,
                      take_variables)
from ._errors import BadRequest, Busy, NotPermitted, call, kept
from ._held import HeldLease, Waiter
from ._library import Handle, WAIT_FUNCTION, known, lib, out, said
from ._machine import (Device, Machine, default_store, has_store, is_absent, is_live, milliseconds,
                       open_machine, open_store, plain, spec_bytes, wants_own)
from ._patience import Stopper, patiently_told

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any, Callable, Sequence

    from ._choice import Size, Which
    from ._machine import Spec
    from ._patience import Tell


# ---- which store ----

def _check_shared() -> None:
    """Two stores know nothing of each other: where there is one for everybody, a lease in another
    would be a double grant."""
    shared = default_store()
    if not is_absent(shared) and lib.gpualloc_store_check(None, None) == 0:
        raise NotPermitted(
            f"this machine has a store for everybody, {shared}: people who lease there could get "
            "the same devices as your private lease; leave out private")


def store_to_lease(spec: Spec | None, private: bool, deadline: float | None) -> Handle:
    """The store for a lease on that machine."""
    own = wants_own(spec, private)
    if own and is_live(spec):
        _check_shared()
    try:
        return open_store(own)
    except NotPermitted:
        if not has_store():
            open_machine(spec, deadline)  # a machine without a GPU is the better reason
        raise


# ---- a lease ----

class Lease(Devices):
    """Devices that nobody else gets, in an order in which neighbours are best connected.

    It ends with its with block, with release(), when nothing refers to the object any more, and
    when the interpreter ends, however that happens. Only the process that leased can end it for
    all. A child that was forked has it too: as long as that child lives the devices stay leased if
    this process dies without having ended the lease, and there release() and the end of the block
    only let go of the child's share. Programs that are started do not have it, unless they are
    given fd.
    """

    def __init__(self, handle: Handle, spec: Spec | None, set_environ: bool = False) -> None:
        at = handle.pointer
        self._handle, self._at, self._spec = handle, at, spec
        self._owner, self._is_released, self._lock = os.getpid(), False, allocate_lock()
        self._fd = -1
        self._before: dict[str, str | None] | None = None
        inside = lib.gpualloc_lease_machine(at)
        super().__init__(tuple(Device(handle, inside, lib.gpualloc_lease_device(at, i))
                               for i in range(lib.gpualloc_lease_device_count(at))))
        self.id = said(lib.gpualloc_lease_id(at))
        """Its name, as in the variable GPUALLOC_LEASE and in `gpualloc leases`."""
        self.memory = known(lib.gpualloc_lease_memory(at))
        """How many bytes of each device; None if they are held whole."""
        self.notes = tuple(said(lib.gpualloc_lease_note(at, i))
                           for i in range(lib.gpualloc_lease_note_count(at)))
        """Sentences about what could not be done for it."""
        if set_environ:
            self._set_environ()

    @property
    def fd(self) -> int:
        """The descriptor that is the lease. A program started with pass_fds=[lease.fd] has the
        lease as long as it keeps it."""
        with self._lock:
            if self._is_released:
                raise BadRequest(f"lease {self.id} has been released")
            if self._fd < 0:
                place = ctypes.c_int(-1)
                call(lib.gpualloc_lease_hand_on, self._at, ctypes.byref(place))
                os.set_inheritable(place.value, False)
                self._fd = place.value
            return self._fd

    @property
    def env(self) -> dict[str, str]:
        """The variables that show a program these devices and tell it of the lease."""
        return self.env_as(None)

    def env_as(self, form: str | None) -> dict[str, str]:
        """The same with devices named by "index" or by "uuid"."""
        place = out()
        call(lib.gpualloc_lease_environment, self._at, self.fd, form_of(form),
             spec_to_tell(self._spec), no_variables(), ctypes.byref(place))
        return take_variables(place)

    @property
    def is_released(self) -> bool:
        """Whether release() was called here, or the block has ended."""
        return self._is_released

    def release(self) -> None:
        """Ends the lease; in a child that was forked, lets go of the child's share."""
        if os.getpid() != self._owner:
            self._let_go()
            return
        with self._lock:
            if not self._is_released:
                call(lib.gpualloc_lease_release, self._at)
                self._is_released = True
        self._restore_environ()

    def _let_go(self) -> None:
        """Closes this process's descriptor only. The library's object, which other objects may
        still read, goes on with one of /dev/null."""
        if self._is_released:
            return
        place = ctypes.c_int(-1)
        call(lib.gpualloc_lease_hand_on, self._at, ctypes.byref(place))
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, place.value, inheritable=False)
        os.close(null)
        self._is_released = True

    def _set_environ(self) -> None:
        variables = self.env
        names = {*variables, "GPUALLOC_MEMORY"}
        self._before = {name: os.environ.get(name) for name in names}
        os.environ.pop("GPUALLOC_MEMORY", None)
        os.environ.update(variables)

    def _restore_environ(self) -> None:
        before, self._before = self._before, None
        for name, value in (before or {}).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *problem: object) -> None:
        self.release()

    def __del__(self) -> None:
        if getattr(self, "_is_released", True) or os.getpid() != self._owner:
            return
        import warnings

        warnings.warn(f"lease {self.id} was not released", ResourceWarning, source=self)

    def __repr__(self) -> str:
        ended = ", released" if self._is_released else ""
        return f"<gpualloc.Lease {self.id}: {','.join(self.ids)}{ended}>"


# ---- acquiring ----

def _wait_ms(wait: bool | float | None) -> int:
    """0: not at all; -1: as long as it takes."""
    if wait is None or wait is False:
        return 0
    if wait is True or wait == float("inf"):
        return -1
    if not 0 <= wait <= NUMBER_MOST / 1000 / 2:
        raise BadRequest(f"wait: {wait!r} is not a number of seconds, True or False")
    return int(wait * 1000)


class _Wish:
    """What is wanted of a lease besides the request."""

    def __init__(self, spec: Spec | None, deadline: float | None, wait: bool | float | None,
                 note: str | None, command: str | None) -> None:
        self.handle = Handle(lib.gpualloc_lease_wish_new(), lib.gpualloc_lease_wish_free)
        self.wait_ms = _wait_ms(wait)
        self._problem: BaseException | None = None
        at = self.handle.pointer
        kept(lib.gpualloc_lease_wish_set_machine(at, spec_bytes(spec),
                                                 milliseconds(deadline, "deadline")))
        if note is not None:
            kept(lib.gpualloc_lease_wish_set_note(at, plain(note, "note")))
        if command is not None:
            kept(lib.gpualloc_lease_wish_set_command(at, plain(command, "command")))

    def acquire(self, store: Handle, wanted: Wanted, stopper: Stopper, tell: Tell) -> Handle:
        """Leases, and tells while it waits; what tell() raises ends the waiting."""
        problems: list[BaseException] = []

        def told(context: Any, place: int, sentence: bytes) -> int:
            try:
                tell(place, said(sentence))
            except BaseException as problem:  # a C function cannot pass it on
                problems.append(problem)
            return len(problems)

        function = WAIT_FUNCTION(told)
        lib.gpualloc_lease_wish_set_wait(self.handle.pointer, self.wait_ms, function, None)
        lib.gpualloc_lease_wish_set_stop(self.handle.pointer, stopper.reading)
        place = out()
        try:
            call(lib.gpualloc_lease_acquire, store.pointer, wanted.handle.pointer,
                 self.handle.pointer, ctypes.byref(place))
        except Busy as problem:
            if problems:
                raise problems[0] from None
            if self.wait_ms == 0:
                problem.hints += ("wait=True waits in the queue until they are free",)
            raise
        return Handle(place.value, lib.gpualloc_lease_free)


def _settle(handle: Handle, wanted: Wanted, spec: Spec | None, deadline: float | None) -> None:
    """A lease may come a moment before the last holder's processes have gone."""
    if is_live(spec) and not wanted.ignores_processes:
        call(lib.gpualloc_lease_settle, handle.pointer, spec_bytes(spec),
             milliseconds(deadline, "deadline"))


def _acquire(wanted: Wanted, machine: Machine | Spec | None, private: bool, wish: _Wish,
             deadline: float | None, on_wait: Tell | None) -> Handle:
    spec = machine.spec if isinstance(machine, Machine) else machine
    wanted.restrict(for_a_lease=True)
    store, stopper = store_to_lease(spec, private, deadline), Stopper()

    def work(tell: Tell) -> Handle:
        handle = wish.acquire(store, wanted, stopper, tell)
        _settle(handle, wanted, spec, deadline)
        return handle

    return patiently_told(work, stopper.stop, on_wait or (lambda place, sentence: None))


def lease(count: int | None = None, *, wait: bool | float | None = False,
          on_wait: Callable[[int, str], object] | None = None, note: str | None = None,
          set_environ: bool = False, private: bool = False,
          machine: Machine | Spec | None = None, policy: str | None = None,
          memory: Size | None = None, share: bool = False, mig: bool | str = False,
          model: str | None = None, only: Which | None = None, exclude: Which | None = None,
          require: Which | None = None, mixed: bool = False, seed: int | None = None,
          ignore_processes: bool | Size = False, ignore_environment: bool = False,
          deadline: float | None = None) -> Lease:
    """Leases devices, for a with block or until release().

    wait: False fails at once with Busy; True waits in the queue as long as it takes; a number waits
        at most so many seconds and then raises TimedOut. Ctrl-C ends the waiting.
    on_wait: called with the place in the queue (1 is next) and a sentence about who holds what,
        when waiting begins and when something changes. What it raises ends the waiting.
    note: a line for people who look up who holds what.
    set_environ: puts env into os.environ, where CUDA looks when it is first used in this process,
        and takes it out at the end.
    private: in a store of one's own; others do not see this lease.
    machine is looked at again while waiting. Everything else is as for pick().
    """
    wanted = Wanted(count=count, policy=policy, memory=memory, share=share, mig=mig, model=model,
                    only=only, exclude=exclude, require=require, mixed=mixed, seed=seed,
                    ignore_processes=ignore_processes, ignore_environment=ignore_environment)
    spec = machine.spec if isinstance(machine, Machine) else machine
    wish = _Wish(spec, deadline, wait, note, None)
    return Lease(_acquire(wanted, spec, private, wish, deadline, on_wait), spec, set_environ)


# ---- a command ----

def run(command: Sequence[str | os.PathLike[str]], *, count: int | None = None,
        wait: bool | float | None = False,
        on_wait: Callable[[int, str], object] | None = None, note: str | None = None,
        private: bool = False, machine: Machine | Spec | None = None, policy: str | None = None,
        memory: Size | None = None, share: bool = False, mig: bool | str = False,
        model: str | None = None, only: Which | None = None, exclude: Which | None = None,
        require: Which | None = None, mixed: bool = False, seed: int | None = None,
        ignore_processes: bool | Size = False, ignore_environment: bool = False,
        deadline: float | None = None, form: str | None = None, check: bool = False,
        env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Leases devices and runs a command there to its end.

    The command gets the lease's variables and its descriptor, so the devices are its own as long as
    it runs, whatever becomes of this process, and as long as something runs that it started and
    that kept the descriptor. form names them by "index" or "uuid". env is what it would be started
    with otherwise (os.environ); check and all other options are those of subprocess.run(), which
    also says what is returned.
    """
    import subprocess

    words = [os.fspath(word) for word in command]
    if not words:
        raise BadRequest("which command?")
    _find_program(words[0])
    wanted = Wanted(count=count, policy=policy, memory=memory, share=share, mig=mig, model=model,
                    only=only, exclude=exclude, require=require, mixed=mixed, seed=seed,
                    ignore_processes=ignore_processes, ignore_environment=ignore_environment)
    spec = machine.spec if isinstance(machine, Machine) else machine
    wish = _Wish(spec, deadline, wait, note, " ".join(words))
    held = Lease(_acquire(wanted, spec, private, wish, deadline, on_wait), spec)
    try:
        variables = {**(os.environ if env is None else env)}
        variables.pop("GPUALLOC_MEMORY", None)
        variables.update(held.env_as(form))
        fds = (*options.pop("pass_fds", ()), held.fd)
        return subprocess.run(words, check=check, env=variables, pass_fds=fds, **options)
    finally:
        held._let_go()


def _find_program(name: str) -> None:
    place = out()
    call(lib.gpualloc_program_find, plain(name, "command"), ctypes.byref(place))
    lib.gpualloc_free(place)


# ---- who has what ----

class Leases:
    """Who has what, and who waits: the sequence of the leases."""

    def __init__(self, held: tuple[HeldLease, ...] = (), waiting: tuple[Waiter, ...] = (),
                 store: str | None = None) -> None:
        self.held = held
        """The leases."""
        self.waiting = waiting
        """Who waits, in the order of the queue."""
        self.store = store
        """The path of the store; None where there is none."""

    def __iter__(self) -> Any:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def __getitem__(self, number: int) -> HeldLease:
        return self.held[number]

    def __repr__(self) -> str:
        return f"<gpualloc.Leases: {len(self.held)} held, {len(self.waiting)} waiting>"


def leases(*, machine: Spec | None = None, private: bool = False,
           deadline: float | None = None) -> Leases:
    """Who has what and who waits for what at this moment.

    machine is looked at only if somebody waits, to find out what is kept for whom.
    """
    own = wants_own(machine, private)
    if not own and is_absent(default_store()):
        return Leases()
    store, place = open_store(own), out()
    call(lib.gpualloc_leases_read, store.pointer, ctypes.byref(place))
    listed = Handle(place.value, lib.gpualloc_leases_free)
    at = listed.pointer
    held = tuple(HeldLease(lib.gpualloc_leases_held(at, i))
                 for i in range(lib.gpualloc_leases_held_count(at)))
    count = lib.gpualloc_leases_waiter_count(at)
    if count:
        looked = open_machine(machine, deadline)
        call(lib.gpualloc_leases_add_machine, at, store.pointer, looked.pointer)
    return Leases(held, tuple(Waiter(lib.gpualloc_leases_waiter(at, i)) for i in range(count)),
                  os.fsdecode(lib.gpualloc_store_path(store.pointer)))
