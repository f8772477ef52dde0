#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is installed is enough for somebody else's program: pkg-config finds the library, shared or
static, and the program runs. A static build has jansson and expat inside, in commands and library.

Arguments: the build folder, its prefix, -Ddefault_library, why programs cannot be tried (or ""), the
compiler."""
import glob
import os
import re
import subprocess
import sys
import tempfile
import traceback

BUILD, PREFIX, KIND, WHY_NOT, *COMPILER = sys.argv[1:]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "user.c")
IS_STATIC = KIND == "static"
PARTS = ("jansson", "expat")


class Skip(Exception):
    """Why a case cannot be run here."""


def output(*words, **more):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{words}: exit {done.returncode}, {done.stdout!r}, {done.stderr!r}"
    return done.stdout


def needed(path):
    return re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", path))


class Tree:
    """What `make install` puts there, in a folder of its own."""

    def __init__(self, where):
        output("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", where)
        self.where, self.root = where, where + PREFIX
        pc, = glob.glob(f"{self.root}/lib/**/gpualloc.pc", recursive=True)
        self.libraries = os.path.dirname(os.path.dirname(pc))
        with open(pc, encoding="utf-8") as file:
            said = file.read()
        # What was installed into a folder is to be used there.
        with open(pc, "w", encoding="utf-8") as file:
            file.write(re.sub(r"^prefix=.*", f"prefix={self.root}", said, flags=re.M))
        self.environment = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(pc)}

    def flags(self, *words):
        return output("pkg-config", *words, "gpualloc", env=self.environment).split()

    def build(self, *flags):
        if WHY_NOT:
            raise Skip(WHY_NOT)
        program = f"{self.where}/user"
        output(*COMPILER, SOURCE, "-o", program, *flags)
        return program


def a_program_finds_the_library(tree):
    program = tree.build(*tree.flags("--cflags", "--libs", *(["--static"] if IS_STATIC else [])))
    shared = [name for name in needed(program) if name.startswith("libgpualloc.so.")]
    assert len(shared) == (0 if IS_STATIC else 1), shared
    assert output(program, env={"LD_LIBRARY_PATH": tree.libraries}) == "8 devices\n"


def the_archive_brings_all_that_it_needs(tree):
    if not IS_STATIC:
        assert KIND == "both" or not glob.glob(f"{tree.libraries}/**/*.a", recursive=True)
        return
    words = [{"-ljansson": "-l:libjansson.a", "-lexpat": "-l:libexpat.a"}.get(word, word)
             for word in tree.flags("--cflags", "--libs", "--static")]
    program = tree.build(*words)
    assert not [name for name in needed(program) if any(part in name for part in PARTS)], needed(program)
    assert output(program, env={}) == "8 devices\n"


def its_names_meet_no_names_of_others(tree):
    files = glob.glob(f"{tree.libraries}/libgpualloc.a" if IS_STATIC else f"{tree.libraries}/libgpualloc.so")
    listing = output("nm", *([] if IS_STATIC else ["-D"]), "-g", "--defined-only", *files)
    names = re.findall(r"^[0-9a-f]+ [B-Zu-w] (\S+)$", listing, re.M)
    odd = [name for name in names if not name.startswith(("gpualloc_", "ga_", "__odr_asan"))]
    assert names and (WHY_NOT or not odd), odd


def commands_need_what_the_build_says(tree):
    for name in ("gpualloc", "getgpu", "cudawrap"):
        parts = [part for part in PARTS for library in needed(f"{tree.root}/bin/{name}") if part in library]
        assert parts == [] if IS_STATIC else parts, (name, parts)
    assert "Tesla V100" in output(f"{tree.root}/bin/gpualloc", "list", "--machine", "dgx1-volta")


CASES = [a_program_finds_the_library, the_archive_brings_all_that_it_needs, its_names_meet_no_names_of_others,
         commands_need_what_the_build_says]


def main():
    good = True
    print(f"1..{len(CASES)}")
    with tempfile.TemporaryDirectory(prefix="gpualloc-installed-") as where:
        tree = Tree(where)
        for number, case in enumerate(CASES, 1):
            name = case.__name__.replace("_", " ")
            try:
                case(tree)
                print("ok", number, "-", name, flush=True)
            except Skip as reason:
                print("ok", number, "-", name, "# SKIP", reason, flush=True)
            except Exception:  # the other cases are still worth running
                good = False
                print("# " + traceback.format_exc().replace("\n", "\n# "))
                print("not ok", number, "-", name, flush=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
