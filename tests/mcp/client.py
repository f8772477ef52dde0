# SPDX-License-Identifier: Apache-2.0
"""A client of the Model Context Protocol that is strict: what the server writes must be JSON-RPC 2.0, one
message a line, nobody is answered twice, and structured answers are as their schema says."""
import itertools
import json
import os
import select
import subprocess
import time

from cli import GPUALLOC, environment

PATIENCE = 60  # seconds after which an expected message counts as never coming
LATEST = "2025-11-25"
MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
MARKS = itertools.count()
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
         "boolean": bool}


def words_of(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read().split(b"\0")[:-1]
    except OSError:
        return []


def processes_with(variable):
    """Those that were started with that in their environment, but for keepers of leases that were kept."""
    found = (pid for pid in os.listdir("/proc") if pid.isdigit() and
             variable.encode() in words_of(pid, "environ"))
    return [words for words in (words_of(pid, "cmdline") for pid in found)
            if words and not (words[0].startswith(b"gpualloc-hold") and words[-1] == b"-1")]


def eventually(predicate):
    """What was let go is free a moment later. Each look is a process of its own, so this is no busy loop."""
    until = time.monotonic() + PATIENCE
    while not predicate():
        assert time.monotonic() < until, f"{predicate} never became true"


def check_schema(schema, value, path="$"):
    kind = schema.get("type")
    assert kind is None or isinstance(value, TYPES[kind]), f"{path} is no {kind}: {value!r}"
    if kind == "object":
        for key in schema.get("required", ()):
            assert key in value, f"{path}.{key} is missing: {value!r}"
        for key, part in value.items():
            if key in schema.get("properties", {}):
                check_schema(schema["properties"][key], part, f"{path}.{key}")
    if kind == "array":
        for i, part in enumerate(value):
            check_schema(schema.get("items", {}), part, f"{path}[{i}]")


def no_twins(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key twice: {keys}"
    return dict(pairs)


class Refused(Exception):
    """A tool's answer that is an error; its words and, if there is more, the document."""

    def __init__(self, result):
        words = [block["text"] for block in result["content"]]
        super().__init__(words[0])
        self.document = json.loads(words[1]) if len(words) > 1 else {}


class Client:
    def __init__(self, state, machine="dgx1-volta", version=LATEST, begin=True, **env):
        self.mark = f"TEST_CLIENT={next(MARKS)}-{os.getpid()}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [GPUALLOC, "mcp", "--machine", machine], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=environment(GPUALLOC_STATE_DIR=state, **{name: value}, **env))
        self.number, self.rest, self.version = 0, b"", version
        self.open, self.results, self.cancelled, self.progress = set(), {}, set(), []
        self.schemas = {}
        self.meta = {}
        if version >= MODERN:
            self.meta = {META + "protocolVersion": version, META + "clientCapabilities": {},
                         META + "clientInfo": {"name": "tester", "version": "1"}}
        elif begin:
            self.hello = self.ask("initialize", protocolVersion=version, capabilities={},
                                  clientInfo={"name": "tester", "version": "1"})
            self.tell("notifications/initialized")

    # ---- messages ----

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def tell(self, method, **params):
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")

    def send(self, method, **params):
        """Sends a request; returns its id."""
        self.number += 1
        if self.meta:
            params["_meta"] = {**self.meta, **params.get("_meta", {})}
        self.open.add(self.number)
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.write(json.dumps(message).encode() + b"\n")
        return self.number

    def line(self):
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
                raise AssertionError("the server says nothing")
            part = os.read(self.process.stdout.fileno(), 1 << 16)
            if not part:
                raise EOFError
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def message(self):
        message = json.loads(self.line().decode("utf-8", "strict"), object_pairs_hook=no_twins)
        assert message["jsonrpc"] == "2.0", message
        return message

    def receive(self):
        """Takes one message and puts it where it belongs."""
        message = self.message()
        if "method" in message:
            assert set(message) == {"jsonrpc", "method", "params"}, message
            assert message["method"] == "notifications/progress", message
            self.progress.append(message["params"])
            return
        assert set(message) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), message
        if message["id"] in self.cancelled:
            return  # it was on its way
        assert message["id"] in self.open, f"nobody asked: {message}"
        self.open.remove(message["id"])
        self.results[message["id"]] = message

    def answer(self, number):
        while number not in self.results:
            self.receive()
        return self.results.pop(number)

    def ask(self, method, **params):
        message = self.answer(self.send(method, **params))
        assert "result" in message, message
        if self.version >= MODERN:
            assert message["result"]["resultType"] == "complete", message
            assert message["result"]["_meta"][META + "serverInfo"]["name"] == "gpualloc", message
        return message["result"]

    def error(self, method, **params):
        message = self.answer(self.send(method, **params))
        assert "error" in message, message
        return message["error"]

    # ---- tools ----

    def tools(self):
        tools = {tool["name"]: tool for tool in self.ask("tools/list")["tools"]}
        self.schemas = {name: tool.get("outputSchema") for name, tool in tools.items()}
        return tools

    def start(self, tool, token=None, **arguments):
        if "for_" in arguments:
            arguments["for"] = arguments.pop("for_")
        more = {"_meta": {"progressToken": token}} if token is not None else {}
        return self.send("tools/call", name=tool, arguments=arguments, **more)

    def finish(self, number, tool):
        result = self.answer(number)["result"]
        assert all(block["type"] == "text" for block in result["content"]) and result["content"]
        if result["isError"]:
            assert "structuredContent" not in result, result
            raise Refused(result)
        if not self.schemas:
            self.tools()
        if self.schemas[tool] and self.version >= "2025-06-18":
            check_schema(self.schemas[tool], result["structuredContent"])
            return result["structuredContent"]
        return json.loads(result["content"][1]["text"])

    def call(self, tool, **arguments):
        return self.finish(self.start(tool, **arguments), tool)

    def refused(self, tool, **arguments):
        try:
            result = self.call(tool, **arguments)
        except Refused as refusal:
            return refusal
        raise AssertionError(f"{tool} {arguments} was not refused: {result}")

    def cancel(self, number):
        self.open.discard(number)
        self.cancelled.add(number)
        self.tell("notifications/cancelled", requestId=number, reason="changed my mind")

    # ---- the end ----

    def close(self):
        """As a client ends a session; returns the exit status."""
        self.process.stdin.close()
        try:
            while True:
                self.receive()
        except EOFError:
            pass
        self.process.stdout.close()
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """Nobody may still write to the store when it is removed."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        eventually(lambda: not processes_with(self.mark))
