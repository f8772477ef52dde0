# SPDX-License-Identifier: Apache-2.0
"""What can go wrong: an exception for each of the library's statuses, with its sentence."""
from __future__ import annotations

from ._library import lib, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Error(Exception):
    """Something that gpualloc could not do. str() is a sentence for a person, with what may help."""

    exit_status = 70
    """What a program should end with because of this, as the command does."""

    def __init__(self, message: str, hints: tuple[str, ...] = ()) -> None:
        super().__init__(message, hints)
        self.message = message
        """The library's sentence, or several lines."""
        self.hints = hints
        """What may help, one line each."""

    def __str__(self) -> str:
        return "\n  ".join([self.message, *self.hints])


class BadRequest(Error, ValueError):
    """The request itself makes no sense."""

    exit_status = 64


class BadData(Error):
    """A file or a tool's output is not what it should be."""

    exit_status = 65


class NoDriver(Error):
    """There is no GPU driver, or no source answered."""

    exit_status = 69


class Busy(Error):
    """Not now, but once others have finished. The message says who has the devices."""

    exit_status = 75


class TimedOut(Busy):
    """Still not, after waiting as long as was allowed."""

    exit_status = 124


class NotPermitted(Error):
    """Not permitted, or there is no store that can be trusted."""

    exit_status = 77


class Impossible(Error):
    """Never on this machine, no matter what is freed."""

    exit_status = 78


class OutOfMemory(Error, MemoryError):
    """The library is out of memory."""

    exit_status = 71


class ReadWriteFailed(Error):
    """Reading or writing failed."""

    exit_status = 74


class ProgramNotFound(Error):
    """There is no program of that name."""

    exit_status = 127


class ProgramNotRunnable(Error):
    """The program exists but cannot be run."""

    exit_status = 126


KINDS: dict[int, type[Error]] = {
    -1: BadRequest, -2: BadData, -3: NoDriver, -4: Busy, -5: NotPermitted, -6: Impossible,
    -7: TimedOut, -8: OutOfMemory, -9: ReadWriteFailed, -10: ProgramNotFound,
    -11: ProgramNotRunnable,
}

# Bit by bit, in the words of this package.
REMEDIES = (
    "`sudo gpualloc setup` makes or repairs the store for everybody",
    "private=True uses a store of your own that others do not see",
    "gpualloc.machine() shows the devices",
    "gpualloc.leases() shows the leases",
    "ignore_environment=True overrides CUDA_VISIBLE_DEVICES",
    "ignore_processes=True tolerates other processes",
    "mixed=True allows several models",
    "mig=True chooses among MIG instances",
    "say how much memory: memory=\"8GiB\"",
    "name devices by number",
    "name devices by UUID",
    "deadline=SECONDS gives it more time",
    "to see gpualloc work without a GPU, try machine=\"dgx1-volta\"",
    "lease within that lease",
)


def hints_of(remedies: int) -> tuple[str, ...]:
    """The library's bits in words; bits of later releases are passed over."""
    return tuple(words for bit, words in enumerate(REMEDIES) if remedies >> bit & 1)


def problem_of(status: int, error: int | None) -> Error:
    """The exception for a call that returned this status and left its sentence in the error."""
    kind = KINDS.get(status, Error)
    message = said(lib.gpualloc_error_message(error)) or "out of memory"
    return kind(message, hints_of(lib.gpualloc_error_remedies(error)))


def call(function: Any, *words: Any) -> int:
    """Calls a function of the library's whose last argument is the error object."""
    error = lib.gpualloc_error_new()
    try:
        status: int = function(*words, error)
        if status < 0:
            raise problem_of(status, error)
        return status
    finally:
        lib.gpualloc_error_free(error)


def kept(status: int) -> None:
    """For calls that only copy a text: all that can go wrong is memory."""
    if status < 0:
        raise KINDS.get(status, Error)("out of memory" if status == -8 else "the call failed")
