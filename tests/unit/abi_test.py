#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the header declares, what the symbol map names and what the library exports is one list; every
call has a comment of its own; the header's version is that of the project."""
import re
import subprocess
import sys

header, symbol_map, library, version = sys.argv[1:]


def words(path, pattern):
    with open(path, encoding="utf-8") as file:
        return set(re.findall(pattern, file.read(), re.S | re.M))


declared = words(header, r"GPUALLOC_EXPORT [^;]*?\b(gpualloc_[a-z0-9_]+)\(")
named = words(symbol_map, r"^\t(gpualloc_[a-z0-9_]+);")
listing = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True,
                         check=True).stdout
exported = {line.split()[2].split("@")[0] for line in listing.splitlines()
            if line.split()[1] not in "A"}

with open(header, encoding="utf-8") as text:
    lines = text.read().split("\n")
bare = {line for above, line in zip(lines, lines[1:])
        if line.startswith("GPUALLOC_EXPORT") and not above.endswith("*/")}
macros = {name: value.strip('"') for name, value in
          re.findall(r"#define GPUALLOC_VERSION(\w*) (\S+)$", "\n".join(lines), re.M)}
said = {macros[""], ".".join(macros[part] for part in ("_MAJOR", "_MINOR", "_PATCH"))}

print("1..4")
failed = 0
for number, (name, one, other) in enumerate(
        [("the map names what the header declares", declared, named),
         ("the library exports what the header declares and nothing else", declared, exported),
         ("every call has a comment of its own", bare, set()),
         ("the header's version is the project's", said, {version})], 1):
    for difference in sorted(one ^ other):
        print(f"# {difference} is only in {'the first' if difference in one else 'the other'}")
    failed += one != other
    print("ok" if one == other else "not ok", number, "-", name)
sys.exit(failed > 0)
