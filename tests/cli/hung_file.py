# SPDX-License-Identifier: Apache-2.0
"""A file system that has stopped to answer, as one on a network may: FUSE, spoken by hand."""
import contextlib
import ctypes
import os
import struct
import tempfile
import threading

from cli import Skip

LOOKUP, GETATTR, OPEN, INIT, FORGET = 1, 3, 14, 26, 2
ENOSYS, FORCE, DETACH = 38, 1, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def attributes(node):
    mode = 0o40755 if node == 1 else 0o100644
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class Hung:
    """Every name leads to one file, of which nothing is told once it is silent."""

    def __init__(self, device):
        self.device, self.silent = device, False

    def serve(self):
        with contextlib.suppress(OSError):  # it is no longer mounted
            while True:
                request = os.read(self.device, 1 << 20)
                _, kind, number, node = struct.unpack_from("<IIQQ", request)
                if kind != FORGET and not (self.silent and kind == GETATTR):
                    self.answer(kind, number, node)

    def answer(self, kind, number, node):
        body = {INIT: struct.pack("<4IHHIIHHI", 7, 31, 0, 0, 0, 0, 1 << 16, 1, 0, 0, 0) + bytes(24),
                LOOKUP: struct.pack("<4QII", 2, 0, 0, 0, 0, 0) + attributes(2),
                GETATTR: struct.pack("<QII", 0, 0, 0) + attributes(node),
                OPEN: struct.pack("<QII", 1, 0, 0)}.get(kind, b"")
        os.write(self.device, struct.pack("<IiQ", 16 + len(body), 0 if body else -ENOSYS, number) + body)


@contextlib.contextmanager
def hung_file(name):
    """A descriptor of a file of that name, open in this process."""
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        raise Skip(f"no FUSE here: {error}") from None
    where = tempfile.mkdtemp(prefix="gpualloc-test-")
    options = f"fd={device},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
    try:
        if LIBC.mount(b"gpualloc-test", where.encode(), b"fuse", 0, options) != 0:
            raise Skip(f"cannot mount: {os.strerror(ctypes.get_errno())}")
        system = Hung(device)
        server = threading.Thread(target=system.serve)
        server.start()
        try:
            file = os.open(os.path.join(where, name), os.O_RDONLY)
            system.silent = True
            yield file
            os.close(file)
        finally:
            # Ends all requests, and whoever waits for one.
            LIBC.umount2(where.encode(), FORCE)
            server.join()
            LIBC.umount2(where.encode(), DETACH)
    finally:
        os.close(device)
        os.rmdir(where)

