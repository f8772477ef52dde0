#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library says what is wrong and leaves it to a program to say what helps: no string of its
names an option or a command of ours. Argument: the project's folder."""
import os
import re
import sys

ROOT = sys.argv[1]
OURS = r"(?<![\w-])--[a-z]|\bgpualloc (?:cdi|doctor|explain|hold|leases|list|pick|release|run|setup|slurm|snapshot|topo|usage)\b"
# What is said to another program, or read of one, is not said to a person.
TO_OTHERS = {"src/source/smi/nvidia_smi.c": r"--query|--format",
             "src/lease/ending_kind.c": r"^--(keep|server)$"}


def strings_of(text):
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), text, flags=re.S)
    for number, line in enumerate(text.split("\n"), 1):
        if not line.startswith("#include"):
            for found in re.finditer(r'"((?:[^"\\]|\\.)*)"', line):
                yield number, found.group(1)


def faults_in(path, text):
    spared = TO_OTHERS.get(path, r"(?!)")
    return [f"{path}:{number}: {string}" for number, string in strings_of(text)
            if re.search(OURS, string) and not re.search(spared, string)]


found = []
for folder, _, names in os.walk(os.path.join(ROOT, "src")):
    for name in sorted(names):
        if name.endswith((".c", ".h")):
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                found += faults_in(os.path.relpath(path, ROOT), file.read())

print("1..2")
for fault in found:
    print("#", fault)
print("not ok" if found else "ok", "1 - no string of the library names an option or a command")
planted = faults_in("src/planted.c", 'x = "--mixed takes several";\ny = "see `gpualloc list`";\n')
print("ok" if len(planted) == 2 else "not ok", "2 - planted words are found")
sys.exit(bool(found) or len(planted) != 2)
