#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is installed is built so that a mistake in it is harder to use: it lies at no fixed address, what
the loader writes is closed before the program starts, stacks cannot be executed and overwritten ones
end the program, lengths are checked where the compiler knows them.

Arguments: why lengths are not checked in this build (or ""), a program without all that, files."""
import re
import subprocess
import sys

WHY_NOT_FORTIFIED, BARE, *FILES = sys.argv[1:]


def readelf(*words):
    return subprocess.run(["readelf", "-W", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=True).stdout


def faults(path, fortified):
    header, segments, dynamic = readelf("-h", path), readelf("-l", path), readelf("-d", path)
    wanted = set(re.findall(r"UND (\w+)", readelf("--dyn-syms", path)))
    if not re.search(r"Type:\s+DYN", header):
        yield "lies at a fixed address"
    if "GNU_RELRO" not in segments or "BIND_NOW" not in dynamic:
        yield "has no full RELRO"
    if not re.search(r"GNU_STACK .* RW +0x", segments):
        yield "has a stack that can be executed"
    if "TEXTREL" in dynamic:
        yield "writes to its own code"
    if "RPATH" in dynamic:
        yield "has a path to libraries in it, which RUNPATH has replaced"
    if "__stack_chk_fail" not in wanted:
        yield "has no stack protector"
    if fortified and not any(re.fullmatch(r"__\w+_chk", name) for name in wanted):
        yield "checks no lengths (_FORTIFY_SOURCE)"


CASES = [(path, not WHY_NOT_FORTIFIED) for path in FILES]
print(f"1..{len(CASES) + 2}")
bad = 0
for number, (path, fortified) in enumerate(CASES, 1):
    found = list(faults(path, fortified))
    bad += bool(found)
    for fault in found:
        print(f"# {path} {fault}")
    print("not ok" if found else "ok", number, "-", path.rsplit("/", 1)[-1])
number = len(CASES) + 1
print(f"ok {number} - lengths are checked" + (f" # SKIP {WHY_NOT_FORTIFIED}" if WHY_NOT_FORTIFIED else ""))
seen = list(faults(BARE, True))
for fault in seen:
    print(f"# the bare program {fault}")
bad += len(seen) != 5
print("ok" if len(seen) == 5 else "not ok", number + 1, "- a program without all that is told by each")
sys.exit(bad > 0)
