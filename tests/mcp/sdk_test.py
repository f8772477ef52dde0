#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gpualloc mcp by clients of somebody else: npm's @modelcontextprotocol/sdk and the inspector's command line.
MCP_SDK names the node_modules folder that has them; nothing is fetched here."""
import json
import os
import shutil
import subprocess

from cli import GPUALLOC, ROOT, Skip, case, environment, main
from client import eventually
from leasing import store

PACKAGES = "@modelcontextprotocol"


def modules_with(package):
    folder = os.environ.get("MCP_SDK", "")
    if not shutil.which("node"):
        raise Skip("there is no node")
    if not os.path.isdir(os.path.join(folder, PACKAGES, package)):
        raise Skip("MCP_SDK names no node_modules with the packages of the Model Context Protocol")
    return folder


def node(one, *words):
    done = subprocess.run(["node", *words], capture_output=True, text=True, check=False, timeout=120,
                          env=environment(GPUALLOC_STATE_DIR=one.path))
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


@case
def the_sdk_calls_every_tool():
    modules = modules_with("sdk")
    with store() as one:
        assert "every tool was called" in node(one, os.path.join(ROOT, "mcp", "sdk.mjs"), modules, GPUALLOC)
        eventually(one.is_free)


@case
def the_inspector_lists_and_calls():
    program = os.path.join(modules_with("inspector"), PACKAGES, "inspector", "cli", "build", "cli.js")
    with store() as one:
        server = [program, "--cli", GPUALLOC, "mcp", "--machine", "dgx1-volta"]
        tools = json.loads(node(one, *server, "--method", "tools/list"))["tools"]
        assert len(tools) == 10, tools
        got = json.loads(node(one, *server, "--method", "tools/call", "--tool-name", "lease",
                              "--tool-arg", "count=2", "--tool-arg", "for=5m", "--tool-arg", "note=x"))
        assert len(got["structuredContent"]["devices"]) == 2, got
        eventually(one.is_free)


main()
