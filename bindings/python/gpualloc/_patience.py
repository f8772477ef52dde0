# SPDX-License-Identifier: Apache-2.0
"""Calls that may take long. All of them release the interpreter. The main thread, the only one that
Python interrupts, leaves the call to a helper thread and stays where Ctrl-C reaches it."""
from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import queue
    from typing import Any, Callable, TypeVar

    Result = TypeVar("Result")
    Tell = Callable[[int, str], object]
    Events = queue.SimpleQueue[tuple[str, Any]]

# How long a call that was interrupted may take to tidy up before it is left to itself. One that
# waits in the queue needs milliseconds; only one that asks a driver which hangs needs longer.
TIDY_UP_SECONDS = 0.5


class Stopper:
    """A descriptor that can be read once somebody has said stop."""

    __slots__ = ("reading", "_writing")

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()

    def stop(self) -> None:
        """Ends what waits with this descriptor."""
        os.write(self._writing, b"x")

    def __del__(self) -> None:
        os.close(self.reading)
        os.close(self._writing)


def is_main_thread() -> bool:
    """Whether this is the thread in which Python raises KeyboardInterrupt."""
    import threading

    return threading.current_thread() is threading.main_thread()


def patiently(work: Callable[[], Result], stop: Callable[[], None] | None = None) -> Result:
    """What work() returns or raises. If something is raised here meanwhile, stop() asks work to
    end, and what it returns nevertheless is dropped."""
    if not is_main_thread():
        return work()
    result: Result = _Beside(work, stop, None).result()
    return result


def patiently_told(work: Callable[[Tell], Result], stop: Callable[[], None],
                   tell: Tell) -> Result:
    """The same for work that has something to tell. tell() is called in this thread; what it
    raises ends the work."""
    if is_main_thread():
        beside = _Beside(lambda: work(beside.add_news), stop, tell)
        result: Result = beside.result()
        return result
    return work(tell)


class _Beside:
    """Work in a thread of its own, and the events that it sends."""

    def __init__(self, work: Callable[[], Any], stop: Callable[[], None] | None,
                 tell: Tell | None) -> None:
        import queue

        self._work, self._stop, self._tell = work, stop, tell
        self._events: Events = queue.SimpleQueue()
        self._is_abandoned = False

    def add_news(self, place: int, sentence: str) -> None:
        """Called by the work."""
        self._events.put(("news", (place, sentence)))

    def _body(self) -> None:
        try:
            event = "result", self._work()
        except BaseException as problem:  # it is for the thread that waits
            event = "problem", problem
        self._events.put(event)
        del event
        if self._is_abandoned:
            self._drain(0)

    def result(self) -> Any:
        """Starts the work and waits for its end."""
        import threading

        threading.Thread(target=self._body, name="gpualloc", daemon=True).start()
        try:
            kind, value = self._wait()
        except BaseException:
            self._abandon()
            raise
        if kind == "problem":
            raise value
        return value

    def _wait(self) -> tuple[str, Any]:
        """A signal may have reached another thread, so look up once a second."""
        import queue

        while True:
            try:
                kind, value = self._events.get(timeout=1.0)
            except queue.Empty:
                continue
            if kind != "news":
                return kind, value
            if self._tell:
                self._tell(*value)

    def _abandon(self) -> None:
        """Whoever comes second finds what the first put there: a result is never left behind."""
        self._is_abandoned = True
        if self._stop:
            self._stop()
        self._drain(TIDY_UP_SECONDS if self._stop else 0)

    def _drain(self, seconds: float) -> None:
        """Drops what is there, the result too if it comes within that time."""
        import queue

        until = time.monotonic() + seconds
        try:
            while self._events.get(timeout=max(until - time.monotonic(), 0))[0] == "news":
                pass
        except queue.Empty:
            pass
