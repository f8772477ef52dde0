#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the header declares, what the symbol map names and what the library exports is one list."""
import re
import subprocess
import sys

header, symbol_map, library = sys.argv[1:]


def words(path, pattern):
    with open(path, encoding="utf-8") as file:
        return set(re.findall(pattern, file.read(), re.S | re.M))


declared = words(header, r"GPUALLOC_EXPORT [^;]*?\b(gpualloc_[a-z0-9_]+)\(")
named = words(symbol_map, r"^\t(gpualloc_[a-z0-9_]+);")
listing = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                         check=True).stdout
exported = {line.split()[2].split("@")[0] for line in listing.splitlines()
            if line.split()[1] not in "A"}

print("1..2")
for number, (name, one, other) in enumerate(
        [("the map names what the header declares", declared, named),
         ("the library exports what the header declares and nothing else", declared, exported)], 1):
    for symbol in sorted(one ^ other):
        print(f"# {symbol} is only in {'the header' if symbol in one else 'the other'}")
    print("ok" if one == other else "not ok", number, "-", name)
sys.exit(declared != named or declared != exported)
