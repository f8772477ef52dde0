#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gRPC server and clients that are wrong, slow, greedy or many: they get a status or a closed
connection, memory stays bounded, and everybody else is served."""
import contextlib
import random

import cli
from cli import main
from parts import needs

try:
    import grpc
    import frames
    from frames import Raw, frame, headers, message
    from kubelet import cluster, resident
    from messages import v1beta1
except ImportError:
    pass  # the cases are skipped


def served(kubelet):
    """The kubelet's own connection, and a new one, get answers."""
    plugin = kubelet.plugins["nvidia.com/gpu"]
    assert plugin.call("GetDevicePluginOptions", v1beta1.Empty(),
                       v1beta1.DevicePluginOptions).get_preferred_allocation_available
    raw = Raw(plugin.path)
    raw.call()
    assert status_of(raw.answer()) == 0
    raw.close()


@contextlib.contextmanager
def serving(machine="rtx8000x4", *words):
    with cluster(machine, *words) as (kubelet, agent):
        kubelet.wait("a list", lambda: kubelet.healthy())
        yield kubelet, agent, kubelet.plugins["nvidia.com/gpu"].path
        served(kubelet)


def status_of(block):
    """grpc-status of an answer; digits may be Huffman-coded, as nghttp2 does."""
    place = block.rfind(b"grpc-status")
    name = len(b"grpc-status")
    if place < 0:  # the name in Huffman's code
        coded = bytes.fromhex("9acac8b21234da8f")
        place, name = block.rfind(coded), len(coded)
        assert place >= 0, block
    size = block[place + name]
    value = block[place + name + 1:place + name + 1 + (size & 127)]
    if not size & 128:
        return int(value)
    bits = "".join(f"{byte:08b}" for byte in value)
    codes = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5",
             "011100": "6", "011101": "7", "011110": "8", "011111": "9"}
    digits = ""
    while bits and set(bits) != {"1"}:
        code = next(code for code in codes if bits.startswith(code))
        digits, bits = digits + codes[code], bits[len(code):]
    return int(digits)


@needs
def calls_that_make_no_sense_get_the_right_status():
    with serving() as (_, _agent, path):
        for fields, status in (({"path": "/v1beta1.DevicePlugin/Nothing"}, 12),
                               ({"path": "/" + "p" * 120}, 12), ({"path": ""}, 12),
                               ({"body": message(b"x", compressed=1)}, 12),
                               ({"body": message() + message()}, 12),
                               ({"body": b""}, 13), ({"body": b"\0\0"}, 13),
                               ({"body": message(b"abc", size=9)}, 13),
                               ({"body": message(size=4 << 20 | 1)}, 8),
                               ({"body": message(size=0xffffffff)}, 8),
                               ({"path": "/v1beta1.DevicePlugin/Allocate",
                                 "body": message(b"\xff\xff\xff")}, 3),
                               ({"path": "/v1beta1.DevicePlugin/GetPreferredAllocation",
                                 "body": message(b"\x0a\x7f")}, 3)):
            raw = Raw(path)
            raw.call(**fields)
            answer = raw.answer()
            assert status_of(answer) == status, (fields, answer)
            raw.close()
        for fields in ({"method": "GET"}, {"kind": "text/html"}, {"kind": "application/grpcx"}):
            raw = Raw(path)
            raw.call(**fields)
            assert status_of(raw.answer()) == 13, fields
            raw.close()


