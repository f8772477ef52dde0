#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is told to those who collect metrics, and an HTTP server that nobody can hold up."""
import contextlib
import http.client
import os
import random
import re
import socket

from cli import main
from parts import needs
from ports import free_port

try:
    from kubelet import cluster, resident
    from people import Person
except ImportError:
    pass  # the cases are skipped

LINE = re.compile(r'gpualloc_[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)+\})? [0-9.]+$')


def ask(port, path, method="GET", host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, body


def metrics(port):
    """{name with labels: value}; every line is as Prometheus wants it."""
    status, page = ask(port, "/metrics")
    assert status == 200 and page.endswith("\n"), page
    values, known = {}, set()
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            known.add(line.split()[2])
        elif not line.startswith("# HELP "):
            assert LINE.match(line), line
            name = re.sub("_(bucket|sum|count)$", "", re.split("[{ ]", line)[0])
            assert name in known or line.split("{")[0].split()[0] in known, line
            key, value = line.rsplit(" ", 1)
            assert key not in values, line
            values[key] = float(value)
    return values


def total(values, name, **labels):
    return sum(value for key, value in values.items() if re.split("[{ ]", key)[0] == "gpualloc_" + name
               and all(f'{label}="{text}"' in key for label, text in labels.items()))


@contextlib.contextmanager
def measured(*words, **options):
    port = free_port()
    with cluster("dgx1-volta", "--metrics", str(port), *words, **options) as (kubelet, agent):
        kubelet.wait_healthy(8)
        yield kubelet, agent, port


@needs
def the_page_says_what_there_is_and_what_was_done():
    with measured(store=True) as (kubelet, _, port):
        chosen = kubelet.pod("a", 2)
        person = Person(kubelet)
        kubelet.wait_healthy(7)
        values = metrics(port)
        assert total(values, "device_healthy") == 7
        assert total(values, "device_healthy", numa=0) + total(values, "device_healthy", numa=1) == 7
        assert total(values, "device_allocated", resource="nvidia.com/gpu") == 2
        assert all(total(values, "device_allocated", uuid=one) == 1 for one in chosen)
        assert total(values, "device_leased_outside") == 1
        for method in ("GetPreferredAllocation", "Allocate"):
            assert total(values, "call_duration_seconds_count", method=method) == 1, values
            assert total(values, "call_duration_seconds_bucket", method=method, le="+Inf") == 1
            assert 0 < total(values, "call_duration_seconds_sum", method=method) < 60
            assert total(values, "calls_failed_total", method=method) == 0
        assert values["gpualloc_registrations_total"] == 1
        assert values["gpualloc_driver_queries_total"] >= 1
        assert values["gpualloc_driver_queries_failed_total"] == 0
        assert values["gpualloc_snapshot_age_seconds"] < 60
        assert ask(port, "/healthz") == (200, "ok\n")
        person.end()


@needs
def an_agent_that_cannot_offer_anything_is_not_ready():
    port = free_port()
    env = {"GPUALLOC_NVML": os.environ["FAKE_NVML"], "FAKE_MACHINE": "/nonexistent"}
    with cluster("nvml", "--metrics", f"127.0.0.1:{port}", env=env) as (_, agent):
        while "cannot be initialised" not in agent.log():
            assert agent.process.poll() is None
        status, why = ask(port, "/healthz")
        assert status == 503 and "driver" in why, why
        assert metrics(port)["gpualloc_driver_queries_failed_total"] >= 1


@needs
def what_is_no_request_gets_a_status_and_nothing_else_happens():
    with measured() as (_, _agent, port):
        for request, status in ((b"GET /other HTTP/1.1\r\n\r\n", 404),
                                (b"GET /" + b"p" * 300 + b" HTTP/1.1\r\n\r\n", 404),
                                (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
                                (b"GET /healthz HTTP/1.0\n\n", 200), (b"GET /healthz?x=1 HTTP/1.1\r\n\r\n", 200),
                                (b"GET /metrics\r\n\r\n", 400), (b"\r\n\r\n", 400), (b"GET  HTTP/1.1\r\n\r\n", 400),
                                (b"GET /\0 HTTP/1.1\r\n\r\n", 400), (b"GET /healthz HTTP/2.0\r\n\r\n", 400),
                                (b"GET HTTP/1.1\r\n\r\n", 400), (b"\xff" * 400 + b"\r\n\r\n", 400),
                                (b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 2000, 431)):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as one:
                one.sendall(request)
                answer = b"".join(iter(lambda: one.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 %d " % status), (request[:40], answer[:100])
            head, body = answer.split(b"\r\n\r\n", 1)
            assert b"Content-Length: %d" % len(body) in head, answer
        status, body = ask(port, "/healthz", "HEAD")
        assert (status, body) == (200, "")


@needs
def nobody_holds_the_others_up():
    chance = random.Random(1)
    with measured() as (kubelet, agent, port):
        before = resident(agent)
        crowd = []
        for number in range(300):
            one = socket.create_connection(("127.0.0.1", port), timeout=60)
            with contextlib.suppress(OSError):
                one.sendall((b"", b"GET /metr", b"GET /metrics HTTP/1.1\r\n\r\n",
                             chance.randbytes(3000))[number % 4])
            crowd.append(one)
            if number % 50 == 0:
                assert ask(port, "/healthz")[0] == 200
                assert len(kubelet.prefer(2, kubelet.healthy())) == 2
        assert resident(agent) - before < 2048, (before, resident(agent))
        for one in crowd:
            one.close()
        assert ask(port, "/metrics")[0] == 200


@needs
def who_says_nothing_is_not_waited_for():
    with measured() as (_, _agent, port), socket.create_connection(("127.0.0.1", port), timeout=60) as one:
        one.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert one.recv(100) == b""


@needs
def a_port_that_another_has_is_taken_when_it_is_free():
    with measured() as (kubelet, old, port):
        with cluster("rtx8000x4", "--metrics", f"127.0.0.1:{port}") as (other, young):
            other.wait_healthy(4)
            while "metrics are not served yet" not in young.log():
                assert young.process.poll() is None
            old.end()
            while True:
                with contextlib.suppress(OSError):
                    if total(metrics(port), "device_healthy") == 4:
                        break
                assert young.process.poll() is None


if __name__ == "__main__":
    main(at_once=3)
