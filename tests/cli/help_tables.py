# SPDX-License-Identifier: Apache-2.0
"""The commands and options that there are, by the command's own help."""
import re

from cli import ok


def commands():
    return re.findall(r"^  ([a-z]+) {2,}\S", ok("--help"), re.M)


def options(command):
    """By the command's own help: {"machine": True} for one with a value."""
    return {name: bool(value) for name, value in
            re.findall(r"^ +(?:-\w, )?--([a-z-]+)( [A-Z]+|\[=[A-Z]+\])?", ok("help", command), re.M)}