@needs
def an_independent_client_sees_the_same():
    with serving() as (kubelet, _agent, path):
        plugin = kubelet.plugins["nvidia.com/gpu"]
        channel = grpc.insecure_channel("unix:" + path, options=[
            ("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)])
        call = channel.unary_unary("/v1beta1.DevicePlugin/GetPreferredAllocation")
        for payload, options, code in (
                (b"x" * (5 << 20), {}, grpc.StatusCode.RESOURCE_EXHAUSTED),
                (b"\x0a\x00" * 1000, {"compression": grpc.Compression.Gzip},
                 grpc.StatusCode.UNIMPLEMENTED)):
            try:
                call(payload, timeout=60, **options)
                raise AssertionError("it was accepted")
            except grpc.RpcError as error:
                assert error.code() == code, error
        many = [call.future(b"\x0a\x00") for _ in range(500)]
        assert all(one.result(60) == b"\x0a\x00" for one in many)
        channel.close()
        ids = kubelet.healthy()
        chosen = kubelet.prefer(2, ids + [f"GPU-{i:036}" for i in range(60000)])
        assert len(chosen) == 2 and set(chosen) <= set(ids), chosen
        assert plugin.thread.is_alive()


@needs
def noise_is_answered_by_closing():
    chance = random.Random(1)
    with serving() as (_, _agent, path):
        for size in (0, 1, 10, 24, 100, 5000):
            raw = Raw(path, greet=False)
            with contextlib.suppress(OSError):
                raw.send(chance.randbytes(size))
                raw.socket.shutdown(1)
            assert raw.is_closed()
        for part in (frame(frames.DATA, 0, 5, b"x"), frame(frames.HEADERS, 4, 2, headers()),
                     frame(frames.CONTINUATION, 4, 1, b"x"), frame(frames.SETTINGS, 0, 1),
                     frame(frames.HEADERS, 4, 1, b"\xff" * 50), frame(frames.PING, 0, 0, b"short"),
                     frame(frames.WINDOW_UPDATE, 0, 0, b"\0\0\0\0"), b"\xff" * 9):
            raw = Raw(path)
            raw.send(part)
            with contextlib.suppress(OSError):
                raw.socket.shutdown(1)
            assert raw.is_closed(), part


@needs
def a_thousand_connections_leave_room_for_the_kubelet():
    with serving() as (kubelet, agent, path):
        before = resident(agent)
        crowd = []
        for _ in range(1000):
            crowd.append(Raw(path, greet=len(crowd) % 2 == 0))
            if len(crowd) % 100 == 0:
                served(kubelet)
        assert kubelet.healthy() and len(kubelet.registrations) == 1, "the kubelet lost its stream"
        assert resident(agent) - before < 8192, (before, resident(agent))
        for raw in crowd:
            raw.close()


@needs
def floods_are_cut_off_or_cost_nothing():
    with serving() as (kubelet, agent, path):
        before = resident(agent)
        ping = frame(frames.PING, 0, 0, b"12345678") * 1000
        reset = b"".join(frame(frames.HEADERS, 4, number, headers()) +
                         frame(frames.RST_STREAM, 0, number, b"\0\0\0\x08")
                         for number in range(1, 20001, 2))
        unread = b"".join(frame(frames.HEADERS, 5, number, headers("/x"))
                          for number in range(1, 20001, 2))
        part = frame(frames.HEADERS, 0, 1, headers()) + frame(
            frames.CONTINUATION, 0, 1, b"\0\x01a\x7d" + b"b" * 125) * 2000
        for flood in (ping * 20, frame(frames.SETTINGS, 0, 0) * 20000, reset, unread, part):
            raw = Raw(path)
            raw.socket.settimeout(0.5)  # it may stop reading from who does not read
            with contextlib.suppress(OSError):
                raw.send(flood)
            served(kubelet)
            raw.close()
        assert resident(agent) - before < 8192, (before, resident(agent))


@needs
def unfinished_messages_of_all_together_are_bounded():
    with serving() as (kubelet, agent, path):
        before = resident(agent)
        body = message(size=4 << 20)
        crowd = []
        for _ in range(16):
            raw = Raw(path)
            raw.socket.settimeout(0.5)
            crowd.append(raw)
            with contextlib.suppress(OSError):
                for stream in range(1, 64, 2):
                    raw.call(stream, body + b"x" * 16000, end=0)
        served(kubelet)
        assert resident(agent) - before < (24 << 10), (before, resident(agent))
        for raw in crowd:
            raw.close()


@needs
def a_message_cannot_grow_in_memory():
    with serving() as (kubelet, agent, path):
        before = resident(agent)
        channel = grpc.insecure_channel("unix:" + path, options=[("grpc.use_local_subchannel_pool", 1)])
        inner = b"\x0a\x00" * 1000000
        size = len(inner)
        field = b"\x0a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
        with contextlib.suppress(grpc.RpcError):
            channel.unary_unary("/v1beta1.DevicePlugin/GetPreferredAllocation")(field + inner, timeout=60)
        channel.close()
        served(kubelet)
        assert resident(agent) - before < (80 << 10), (before, resident(agent))


@needs
def who_does_not_read_holds_nobody_up():
    replicas = 20 if cli.is_sanitized() else 834  # 60,048 devices: 4 MiB is a kubelet's limit
    with serving("nvl72", "--replicas", str(replicas)) as (kubelet, agent, path):
        kubelet.wait_healthy(72 * replicas)
        lazy = [Raw(path) for _ in range(20)]
        for raw in lazy:
            raw.call(path="/v1beta1.DevicePlugin/ListAndWatch")
        kubelet.restart()
        kubelet.wait_healthy(72 * replicas)
        assert resident(agent) < (64 << 10), resident(agent)
        for raw in lazy:
            raw.close()


@needs
def a_list_that_no_kubelet_takes_is_named():
    with cluster("nvl72", "--replicas", "1000") as (kubelet, agent):
        while "kubelets take 4 MiB" not in agent.log():
            assert agent.process.poll() is None
        assert not kubelet.healthy()


@needs
def who_does_not_say_what_it_wants_is_not_waited_for():
    with serving() as (_, _agent, path):
        silent = Raw(path)
        silent.send(frame(frames.HEADERS, 4, 1, headers()))
        assert silent.is_closed()


if __name__ == "__main__":
    main(at_once=3)
