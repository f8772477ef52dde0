# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand, so that it can be wrong in every way."""
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    assert len(value) < 127
    return bytes([len(value)]) + value


def headers(path="/v1beta1.DevicePlugin/GetDevicePluginOptions", method="POST",
            kind="application/grpc", more=()):
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost"),
              ("content-type", kind), ("te", "trailers"), *more]
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def message(payload=b"", compressed=0, size=None):
    return struct.pack(">BI", compressed, len(payload) if size is None else size) + payload


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, path, greet=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        if greet:
            self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def call(self, stream=1, body=message(), end=END_STREAM, **fields):
        self.send(frame(HEADERS, END_HEADERS, stream, headers(**fields)),
                  frame(DATA, end, stream, body))

    def read(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def frames(self):
        """Until the other side closes."""
        while True:
            try:
                head = self.read(9)
                yield head[3], head[4], struct.unpack(">I", head[5:])[0], self.read(
                    int.from_bytes(head[:3], "big"))
            except (EOFError, ConnectionError):
                return

    def answer(self, stream=1):
        """All header blocks of the answer as bytes, which has our short texts literally."""
        said = b""
        for kind, flags, number, payload in self.frames():
            if number == stream and kind in (HEADERS, RST_STREAM):
                said += payload
                if flags & END_STREAM or kind == RST_STREAM:
                    return said
        return said

    def is_closed(self):
        """Reads to the end; True when the other side closes."""
        for _ in self.frames():
            pass
        return True

    def close(self):
        self.socket.close()
