# SPDX-License-Identifier: Apache-2.0
"""The shared library: where it is found, whether it is the right one, and what its calls take.

It lies beside this file where a wheel brought it, else it is the system's. No variable of the
environment names it, because whoever could set one could run code of theirs here.
"""
from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = "0.1.0"
SONAME = "libgpualloc.so.1"

# What each call returns and takes, one letter each: P pointer, S text, I int, U unsigned, L int64_t,
# Q uint64_t, Z size_t, V nothing. A test compares this with the header.
CALLS = """
gpualloc_alternative_bandwidth LP
gpualloc_alternative_device PPZ
gpualloc_alternative_device_count ZP
gpualloc_alternative_score LP
gpualloc_alternative_value LP
gpualloc_available ISUP
gpualloc_choice_alternative PPZ
gpualloc_choice_alternative_count ZP
gpualloc_choice_bandwidth LP
gpualloc_choice_bound LP
gpualloc_choice_device PPZ
gpualloc_choice_device_count ZP
gpualloc_choice_environment IPPISPPP
gpualloc_choice_free VP
gpualloc_choice_policy SP
gpualloc_choice_proven IP
gpualloc_choice_rejection PPZ
gpualloc_choice_rejection_count ZP
gpualloc_choice_score LP
gpualloc_choice_value LP
gpualloc_choose IPPPP
gpualloc_device_ci LP
gpualloc_device_compute_mode SP
gpualloc_device_cpus SP
gpualloc_device_framework_name IPPSSPP
gpualloc_device_gi LP
gpualloc_device_health IP
gpualloc_device_held PPZ
gpualloc_device_held_count ZP
gpualloc_device_ids ZPZPZ
gpualloc_device_index LP
gpualloc_device_kept_for PP
gpualloc_device_lease SP
gpualloc_device_lease_user SP
gpualloc_device_memory_free LP
gpualloc_device_memory_left LP
gpualloc_device_memory_reserved LP
gpualloc_device_memory_total LP
gpualloc_device_memory_used LP
gpualloc_device_mig PPZ
gpualloc_device_mig_count ZP
gpualloc_device_mig_enabled IP
gpualloc_device_minor LP
gpualloc_device_name SP
gpualloc_device_numa LP
gpualloc_device_number LPP
gpualloc_device_parent PP
gpualloc_device_pci SP
gpualloc_device_process PPZ
gpualloc_device_process_count ZP
gpualloc_device_processes_known IP
gpualloc_device_profile SP
gpualloc_device_reason ZPPZ
gpualloc_device_serial SP
gpualloc_device_state IP
gpualloc_device_utilization LP
gpualloc_device_uuid SP
gpualloc_error_free VP
gpualloc_error_message SP
gpualloc_error_new P
gpualloc_error_remedies UP
gpualloc_free VP
gpualloc_health_name SI
gpualloc_held_agent SP
gpualloc_held_command SP
gpualloc_held_device SPZ
gpualloc_held_device_count ZP
gpualloc_held_id SP
gpualloc_held_memory LP
gpualloc_held_note SP
gpualloc_held_pid LP
gpualloc_held_since LP
gpualloc_held_until LP
gpualloc_held_user SP
gpualloc_lease_acquire IPPPPP
gpualloc_lease_device PPZ
gpualloc_lease_device_count ZP
gpualloc_lease_environment IPIISPPP
gpualloc_lease_free VP
gpualloc_lease_hand_on IPPP
gpualloc_lease_id SP
gpualloc_lease_machine PP
gpualloc_lease_memory LP
gpualloc_lease_note SPZ
gpualloc_lease_note_count ZP
gpualloc_lease_release IPP
gpualloc_lease_settle IPSUP
gpualloc_lease_wish_free VP
gpualloc_lease_wish_new P
gpualloc_lease_wish_set_command IPS
gpualloc_lease_wish_set_machine IPSU
gpualloc_lease_wish_set_note IPS
gpualloc_lease_wish_set_stop VPI
gpualloc_lease_wish_set_wait VPLPP
gpualloc_leases_add_machine IPPPP
gpualloc_leases_free VP
gpualloc_leases_held PPZ
gpualloc_leases_held_count ZP
gpualloc_leases_read IPPP
gpualloc_leases_waiter PPZ
gpualloc_leases_waiter_count ZP
gpualloc_level_name SI
gpualloc_link_kind_name SI
gpualloc_machine_add_config IPP
gpualloc_machine_add_leases IPPP
gpualloc_machine_device PPZ
gpualloc_machine_device_count ZP
gpualloc_machine_driver SP
gpualloc_machine_free VP
gpualloc_machine_is_here IP
gpualloc_machine_is_simulated IP
gpualloc_machine_level IPZZ
gpualloc_machine_link_count IPZZ
gpualloc_machine_link_kind IPZZ
gpualloc_machine_name SP
gpualloc_machine_note SPZ
gpualloc_machine_note_count ZP
gpualloc_machine_open ISUPP
gpualloc_machine_p2p IPZZ
gpualloc_machine_score IPPZPPP
gpualloc_machine_source SP
gpualloc_p2p_name SI
gpualloc_policy_free VP
gpualloc_policy_open ISPP
gpualloc_process_memory LP
gpualloc_process_name SP
gpualloc_process_pid LP
gpualloc_process_type SP
gpualloc_process_user SP
gpualloc_program_find ISPP
gpualloc_rejection_device PP
gpualloc_rejection_reason SP
gpualloc_rejection_remedies UP
gpualloc_request_free VP
gpualloc_request_new P
gpualloc_request_set_alternatives VPI
gpualloc_request_set_count VPL
gpualloc_request_set_environment IPSS
gpualloc_request_set_exclude IPS
gpualloc_request_set_ignore_processes VPL
gpualloc_request_set_memory VPLI
gpualloc_request_set_mig IPS
gpualloc_request_set_mixed VPI
gpualloc_request_set_model IPS
gpualloc_request_set_only IPS
gpualloc_request_set_policy VPP
gpualloc_request_set_require IPS
gpualloc_request_set_seed VPQ
gpualloc_size_parse ISPP
gpualloc_spec_is_live IS
gpualloc_state_name SI
gpualloc_store_check ISP
gpualloc_store_default S
gpualloc_store_free VP
gpualloc_store_open ISIPP
gpualloc_store_path SP
gpualloc_version S
gpualloc_waiter_command SP
gpualloc_waiter_keep SPZ
gpualloc_waiter_keep_count ZP
gpualloc_waiter_note SP
gpualloc_waiter_pid LP
gpualloc_waiter_request SP
gpualloc_waiter_since LP
gpualloc_waiter_user SP
"""

