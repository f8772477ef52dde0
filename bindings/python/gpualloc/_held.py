# SPDX-License-Identifier: Apache-2.0
"""Leases that somebody has, and who waits for one."""
from __future__ import annotations

from ._library import known, lib, said, text


class HeldLease:
    """A lease that somebody has."""

    def __init__(self, at: int) -> None:
        self.id = text(lib.gpualloc_held_id(at))
        """Its name; None if it has no record."""
        self.user = text(lib.gpualloc_held_user(at))
        """Who has it."""
        self.pid = known(lib.gpualloc_held_pid(at))
        """The process that acquired it."""
        self.since = known(lib.gpualloc_held_since(at))
        """Since when, in seconds since 1970."""
        self.until = known(lib.gpualloc_held_until(at))
        """When it will end, in seconds since 1970; None if no time was set for it."""
        self.command = text(lib.gpualloc_held_command(at))
        """What runs in it, according to its holder."""
        self.note = text(lib.gpualloc_held_note(at))
        """The note that its holder left."""
        self.agent = text(lib.gpualloc_held_agent(at))
        """The program that asked for it on behalf of its user; None if the user asked."""
        self.memory = known(lib.gpualloc_held_memory(at))
        """How many bytes of each device; None if they are held whole."""
        self.uuids = tuple(said(lib.gpualloc_held_device(at, i))
                           for i in range(lib.gpualloc_held_device_count(at)))
        """Its devices."""

    def __repr__(self) -> str:
        return f"<gpualloc.HeldLease {self.id} of {self.user}: {len(self.uuids)} devices>"


class Waiter:
    """A process that waits for a lease."""

    def __init__(self, at: int) -> None:
        self.user = text(lib.gpualloc_waiter_user(at))
        """Who waits."""
        self.pid = known(lib.gpualloc_waiter_pid(at))
        """The process that waits."""
        self.since = known(lib.gpualloc_waiter_since(at))
        """Since when, in seconds since 1970."""
        self.request = text(lib.gpualloc_waiter_request(at))
        """What it waits for, in words."""
        self.command = text(lib.gpualloc_waiter_command(at))
        """What it will run, by its own account."""
        self.note = text(lib.gpualloc_waiter_note(at))
        """The note it left."""
        self.keeps = tuple(said(lib.gpualloc_waiter_keep(at, i))
                           for i in range(lib.gpualloc_waiter_keep_count(at)))
        """The UUIDs of the devices that are kept for it."""

    def __repr__(self) -> str:
        return f"<gpualloc.Waiter {self.pid} of {self.user}: {self.request}>"
