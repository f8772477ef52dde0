# SPDX-License-Identifier: Apache-2.0
"""Becoming the command: the one that came with this package, else the one on PATH."""
from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Iterator


def paths_that_came_along() -> Iterator[str]:
    """Beside this file, and where an installer put it: a wheel's commands lie in bin."""
    here = os.path.dirname(os.path.abspath(__file__))
    yield os.path.join(here, "bin", "gpualloc")
    try:
        parts = importlib.metadata.files("gpualloc") or []
    except importlib.metadata.PackageNotFoundError:
        return
    places = [os.path.realpath(str(part.locate())) for part in parts]
    if os.path.realpath(os.path.join(here, "_command.py")) in places:
        yield from (path for path in places if path.endswith("/bin/gpualloc"))


def path_of_command() -> str | None:
    """Where the command is; None if it is nowhere."""
    for path in paths_that_came_along():
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
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
