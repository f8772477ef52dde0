#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No exported call crashes on NULL: each is called with nothing but NULL and 0, in a process of its
own. Results have room where they would be put."""
import ctypes
import os
import re
import sys
import tempfile

HEADER, LIBRARY, SANITIZED = sys.argv[1:]


def declarations():
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
    for found in re.finditer(r"GPUALLOC_EXPORT ([^;]*?)\b(gpualloc_[a-z0-9_]+)\(([^;]*)\);", text):
        words = [" ".join(word.split()) for word in found.group(3).split(",")]
        yield found.group(2), [] if words == ["void"] else words


def argument(word):
    name = re.search(r"\w+$", word).group(0)
    if name.startswith("ret_"):
        return ctypes.create_string_buffer(256)
    return None if "*" in word or name in ("function", "tell") else ctypes.c_long(0)


def how_it_ends(function, words):
    child = os.fork()
    if child == 0:
        os.dup2(os.open("/dev/null", os.O_RDWR), 2)
        function(*[argument(word) for word in words])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return status


if SANITIZED == "yes":
    print("1..0 # SKIP the library needs a sanitizer that python3 has not")
    sys.exit(0)
calls = list(declarations())
library = ctypes.CDLL(LIBRARY)
bad = 0
print(f"1..{len(calls)}")
with tempfile.TemporaryDirectory(prefix="gpualloc-test-") as store:
    # What NULL stands for must be neither this machine nor its store.
    os.environ.update({"GPUALLOC_MACHINE": "dgx1-volta", "GPUALLOC_STATE_DIR": f"{store}/store"})
    for number, (name, words) in enumerate(calls, 1):
        status = how_it_ends(getattr(library, name), words)
        if status:
            print(f"# {name} ended with status {status}")
        bad += status != 0
        print("not ok" if status else "ok", number, "-", name)
sys.exit(bad > 0)
