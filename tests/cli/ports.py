# SPDX-License-Identifier: Apache-2.0
"""Ports for servers that have to be told theirs."""
import contextlib
import random
import socket


def free_ports(count):
    """Below the ports that the kernel gives to clients, who might take one before the server does."""
    with contextlib.ExitStack() as stack:
        ports = []
        while len(ports) < count:
            port = random.randrange(10000, 32000)
            with contextlib.suppress(OSError):
                one = stack.enter_context(socket.socket())
                one.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def free_port():
    return free_ports(1)[0]
