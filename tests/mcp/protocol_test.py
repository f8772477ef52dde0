#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc mcp as a client of the Model Context Protocol meets it: versions, JSON-RPC, what is no message."""
import json
import os
import pty
import subprocess

from cli import GPUALLOC, case, environment, main, refused
from client import LATEST, META, MODERN, Client, eventually
from leasing import store

OLDER = ("2025-06-18", "2025-03-26", "2024-11-05")


def raw(one, *lines):
    """What the server answers to lines as they are, its input then closed."""
    done = subprocess.run([GPUALLOC, "mcp", "--machine", "dgx1-volta"],
                          input=b"".join(line + b"\n" for line in lines), capture_output=True,
                          timeout=60, check=False, env=environment(GPUALLOC_STATE_DIR=one.path))
    assert done.returncode == 0 and done.stderr == b"", done
    return [json.loads(line) for line in done.stdout.splitlines()]


def request(number, method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


HELLO = request(0, "initialize", protocolVersion=LATEST, capabilities={},
                clientInfo={"name": "x", "version": "1"})


@case
def a_client_gets_the_version_that_it_speaks():
    with store() as one:
        for version in (LATEST, *OLDER):
            with Client(one.path, version=version) as client:
                assert client.hello["protocolVersion"] == version, client.hello
                assert client.hello["capabilities"] == {"tools": {}}, client.hello
                assert client.hello["serverInfo"]["name"] == "gpualloc", client.hello
                assert client.ask("ping") == {}
                assert client.call("list_gpus")["devices"][7]["state"] == "free"
                assert client.error("initialize", protocolVersion=version)["code"] == -32600
                assert client.close() == 0
        for version in ("2099-01-01", "1.0", MODERN):
            with Client(one.path, version=LATEST, begin=False) as client:
                assert client.ask("initialize", protocolVersion=version, capabilities={},
                                  clientInfo={})["protocolVersion"] == LATEST


@case
def a_client_without_a_handshake_says_it_each_time():
    with store() as one, Client(one.path, version=MODERN) as client:
        found = client.ask("server/discover")
        assert {MODERN, LATEST, *OLDER} == set(found["supportedVersions"]), found
        tools = client.ask("tools/list")
        assert tools["ttlMs"] >= 0 and tools["cacheScope"] == "public", tools
        lease = client.call("lease", for_="5m", note="test")["lease"]
        assert one.leases()["leases"][0]["agent"] == "tester"
        assert client.call("release", lease=lease)["released"]
        client.meta[META + "protocolVersion"] = "1900-01-01"
        error = client.error("tools/list")
        assert error["code"] == -32022 and MODERN in error["data"]["supported"], error
        assert error["data"]["requested"] == "1900-01-01", error
        client.meta[META + "protocolVersion"] = MODERN
        del client.meta[META + "clientCapabilities"]
        assert client.error("tools/list")["code"] == -32602
        client.meta = {}
        assert client.error("tools/list")["code"] == -32602
        assert client.close() == 0


@case
def what_is_no_message_gets_an_error_and_the_rest_goes_on():
    with store() as one:
        deep = b'{"jsonrpc": "2.0", "id": 1, "method": ' + b"[" * 5000 + b"]" * 5000 + b"}"
        for line, code, number in (
                (b"{", -32700, None), (b"\xff\xfe", -32700, None), (b'{"a": 1, "a": 2}', -32700, None),
                (b"\0", -32700, None), (deep, -32700, None), (b"1", -32600, None), (b"[]", -32600, None),
                (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600, None),
                (b'{"id": 1, "method": "ping"}', -32600, 1),
                (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600, 1),
                (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600, None),
                (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600, None),
                (b'{"jsonrpc": "2.0", "id": "a", "method": 1}', -32600, "a"),
                (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32602, 1),
                (b'{"jsonrpc": "2.0", "id": 1, "method": "' + b"m" * 1000 + b'"}', -32600, 1),
                (request(1, "no/such"), -32601, 1), (request(1, "tools/call"), -32602, 1),
                (request(1, "tools/call", name="rm"), -32602, 1),
                (b" " * (3 << 20) + b"{", -32600, None)):
            _, error, pong = raw(one, HELLO, line, request(2, "ping"))
            assert error["error"]["code"] == code and error["id"] == number, (line[:80], error)
            assert pong == {"jsonrpc": "2.0", "id": 2, "result": {}}, (line[:80], pong)
        silent = (b"", b"  ", b'{"jsonrpc": "2.0", "method": "no/such"}',
                  b'{"jsonrpc": "2.0", "id": 9, "result": {}}',
                  b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}}',
                  b'{"jsonrpc": "2.0", "method": "notifications/cancelled"}')
        assert len(raw(one, HELLO, *silent, request(2, "ping"))) == 2


@case
def batches_are_taken_where_the_protocol_has_them():
    with store() as one:
        hello = HELLO.replace(LATEST.encode(), b"2025-03-26")
        batch = b"[" + request(1, "ping") + b", " + request(2, "tools/list") + b", 7]"
        answers = raw(one, hello, batch)[1:]
        assert [one.get("id") for one in answers] == [1, 2, None], answers


@case
def questions_are_answered_though_nothing_more_is_asked():
    with store() as one:
        answers = raw(one, HELLO, request(1, "tools/call", name="list_gpus"),
                      request(2, "tools/call", name="lease",
                              arguments={"for": "5m", "note": "too late", "wait": "1m"}))
        assert [one["id"] for one in answers] in ([0, 1], [0, 2, 1], [0, 1, 2]), answers
        eventually(one.is_free)


@case
def a_person_on_a_terminal_is_told_what_it_is():
    master, slave = pty.openpty()
    done = subprocess.run([GPUALLOC, "mcp"], stdin=slave, capture_output=True, env=environment(),
                          timeout=60, check=False)
    assert done.returncode == 64 and b"docs/AGENTS.md" in done.stderr and not done.stdout, done
    os.close(master)
    os.close(slave)
    refused(64, "mcp", "extra")


@case
def tools_say_what_they_are():
    with store() as one, Client(one.path) as client:
        tools = client.tools()
        assert list(tools) == ["list_gpus", "explain", "lease", "extend", "release", "run",
                               "job_status", "job_log", "job_cancel", "usage"], list(tools)
        for name, tool in tools.items():
            hints = tool["annotations"]
            reads = name in ("list_gpus", "explain", "usage", "job_status", "job_log")
            assert hints["readOnlyHint"] == reads and hints["openWorldHint"] is False, tool
            assert hints["destructiveHint"] == (name in ("release", "job_cancel")), tool
            assert tool["inputSchema"]["additionalProperties"] is False, tool
            assert tool["outputSchema"]["type"] == "object" and len(tool["description"]) < 300, tool
        assert set(tools["lease"]["inputSchema"]["required"]) == {"for", "note"}


main()
