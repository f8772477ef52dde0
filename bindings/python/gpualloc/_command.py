# SPDX-License-Identifier: Apache-2.0
"""Becoming the command: the one that a wheel brought, beside this file, else the one on PATH."""
from __future__ import annotations

import os
import signal
import sys


def path_of_command() -> str | None:
    """Where the command is; None if it is nowhere."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "gpualloc")
    if os.access(beside, os.X_OK):
        return beside
    ourselves = os.path.realpath(sys.argv[0])
    for folder in os.get_exec_path():
        path = os.path.join(folder, "gpualloc")
        if os.path.isfile(path) and os.access(path, os.X_OK) and os.path.realpath(path) != ourselves:
            return path
    return None


def main() -> int:
    """Becomes the command, with the words of this process. Returns only if there is none."""
    path = path_of_command()
    if path is None:
        print("gpualloc: the command gpualloc is neither beside the Python package nor on PATH: "
              "install it (Debian: the package gpualloc), or install the wheel, which has it "
              "inside", file=sys.stderr)
        return 127
    # Python ignores these, and a program that is executed inherits that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execv(path, ["gpualloc", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
