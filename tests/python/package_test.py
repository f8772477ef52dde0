#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package itself: which library it takes, what it knows of it, what it imports, and its types."""
import ast
import os
import re
import signal
import subprocess
import sys

from cli import Skip, case, main
from package import LIBRARY, PACKAGES, SOURCE, folder, lay, printed, python, surroundings

sys.path.insert(0, PACKAGES)
from gpualloc import _library  # noqa: E402

LETTERS = {"int": "I", "unsigned": "U", "int64_t": "L", "uint64_t": "Q", "size_t": "Z", "void": "V",
           "const char *": "S"}


def letter(words):
    """The letter for a type in the header, with or without the name of an argument."""
    words = re.sub(r"\benum \w+", "int", " ".join(words.split()))
    if re.fullmatch(r"const char \*\w*", words):
        return "S"
    if "*" in words:
        return "P"
    return LETTERS[words.split()[0]]


def declarations():
    with open(os.environ["HEADER"], encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
    for found in re.finditer(r"GPUALLOC_EXPORT ([^;#]*?)\b(gpualloc_[a-z0-9_]+)\(([^;]*)\);", text):
        words = [] if found.group(3) == "void" else found.group(3).split(",")
        yield found.group(2), letter(found.group(1)) + "".join(letter(word) for word in words)


@case
def calls_are_declared_as_in_the_header():
    header = dict(declarations())
    ours = dict(line.split() for line in _library.CALLS.split("\n") if line)
    assert len(header) > 200 and len(ours) > 100
    for name, letters in ours.items():
        assert header[name] == letters, (name, letters, header[name])
    assert list(ours) == sorted(ours)


@case
def nothing_is_declared_that_is_not_used():
    text = ""
    for name in os.listdir(SOURCE):
        if name.endswith(".py"):
            with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
                text += re.sub(r"^gpualloc_\w+ [A-Z]+$", "", file.read(), flags=re.M)
    for line in _library.CALLS.split("\n"):
        name = line.split(" ")[0]
        assert re.search(rf"\b{name}\b", text), name


@case
def version_and_soname_are_those_of_the_build():
    assert _library.VERSION == os.environ["VERSION"] == _library.said(
        _library.lib.gpualloc_version())
    dynamic = subprocess.run(["readelf", "-d", LIBRARY], capture_output=True, text=True,
                             check=True).stdout
    assert re.search(r"soname: \[(.*)\]", dynamic).group(1) == _library.SONAME


# ---- which library ----

def refused(where, env=None):
    done = python("import gpualloc", env={"PYTHONPATH": where, **(env or {})})
    assert done.returncode == 1, done
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: "), done.stderr
    return last


@case
def the_library_beside_comes_first_then_the_systems():
    show = "import gpualloc._library as it; print(it.lib._name)"
    assert printed(show).strip() == os.path.join(PACKAGES, "gpualloc", _library.SONAME)
    alone, systems = lay(folder(), library=None), folder()
    os.symlink(LIBRARY, os.path.join(systems, _library.SONAME))
    assert printed(show, env={"PYTHONPATH": alone, "LD_LIBRARY_PATH": systems}).strip() == \
        _library.SONAME


@case
def no_variable_names_a_library():
    text = subprocess.run(["grep", "-n", "environ", os.path.join(SOURCE, "_library.py")],
                          capture_output=True, text=True, check=False).stdout
    assert "os.environ" not in text, text


@case
def without_a_library_a_sentence_says_what_to_install():
    sentence = refused(lay(folder(), library=None), {"LD_LIBRARY_PATH": "/nonexistent"})
    if "cannot be loaded" not in sentence:
        raise Skip("this system has the library installed")
    assert "install the wheel" in sentence, sentence


def other_library(name, text):
    """A library of that name made of a line of C."""
    path = os.path.join(folder(), name)
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=text,
                   text=True, check=True)
    return path