TYPES: dict[str, Any] = {
    "I": ctypes.c_int, "L": ctypes.c_int64, "P": ctypes.c_void_p, "Q": ctypes.c_uint64,
    "S": ctypes.c_char_p, "U": ctypes.c_uint, "V": None, "Z": ctypes.c_size_t,
}
WAIT_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)


def _open() -> tuple[ctypes.CDLL, str]:
    """The library and a name for it in messages."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
    name = beside if os.path.exists(beside) else SONAME
    try:
        return ctypes.CDLL(name), name
    except OSError as problem:
        raise ImportError(
            f"gpualloc for Python needs the library {SONAME}, which cannot be loaded: {problem}. "
            "Install it with gpualloc itself (Debian: libgpualloc1), or install the wheel, which "
            "has it inside") from None


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _check(library: ctypes.CDLL, name: str) -> None:
    """As long as nothing is promised before 1.0.0, the first two numbers must be the same."""
    try:
        ask = library.gpualloc_version
        ask.restype = ctypes.c_char_p
        found = bytes(ask()).decode()
        ours, theirs = _numbers(VERSION), _numbers(found)
    except (AttributeError, TypeError, ValueError):
        raise ImportError(f"{name} is not the library of gpualloc: it does not say its version; "
                          "remove it, or install gpualloc again") from None
    same = 2 if ours[0] == 0 else 1
    if ours[:same] != theirs[:same] or theirs < ours:
        raise ImportError(f"gpualloc {VERSION} for Python does not go with {name}, which is "
                          f"version {found}: install the same version of both")


def _declare(library: ctypes.CDLL, name: str) -> None:
    for line in CALLS.split("\n"):
        if not line:
            continue
        call, letters = line.split()
        try:
            function = getattr(library, call)
        except AttributeError:
            raise ImportError(f"gpualloc {VERSION} for Python does not go with {name}, which has "
                              f"no {call}(): install the same version of both") from None
        function.restype = TYPES[letters[0]]
        function.argtypes = [TYPES[letter] for letter in letters[1:]]


def _load() -> ctypes.CDLL:
    library, name = _open()
    _check(library, name)
    _declare(library, name)
    return library


lib = _load()


def text(value: bytes | None) -> str | None:
    """Text of the library's; unknown stays None."""
    return None if value is None else value.decode("utf-8", "replace")


def said(value: bytes | None) -> str:
    """Text of the library's that is never unknown."""
    return "" if value is None else value.decode("utf-8", "replace")


def known(value: int) -> int | None:
    """A number of the library's: -1 means that it is unknown."""
    return None if value == -1 else value


class Handle:
    """An object of the library's, freed when nothing in Python refers to it any more."""

    __slots__ = ("pointer", "_free")

    def __init__(self, pointer: int | None, free: Any) -> None:
        self.pointer, self._free = pointer, free
        if pointer is None:
            raise MemoryError("out of memory")

    def __del__(self) -> None:
        if self.pointer is not None:
            self._free(self.pointer)

    def __reduce__(self) -> Any:
        raise TypeError("objects of gpualloc belong to their process and cannot be pickled: pass "
                        "on UUIDs, or the variables in env")


def array(pointers: list[int]) -> Any:
    """An array of pointers."""
    return (ctypes.c_void_p * len(pointers))(*pointers)


def out() -> ctypes.c_void_p:
    """Where a call puts a pointer."""
    return ctypes.c_void_p()


def take_text(place: ctypes.c_void_p) -> str:
    """The text that a call put there, which is freed."""
    value = ctypes.string_at(place.value or 0)
    lib.gpualloc_free(place)
    return value.decode("utf-8", "surrogateescape")
