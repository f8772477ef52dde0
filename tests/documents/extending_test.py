#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does what docs/EXTENDING.md says in a copy of the sources, builds the command there, and uses the new
policy, command and source.

extending_test.py ROOT [WHY-NOT]"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = sys.argv[1]
WHY_NOT = sys.argv[2] if len(sys.argv) > 2 else ""
NOT_NEEDED = re.compile(r"\.|build|tests$|bench$")
BLOCK = re.compile(r"^```(\w+) file=(\S+)\n(.*?)^```$", re.M | re.S)
OPTIONS = ("-Dtests=false", "-Dbuildtype=plain", "-Doptimization=0", "-Dwarning_level=3", "-Dwerror=true")


def apply(where, kind, path, content):
    """A whole file, or lines to insert: those without + say where."""
    target = os.path.join(where, path)
    if kind != "diff":
        assert not os.path.exists(target), f"{path} is there already"
        with open(target, "w", encoding="utf-8") as file:
            file.write(content)
        return
    lines = content.splitlines(keepends=True)
    assert all(line[0] in " +" for line in lines), f"{path}: neither kept nor added: {lines}"
    before = "".join(line[1:] for line in lines if line[0] == " ")
    after = "".join(line[1:] for line in lines)
    with open(target, encoding="utf-8") as file:
        text = file.read()
    assert text.count(before) == 1, f"{path}: {text.count(before)} times: {before}"
    with open(target, "w", encoding="utf-8") as file:
        file.write(text.replace(before, after))


def copy_of_sources(where):
    for name in os.listdir(ROOT):
        if NOT_NEEDED.match(name):
            continue
        source, target = os.path.join(ROOT, name), os.path.join(where, name)
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)


def run(*words, **options):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          **options)
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}"
    return done.stdout


def build(where):
    folder = os.path.join(where, "build")
    run("meson", "setup", folder, *OPTIONS, cwd=where)
    run("ninja", "-C", folder, "cli/gpualloc")
    return os.path.join(folder, "cli/gpualloc")


def use(gpualloc, where):
    shelf = os.path.join(where, "shelf.txt")
    with open(shelf, "w", encoding="utf-8") as file:
        file.write("# shelf\nTesla K80\nTesla K80\nTesla P4\n")
    yield "the policy", run(gpualloc, "pick", "--machine", "hgx-h100", "-p", "backwards", "-n", "2",
                            "--format", "index", "--ignore-leases").strip() in ("7,6", "6,7")
    yield "is in the help", "the last in the order given" in run(gpualloc, "help", "pick")
    yield "the command", run(gpualloc, "count", "--machine", "hgx-h100") == "8\n"
    yield "the source", run(gpualloc, "count", "--machine", shelf) == "3\n"
    yield "its names", "Tesla P4" in run(gpualloc, "list", "--machine", shelf, "--csv")


def main():
    if WHY_NOT:
        print(f"1..0 # SKIP {WHY_NOT}")
        return 0
    bad, number = False, 0
    with tempfile.TemporaryDirectory(prefix="gpualloc-extending-") as where:
        copy_of_sources(where)
        with open(os.path.join(ROOT, "docs/EXTENDING.md"), encoding="utf-8") as file:
            found = BLOCK.findall(file.read())
        assert len(found) == 8, f"{len(found)} blocks"
        for kind, path, content in found:
            apply(where, kind, path, content)
        for name, good in use(build(where), where):
            number += 1
            bad |= not good
            print("ok" if good else "not ok", number, "-", name)
    print(f"1..{number}")
    return bad


sys.exit(main())