@case
def a_library_of_another_version_is_refused_with_a_sentence():
    for version in ("0.0.9", "0.2.0", "1.0.0"):
        library = other_library("other.so",
                                f'const char *gpualloc_version(void) {{ return "{version}"; }}')
        sentence = refused(lay(folder(), library))
        assert f"is version {version}: install the same version of both" in sentence, sentence
    library = other_library("other.so", 'const char *gpualloc_version(void) { return "0.1.0"; }')
    sentence = refused(lay(folder(), library))
    assert re.search(r"has no gpualloc_\w+\(\): install the same", sentence), sentence
    for text in ("int x;", "const char *gpualloc_version(void) { return 0; }",
                 'const char *gpualloc_version(void) { return "new"; }'):
        sentence = refused(lay(folder(), other_library("other.so", text)))
        assert "is not the library of gpualloc" in sentence, sentence
    broken = os.path.join(folder(), "broken.so")
    with open(broken, "w", encoding="utf-8") as file:
        file.write("no library")
    assert "cannot be loaded" in refused(lay(folder(), broken))


# ---- what it imports ----

@case
def importing_it_imports_little():
    modules = printed("import gpualloc, sys; print(*sys.modules)").split()
    heavy = {"asyncio", "collections", "dataclasses", "enum", "functools", "inspect", "json",
             "logging", "multiprocessing", "queue", "random", "re", "socket", "subprocess",
             "tempfile", "threading", "typing"}
    plain = set(printed("import ctypes, sys; print(*sys.modules)").split())
    assert not (set(modules) - plain) & heavy, set(modules) & heavy


@case
def everything_public_is_described():
    for name in sorted(os.listdir(SOURCE)):
        if not name.endswith(".py"):
            continue
        with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
            tree = ast.parse(file.read())
        assert ast.get_docstring(tree) or name == "__main__.py", name
        for node in ast.walk(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != "_":
                inner = node.name in ("body", "work", "told")
                assert inner or ast.get_docstring(node), (name, node.name)


@case
def types_are_strict():
    try:
        done = subprocess.run(["mypy", "--strict", "--cache-dir", folder(),
                               os.path.join(PACKAGES, "gpualloc")],
                              capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Skip("mypy is not installed") from None
    assert done.returncode == 0, done.stdout + done.stderr
    assert os.path.exists(os.path.join(PACKAGES, "gpualloc", "py.typed"))


# ---- the command ----

def with_command(script):
    where = lay(folder())
    path = os.path.join(where, "gpualloc", "bin", "gpualloc")
    os.mkdir(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as file:
        file.write(script)
    os.chmod(path, 0o755)
    return where


def as_command(where, *words, path=os.environ["PATH"]):
    return subprocess.run([sys.executable, "-m", "gpualloc", *words],
                          env=surroundings(PYTHONPATH=where, PATH=path), capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL)


@case
def the_module_becomes_the_command():
    beside = with_command("#!/bin/sh\necho beside \"$@\"; exit 5\n")
    done = as_command(beside, "list", "--machine", "a b")
    assert (done.returncode, done.stdout) == (5, "beside list --machine a b\n"), done
    signals = with_command("#!/bin/sh\ngrep SigIgn /proc/$$/status\n")
    # Python ignores SIGPIPE and SIGXFSZ; what we ignore ourselves stays.
    ignored = int(as_command(signals).stdout.split()[1], 16)
    with open("/proc/self/status", encoding="ascii") as file:
        ours = int(re.search(r"SigIgn:\s+(\w+)", file.read())[1], 16)
    assert ignored == ours & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1), (ignored, ours)
    tools = os.path.dirname(os.environ["GPUALLOC"])
    assert as_command(PACKAGES, "version", path=tools).stdout.split()[1] == os.environ["VERSION"]
    done = as_command(PACKAGES, path="/nonexistent")
    assert done.returncode == 127 and "install it" in done.stderr and done.stdout == "", done


main()
